"""ModelCars as other tools make them, of tars that tarfile writes."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from base_images import OCI, descriptor
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.reference import Digest

PLAIN, GZIP = f"{OCI}layer.v1.tar", f"{OCI}layer.v1.tar+gzip"
DIRECTORY = None
"""Instead of a content: a directory."""


def make_tar(
    entries: Mapping[str, bytes | tarfile.TarInfo | None], *, tar_format: int = tarfile.PAX_FORMAT, mtime: float = 1.5
) -> bytes:
    """A tar of files by their contents, directories, and whatever a TarInfo says; a time in parts of a second is a PAX
    record where the format has them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.mtime = mtime
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def link(kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def push_image(repository: Repository, tag: str, layers: Sequence[tuple[str, bytes]], **config: Any) -> Digest:
    """Push an image of layers, each by media type and stored bytes."""
    diff_ids = [str(Digest.of(gzip.decompress(b) if kind.endswith("gzip") else b)) for kind, b in layers]
    document = {
        "os": "linux",
        "architecture": "amd64",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        **config,
    }
    written = json.dumps(document).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}manifest.v1+json",
        "config": descriptor(f"{OCI}config.v1+json", written),
        "layers": [descriptor(kind, content) for kind, content in layers],
    }
    for blob in (written, *(content for _, content in layers)):
        repository.write_blob(Content(blob), Digest.of(blob))
    content = json.dumps(manifest).encode()
    repository.write_manifest(content, f"{OCI}manifest.v1+json", [tag])
    return Digest.of(content)


def packed(tar: bytes, kind: str) -> tuple[str, bytes]:
    """A layer of this media type."""
    return kind, gzip.compress(tar, mtime=0) if kind.endswith("gzip") else tar
