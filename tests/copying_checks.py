"""What a copied image holds, as tests ask it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from image_checks import validate_image
from modelcar.distribution.repository import Repository
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
    there = running.repository(repository)
    stored = there.find_manifest(reference)
    assert stored is not None
    return validate_image(partial(read_whole, there), stored.content).model


def contents(model: Path) -> dict[str, bytes]:
    """The files of a directory."""
    return {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
