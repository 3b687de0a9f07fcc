"""Base images as others build them: docker's media types, gzip layers, an index of several architectures."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.reference import Digest

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution."


def tar_of(path: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        directory = tarfile.TarInfo(path.partition("/")[0])
        directory.type = tarfile.DIRTYPE
        archive.addfile(directory)
        info = tarfile.TarInfo(path)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def layer_of(architecture: str) -> bytes:
    return gzip.compress(tar_of("bin/sh", architecture.encode() * 1000), mtime=0)


def push_base(
    repository: Repository, tag: str, architecture: str = "amd64", layers: int = 1, **platform: str
) -> tuple[bytes, bytes]:
    """Push a docker image of gzip layers; gives manifest and layer."""
    layer = layer_of(architecture)
    config = {
        "os": "linux",
        "architecture": architecture,
        **platform,
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(gzip.decompress(layer)))] * layers},
    }
    config_bytes = json.dumps(config).encode()
    described = {"mediaType": f"{DOCKER}manifest.v2+json", "schemaVersion": 2}
    manifest = {
        **described,
        "config": descriptor("application/vnd.docker.container.image.v1+json", config_bytes),
        "layers": [descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)] * layers,
    }
    content = json.dumps(manifest).encode()
    for blob in (config_bytes, layer):
        repository.write_blob(Content(blob), Digest.of(blob))
    repository.write_manifest(content, f"{DOCKER}manifest.v2+json", [tag])
    return content, layer


def push_index(repository: Repository, tag: str, *architectures: str) -> dict[str, bytes]:
    manifests = {architecture: push_base(repository, architecture, architecture)[0] for architecture in architectures}
    entries = [
        {
            **descriptor(f"{DOCKER}manifest.v2+json", content),
            "platform": {"os": "linux", "architecture": architecture, "variant": "v8"},
        }
        for architecture, content in manifests.items()
    ]
    index = {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": entries}
    repository.write_manifest(json.dumps(index).encode(), f"{OCI}index.v1+json", [tag])
    return manifests


def descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}
