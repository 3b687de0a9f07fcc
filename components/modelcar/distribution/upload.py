"""The requests that get a blob into a registry, one function each; `transfer.py` puts them together.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import requests

from modelcar.distribution.client import Registry
from modelcar.distribution.ladder import UploadLost
from modelcar.errors import DistributionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar.wire import origin_of

log = logging.getLogger(__name__)

_OCTETS = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


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
    """A blob that tells its digest, at the latest when it has been read."""

    @property
    def digest(self) -> Digest | None:
        """Set when an iteration is complete; before that None, unless it is known beforehand and held against it."""
        ...


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload as the registry's last answer left it.

    Attributes:
        location: The URL that the next request goes to; the state of the upload may be in it.
        least_chunk_bytes: What a `PATCH` must have at least if another follows; 0 where that is all the same.
    """

    location: str
    least_chunk_bytes: int = 0


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

    Raises:
        DistributionError: Retryable; no answer for the moment. That is no reason to send all bytes instead.
    """
    scope = f"{push_scope(repository)} repository:{origin}:pull"
    query = urlencode({"mount": str(digest), "from": origin})
    try:
        response = registry.request("POST", f"/v2/{repository}/blobs/uploads/?{query}", scope=scope, data=b"")
    except RegistryAccessDenied as denied:  # a token server that gives all of a scope or nothing
        log.debug("%s is not mounted from %s: %s", digest, origin, denied)
        return False
    if response.status_code == HTTPStatus.ACCEPTED and "Location" in response.headers:
        cancel_upload(registry, repository, _follow(registry, response, response.headers["Location"]))
        log.debug("%s is not mounted from %s: %s opened an upload instead", digest, origin, registry.host)
    elif response.status_code != HTTPStatus.CREATED:
        error = registry.error(response, f"push to {repository}")
        if error.retryable:
            raise error
        log.debug("%s is not mounted from %s: %s", digest, origin, error)
    return response.status_code == HTTPStatus.CREATED


def start_upload(registry: Registry, repository: str) -> UploadSession:
    """Open an upload session.

    Raises:
        DistributionError: The registry refuses.
    """
    path = f"/v2/{repository}/blobs/uploads/"
    response = registry.request("POST", path, scope=push_scope(repository), data=b"")
    if response.status_code != HTTPStatus.ACCEPTED:
        raise registry.error(response, f"push to {repository}")
    if "Location" not in response.headers:  # lines of its head are missing where the connection was cut there
        raise DistributionError(
            f"{registry.host} opened an upload to {repository} and did not say where", status=202, retryable=True
        )
    least = response.headers.get("OCI-Chunk-Min-Length", "")
    location = _follow(registry, response, response.headers["Location"])
    return UploadSession(location, int(least) if least.isascii() and least.isdigit() else 0)


def find_progress(registry: Registry, repository: str, location: str) -> tuple[str, int] | None:
    """Ask how far an upload has come; one attempt.

    Returns:
        Where to go on and the number of bytes that the registry has; None when it does not know the upload any more,
        or does not say. One byte is taken for none: registries write `0-0` for both.

    Raises:
        DistributionError: Retryable; no answer for the moment.
        RegistryAccessDenied: The token server refuses the credentials.
    """
    response = registry.request("GET", location, scope=push_scope(repository))
    found = _RANGE.fullmatch(response.headers.get("Range", "").strip())
    if response.status_code in (200, 202, 204) and found:
        last = int(found[1])
        here = response.headers.get("Location", location)
        return _follow(registry, response, here), last + 1 if last else 0
    error = registry.error(response, f"push to {repository}")
    if error.retryable:
        raise error
    return None


def send_part(
    registry: Registry, repository: str, location: str, body: Iterable[bytes], span: tuple[int, int] | None
) -> str:
    """Send bytes to an upload by one `PATCH`; one attempt.

    Args:
        registry: Where to.
        repository: Path below the registry.
        location: The upload.
        body: Iterated once per request; has `__len__` where its length is to be stated.
        span: First and last position, for a part among others; None for all of a blob.

    Returns:
        Where the next request goes.

    Raises:
        UploadLost: The registry does not know the upload.
        DistributionError: It does not take the bytes (retryable where a new attempt may help).
    """
    headers = _OCTETS if span is None else {**_OCTETS, "Content-Range": f"{span[0]}-{span[1]}"}
    response = _send(registry, repository, "PATCH", location, body, headers)
    # The state of the upload is in the location that the last answer gave, query and all.
    return _follow(registry, response, response.headers.get("Location", location))


def commit_upload(registry: Registry, repository: str, location: str, digest: Digest, blob: Blob | None) -> None:
    """End an upload, with the blob as body or, when it is there already, without; one attempt.

    A registry that has the blob although its answer got lost is taken at its word.

    Raises:
        UploadLost: The registry does not know the upload.
        DistributionError: It does not take the blob (retryable where a new attempt may help).
    """
    parts = urlsplit(location)
    query = f"{parts.query}&" if parts.query else ""
    url = urlunsplit(parts._replace(query=f"{query}{urlencode({'digest': str(digest)})}"))
    try:
        _send(registry, repository, "PUT", url, b"" if blob is None else blob, _OCTETS)
    except DistributionError as error:
        if not (error.retryable and has_blob(registry, repository, digest, scope=push_scope(repository))):
            raise


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


def _send(
    registry: Registry,
    repository: str,
    method: str,
    location: str,
    body: Iterable[bytes] | bytes,
    headers: dict[str, str],
) -> requests.Response:
    response = registry.request(
        method,
        location,
        scope=push_scope(repository),
        headers=headers,
        data=body,
        timeout_s=registry.timeouts.commit_s,
    )
    if response.status_code in (200, 201, 202, 204):
        return response
    error = registry.error(response, f"push to {repository}")
    if response.status_code == HTTPStatus.NOT_FOUND:
        lost = f"{registry.host} lost an upload to {repository}"
        raise UploadLost(lost, status=error.status, code=error.code, retryable=True)
    raise error
