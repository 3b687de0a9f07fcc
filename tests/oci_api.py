"""The distribution API in the hands of a test: one short call each, the bare answer back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import urljoin

import requests

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptor_of(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


class OciApi:
    """A registry at `url`."""

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.auth = auth

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send to `/v2/` + path, or to where an answer's `Location` points."""
        url = urljoin(self.url, path if path.startswith(("/", "http")) else f"/v2/{path}")
        return self.session.request(method, url, allow_redirects=False, timeout=60, **options)

    def begin(self, name: str, **query: str) -> str:
        """Begin an upload and return its location."""
        answer = self.call("POST", f"{name}/blobs/uploads/", params=query)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def patch(
        self, location: str, data: bytes | Iterable[bytes], content_range: str | None = None
    ) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        if content_range is not None:
            headers["Content-Range"] = content_range
        return self.call("PATCH", location, data=data, headers=headers)

    def finish(
        self, location: str, digest: str, data: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        separator = "&" if "?" in location else "?"
        return self.call("PUT", f"{location}{separator}digest={digest}", data=data, headers=headers)

    def push_blob(self, name: str, content: bytes, algorithm: str = "sha256") -> str:
        """Push and return the digest."""
        digest = digest_of(content, algorithm)
        answer = self.finish(self.begin(name), digest, content)
        assert answer.status_code == 201, answer.text
        return digest

    def put_manifest(
        self,
        name: str,
        reference: str,
        manifest: Mapping[str, Any] | bytes,
        media_type: str | None = None,
        **query: Any,
    ) -> requests.Response:
        content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        if media_type is None:
            media_type = json.loads(content).get("mediaType", OCI_MANIFEST)
        headers = {"Content-Type": media_type} if media_type else {}
        return self.call("PUT", f"{name}/manifests/{reference}", data=content, headers=headers, params=query)

    def push_image(self, name: str, tag: str, layer: bytes = b"layer", /, **fields: Any) -> bytes:
        """Push config, one layer and a manifest with `fields` added; return the manifest's bytes."""
        self.push_blob(name, b"{}")
        self.push_blob(name, layer)
        content = json.dumps(image(layer, **fields)).encode()
        answer = self.put_manifest(name, tag, content)
        assert answer.status_code == 201, answer.text
        return content


def image(layer: bytes = b"layer", /, **fields: Any) -> dict[str, Any]:
    """An image manifest of one layer and the config `{}`; `fields` are added, or replace what there is."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor_of(b"{}", OCI_CONFIG),
        "layers": [descriptor_of(layer, OCI_LAYER)],
        **fields,
    }


def codes(answer: requests.Response) -> list[str]:
    """The error codes of an answer's body."""
    return [error["code"] for error in answer.json()["errors"]]
