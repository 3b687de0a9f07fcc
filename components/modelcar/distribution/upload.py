"""How a blob's bytes get into a registry.

Unknown digest: `POST`, one streamed `PATCH`, `PUT ?digest=`. Known digest: `POST`, one `PUT ?digest=`. Whatever fails
is done again from the start with a new upload session and, for a stream, a new pass over the source.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import requests

from modelcar.distribution.client import COMMIT_TIMEOUT_S, Registry
from modelcar.errors import DistributionError
from modelcar.reference import Digest

_OCTETS = {"Content-Type": "application/octet-stream"}


class Blob(Protocol):
    """Bytes of a known length, read again at each iteration."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Content:
    """Bytes in memory as a blob of one block."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class BlobStream(Blob, Protocol):
    """A blob whose digest is known only when it has been read."""

    @property
    def digest(self) -> Digest | None:
        """Set when an iteration is complete."""
        ...


def mount_blob(registry: Registry, repository: str, digest: Digest, origin: str) -> bool:
    """Take a blob over from another repository of the same registry.

    Returns:
        Whether it is there now; a registry that cannot or may not do it opens an upload, which is cancelled.
    """
    scope = f"{push_scope(repository)} repository:{origin}:pull"
    query = urlencode({"mount": str(digest), "from": origin})
    response = registry.request("POST", f"/v2/{repository}/blobs/uploads/?{query}", scope=scope, data=b"")
    if response.status_code == HTTPStatus.ACCEPTED:
        _cancel(registry, repository, response)
    return response.status_code == HTTPStatus.CREATED


def upload_known(registry: Registry, repository: str, blob: Blob, digest: Digest) -> None:
    """Send a blob whose digest is known; one attempt.

    Raises:
        DistributionError: The upload failed (retryable where a new attempt may help).
    """
    location = start_upload(registry, repository)
    _commit(registry, repository, location, digest, blob)


def upload_stream(registry: Registry, repository: str, stream: BlobStream) -> Digest:
    """Send a blob while its digest is computed; one attempt.

    Returns:
        Its digest, as the registry has confirmed it.

    Raises:
        DistributionError: The upload failed (retryable where a new attempt may help).
        PromotionError: What reading the stream raised; the upload is cancelled.
    """
    location = start_upload(registry, repository)
    response = _send(registry, repository, "PATCH", location, stream)
    if response.status_code not in (200, 201, 202, 204):
        raise registry.error(response, f"push to {repository}")
    if stream.digest is None:  # answered before it had everything
        raise DistributionError(f"{registry.host} closed an upload to {repository} early", retryable=True)
    # The state of the upload is in the location that the last answer gave, query and all.
    location = urljoin(location, response.headers.get("Location", location))
    _commit(registry, repository, location, stream.digest, None)
    return stream.digest


def start_upload(registry: Registry, repository: str) -> str:
    """Open an upload session.

    Returns:
        The URL or path to send the bytes to.

    Raises:
        DistributionError: The registry refuses.
    """
    path = f"/v2/{repository}/blobs/uploads/"
    response = registry.request("POST", path, scope=push_scope(repository), data=b"")
    if response.status_code != HTTPStatus.ACCEPTED or "Location" not in response.headers:
        raise registry.error(response, f"push to {repository}")
    return urljoin(response.url, response.headers["Location"])


def cancel_upload(registry: Registry, repository: str, location: str) -> None:
    """Give an upload session back; registries that cannot do that let it expire."""
    registry.request("DELETE", location, scope=push_scope(repository)).close()


def push_scope(repository: str) -> str:
    """The scope of everything that a push does, asked for from the first request on."""
    return f"repository:{repository}:pull,push"


def _commit(registry: Registry, repository: str, location: str, digest: Digest, blob: Blob | None) -> None:
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    url = urlunsplit(parts._replace(query=f"{query}{urlencode({'digest': str(digest)})}"))
    response = _send(registry, repository, "PUT", url, b"" if blob is None else blob)
    if response.status_code not in (200, 201, 202, 204):
        raise registry.error(response, f"push to {repository}")


def _send(registry: Registry, repository: str, method: str, location: str, body: Blob | bytes) -> requests.Response:
    scope = push_scope(repository)
    try:
        return registry.request(method, location, scope=scope, headers=_OCTETS, data=body, timeout_s=COMMIT_TIMEOUT_S)
    except DistributionError as error:
        if error.retryable:
            _diagnose(registry, repository, location)
        raise


def _diagnose(registry: Registry, repository: str, location: str) -> None:
    """Ask why a connection was cut while a body was sent: the answer went down with it.

    A token that the registry did not accept is fetched anew for the next attempt. Everything else, also silence, means
    that the next attempt decides.
    """
    scope = push_scope(repository)
    try:
        response = registry.request("GET", location, scope=scope)
    except DistributionError:
        return
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        registry.forget_token(scope)


def _cancel(registry: Registry, repository: str, response: requests.Response) -> None:
    if location := response.headers.get("Location"):
        cancel_upload(registry, repository, urljoin(response.url, location))
