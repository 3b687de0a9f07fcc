"""A base image of one small file, for where there is no network to fetch a real one.

Nothing in it can be run, and its name and /etc/os-release say so: a ModelCar on top of it can be mounted as an image
volume, but KServe's sidecar, which wants a shell, does not start from it.

Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md, layer.md and config.md beside it,
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push.
"""

from __future__ import annotations

import io
import json
import tarfile
from urllib.parse import urljoin, urlsplit

import requests

from modelcar.errors import DistributionError
from modelcar.reference import Digest

REPOSITORY = "sandbox/synthetic-base"
TAG = "1"

_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_TIMEOUT_S = 30
_OS_RELEASE = b"""\
NAME="modelcar sandbox"
ID=modelcar-sandbox
VERSION_ID=1
PRETTY_NAME="Synthetic base image of the modelcar sandbox: no shell, no programs"
"""


def push_base_image(registry_url: str) -> str:
    """Have the base image in a registry; what is there is not sent again.

    Args:
        registry_url: `http://host:port`; without credentials.

    Returns:
        `host:port/sandbox/synthetic-base:1`.

    Raises:
        DistributionError: The registry refused something.
        requests.RequestException: It cannot be reached.
    """
    layer = _layer()
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"org.opencontainers.image.title": "synthetic base image, without a shell"}},
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer))]},
            "history": [{"created_by": "modelcar sandbox"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, config),
            "layers": [_descriptor(_LAYER_TYPE, layer)],
        }
    )
    api = f"{registry_url}/v2/{REPOSITORY}"
    with requests.Session() as session:
        session.trust_env = False  # a proxy or a netrc of the user's has no business with the sandbox
        for blob in (layer, config):
            _push_blob(session, api, blob)
        answer = session.put(
            f"{api}/manifests/{TAG}", data=manifest, headers={"Content-Type": _MANIFEST_TYPE}, timeout=_TIMEOUT_S
        )
        _check(answer, 201)
    return f"{urlsplit(registry_url).netloc}/{REPOSITORY}:{TAG}"


def _push_blob(session: requests.Session, api: str, blob: bytes) -> None:
    digest = str(Digest.of(blob))
    if session.head(f"{api}/blobs/{digest}", timeout=_TIMEOUT_S).status_code == 200:
        return
    upload = session.post(f"{api}/blobs/uploads/", timeout=_TIMEOUT_S)
    _check(upload, 202)
    location = urljoin(upload.url, upload.headers["Location"])
    answer = session.put(
        location,
        params={"digest": digest},
        data=blob,
        headers={"Content-Type": "application/octet-stream"},
        timeout=_TIMEOUT_S,
    )
    _check(answer, 201)


def _check(answer: requests.Response, status: int) -> None:
    if answer.status_code != status:
        raise DistributionError(
            f"the registry answered {answer.status_code} to a part of the synthetic base image",
            status=answer.status_code,
        )


def _layer() -> bytes:
    """A plain tar with /etc/os-release."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        directory = tarfile.TarInfo("etc")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(directory)
        file = tarfile.TarInfo("etc/os-release")
        file.size, file.mode = len(_OS_RELEASE), 0o644
        tar.addfile(file, io.BytesIO(_OS_RELEASE))
    return stream.getvalue()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content)}


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
