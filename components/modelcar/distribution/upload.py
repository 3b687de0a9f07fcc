"""How a blob's bytes get into a registry.

Unknown digest: `POST`, one streamed `PATCH`, `PUT ?digest=`. Known digest: `POST`, one `PUT ?digest=`. Bytes that fail
are sent again from the start with a new upload session and, for a stream, a new pass over the source.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import requests

from modelcar.distribution.client import COMMIT_TIMEOUT_S, Registry
from modelcar.errors import DistributionError, PromotionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar.retry import retry
from modelcar.wire import origin_of

_OCTETS = {"Content-Type": "application/octet-stream"}
_COMMITS = 3
"""How often the last, empty request of an upload is sent before all its bytes are sent again."""


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


def has_blob(registry: Registry, repository: str, digest: Digest, *, scope: str) -> bool:
    """Whether the repository holds the blob; one attempt.

    Raises:
        DistributionError: The registry does not say.
    """
    response = registry.request("HEAD", f"/v2/{repository}/blobs/{digest}", scope=scope)
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
        raise registry.error(response, f"look up {repository}@{digest}")
    return response.status_code == HTTPStatus.OK


def mount_blob(registry: Registry, repository: str, digest: Digest, origin: str) -> bool:
    """Take a blob over from another repository of the same registry.

    Returns:
        Whether it is there now; a registry that cannot or may not do it opens an upload, which is cancelled.
    """
    scope = f"{push_scope(repository)} repository:{origin}:pull"
    query = urlencode({"mount": str(digest), "from": origin})
    try:
        response = registry.request("POST", f"/v2/{repository}/blobs/uploads/?{query}", scope=scope, data=b"")
    except RegistryAccessDenied:  # a token server that gives all of a scope or nothing
        return False
    if response.status_code == HTTPStatus.ACCEPTED and "Location" in response.headers:
        cancel_upload(registry, repository, _follow(registry, response, response.headers["Location"]))
    return response.status_code == HTTPStatus.CREATED


def upload_known(registry: Registry, repository: str, blob: Blob, digest: Digest) -> None:
    """Send a blob whose digest is known; one attempt.

    Raises:
        DistributionError: The upload failed (retryable where a new attempt may help).
        PromotionError: What reading the blob raised; the upload is cancelled.
    """
    with _session(registry, repository) as location:
        _commit(registry, repository, location, digest, blob)


def upload_stream(registry: Registry, repository: str, stream: BlobStream) -> Digest:
    """Send a blob while its digest is computed; one attempt.

    Returns:
        Its digest, as the registry has confirmed it.

    Raises:
        DistributionError: The upload failed (retryable where a new attempt may help).
        PromotionError: What reading the stream raised; the upload is cancelled.
    """
    with _session(registry, repository) as location:
        response = _send(registry, repository, "PATCH", location, stream)
        if stream.digest is None:  # answered before it had everything
            raise DistributionError(f"{registry.host} closed an upload to {repository} early", retryable=True)
        # The state of the upload is in the location that the last answer gave, query and all.
        location = _follow(registry, response, response.headers.get("Location", location))
        try:
            _commit(registry, repository, location, stream.digest, None)
        except DistributionError as error:
            # The digest is of the bytes that were sent; if the registry has others, some got lost on the way.
            error.retryable |= error.code == "DIGEST_INVALID"
            raise
    return stream.digest


def start_upload(registry: Registry, repository: str) -> str:
    """Open an upload session.

    Returns:
        The URL to send the bytes to.

    Raises:
        DistributionError: The registry refuses.
    """
    path = f"/v2/{repository}/blobs/uploads/"
    response = registry.request("POST", path, scope=push_scope(repository), data=b"")
    if response.status_code != HTTPStatus.ACCEPTED or "Location" not in response.headers:
        raise registry.error(response, f"push to {repository}")
    return _follow(registry, response, response.headers["Location"])


def cancel_upload(registry: Registry, repository: str, location: str) -> None:
    """Give an upload session back; registries that cannot or may not do that let it expire."""
    with suppress(DistributionError):
        registry.request("DELETE", location, scope=push_scope(repository))


def push_scope(repository: str) -> str:
    """The scope of everything that a push does, asked for from the first request on."""
    return f"repository:{repository}:pull,push"


def _follow(registry: Registry, response: requests.Response, location: str) -> str:
    try:
        url = urljoin(response.url, location)
        origin_of(url)
    except ValueError:  # not shown: the state of an upload in it may be signed
        raise DistributionError(f"{registry.host} sends an upload to what is no address") from None
    return url


@contextmanager
def _session(registry: Registry, repository: str) -> Iterator[str]:
    """An upload session; when it fails it is given back, for what it holds may be as large as a layer."""
    location = start_upload(registry, repository)
    try:
        yield location
    except PromotionError:
        cancel_upload(registry, repository, location)
        raise


def _commit(registry: Registry, repository: str, location: str, digest: Digest, blob: Blob | None) -> None:
    """End an upload, with the blob as body or, when it is there already, without.

    An empty request is repeated here, so that hours of bytes are not sent again for it. A registry that has the blob
    although its answer got lost is taken at its word.
    """
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    url = urlunsplit(parts._replace(query=f"{query}{urlencode({'digest': str(digest)})}"))
    body = b"" if blob is None else blob
    try:
        retry(lambda: _send(registry, repository, "PUT", url, body), attempts=_COMMITS if blob is None else 1)
    except DistributionError as error:
        if not (error.retryable and has_blob(registry, repository, digest, scope=push_scope(repository))):
            raise


def _send(registry: Registry, repository: str, method: str, location: str, body: Blob | bytes) -> requests.Response:
    scope = push_scope(repository)
    response = registry.request(method, location, scope=scope, headers=_OCTETS, data=body, timeout_s=COMMIT_TIMEOUT_S)
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise DistributionError(
            f"{registry.host} lost an upload to {repository}", status=response.status_code, retryable=True
        )
    if response.status_code not in (200, 201, 202, 204):
        raise registry.error(response, f"push to {repository}")
    return response
