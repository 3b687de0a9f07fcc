"""What a copied image holds, as tests ask it, and what refers to one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from base_images import descriptor
from image_checks import validate_image
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.image.manifest import MANIFEST_TYPE
from modelcar.reference import Digest, ImageReference
from registry_service import Running


def at(running: Running, repository: str, tag: str | None = "1") -> ImageReference:
    """An image of the sandbox's registry."""
    return ImageReference(running.address, repository, tag)


def read_whole(repository: Repository, digest: Digest) -> bytes:
    """A blob of any size."""
    with repository.open_blob(digest) as blocks:
        return b"".join(blocks)


def files_of(running: Running, repository: str, reference: str = "1") -> dict[str, bytes]:
    """The model's files, of an image whose parts belong together."""
    return model_of(running.repository(repository), reference)


def model_of(there: Repository, reference: str) -> dict[str, bytes]:
    """The same of any registry."""
    stored = there.find_manifest(reference)
    assert stored is not None
    return validate_image(partial(read_whole, there), stored.content).model


def refer(repository: Repository, subject: Digest, kind: str, content: bytes) -> Digest:
    """Push an artifact that is about another manifest."""
    stored = repository.find_manifest(str(subject))
    size = len(stored.content) if stored is not None else 2
    for blob in (b"{}", content):
        repository.write_blob(Content(blob), Digest.of(blob))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor(kind, content)],
        "subject": {"mediaType": MANIFEST_TYPE, "digest": str(subject), "size": size},
        "annotations": {"kind": kind},
    }
    written = json.dumps(manifest).encode()
    repository.write_referrer(written, MANIFEST_TYPE)
    return Digest.of(written)


def contents(model: Path) -> dict[str, bytes]:
    """The files of a directory."""
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
