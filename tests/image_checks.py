"""Hold an image against itself, as a strict consumer would: every digest, size and diff ID is computed anew."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelcar.reference import Digest


@dataclass(frozen=True)
class UnpackedImage:
    """What a runtime would see.

    Attributes:
        files: Contents by path from the root.
        directories: Paths from the root, in the order of the tar.
        config: The whole config.
        manifest: The whole manifest.
    """

    files: dict[str, bytes]
    directories: list[str]
    config: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def model(self) -> dict[str, bytes]:
        """Contents below /models, by path from there."""
        prefix = "models/"
        return {path.removeprefix(prefix): c for path, c in self.files.items() if path.startswith(prefix)}


def validate_image(read_blob: Callable[[Digest], bytes], manifest: bytes) -> UnpackedImage:
    """Read an image whole and prove that its parts belong together.

    Args:
        read_blob: Gives a blob's bytes by digest.
        manifest: As stored.
    """
    document = json.loads(manifest)
    assert document["schemaVersion"] == 2
    config_bytes = _read(read_blob, document["config"])
    config = json.loads(config_bytes)
    files: dict[str, bytes] = {}
    directories: list[str] = []
    diff_ids = []
    for descriptor in document["layers"]:
        tar = _read(read_blob, descriptor)
        if descriptor["mediaType"].endswith("+gzip"):
            tar = gzip.decompress(tar)
        diff_ids.append(str(Digest.of(tar)))
        _unpack(tar, files, directories)
    assert diff_ids == config["rootfs"]["diff_ids"]
    assert len([entry for entry in config["history"] if not entry.get("empty_layer")]) == len(diff_ids)
    return UnpackedImage(files, directories, config, document)


def _read(read_blob: Callable[[Digest], bytes], descriptor: dict[str, Any]) -> bytes:
    content = read_blob(Digest.parse(descriptor["digest"]))
    assert str(Digest.of(content)) == descriptor["digest"]
    assert len(content) == descriptor["size"]
    return content


def _unpack(tar: bytes, files: dict[str, bytes], directories: list[str]) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8") as archive:
        for member in archive:
            if member.isdir():
                directories.append(member.name)
                continue
            parent = member.name.rpartition("/")[0]
            assert not parent or parent in directories, f"{member.name} stands before its directory"
            content = archive.extractfile(member)
            assert content is not None
            files[member.name] = content.read()
