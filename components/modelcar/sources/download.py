"""Read files over HTTP: redirects by hand, so that a token stays with its host, and ranges to continue."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter

from modelcar.errors import ContentMismatch, SourceError
from modelcar.sources.refusal import Request, describe_failure, describe_outage, describe_refusal
from modelcar.wire import PORTS, host_of, origin_of

BLOCK_BYTES = 1 << 20
CONNECT_TIMEOUT_S = 20.0
READ_TIMEOUT_S = 60.0
DOCUMENT_TIMEOUT_S = 30.0
MAX_DOCUMENT_BYTES = 64 << 20
"""A page of a listing has a thousand files; what a repository is has all their names."""
MAX_REDIRECTS = 10
BRIDGE_LIMIT_BYTES = 400_000_000_000
"""About the size from which the Hub's bridge to Xet answers 400.

Source: https://github.com/huggingface/huggingface_hub/issues/4330
"""
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to read.

    Attributes:
        url: Where to ask first.
        headers: To send there, and to the same scheme, host and port only.
        size_bytes: What the listing says.
        request: For messages.
    """

    url: str
    headers: Mapping[str, str]
    size_bytes: int
    request: Request


def new_session() -> requests.Session:
    """A session that several threads may use: it keeps no cookies and asks `.netrc` for nothing.

    `REQUESTS_CA_BUNDLE`, then `SSL_CERT_FILE`, name a CA file; proxies come from the environment, too.
    """
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.auth = _keep_headers
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    for scheme in PORTS:
        session.mount(f"{scheme}://", HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS))
    return session


def check_access(session: requests.Session, file: RemoteFile) -> None:
    """Ask for a file without reading it.

    Raises:
        SourceError: The Hub refuses it.
    """
    with _answer(session, file.url, file, method="HEAD") as answer:
        if answer.status_code >= 400:
            raise describe_refusal(answer.status_code, answer.headers, file.request)


def read_document(
    session: requests.Session, url: str, headers: Mapping[str, str], request: Request
) -> tuple[Any, str | None]:
    """Ask for a JSON document.

    Args:
        session: See `new_session`.
        url: Where to ask first.
        headers: As in `RemoteFile`.
        request: For messages.

    Returns:
        What it says, and the address of the next page if there is one.

    Raises:
        SourceError: The Hub refuses it, or cannot be reached (retryable where that may help).
        ValueError: It is not JSON, or larger than any such document.
    """
    file = RemoteFile(url, headers, 0, request)
    with _follow(session, file, {}, timeout_s=DOCUMENT_TIMEOUT_S) as answer:
        content = bytearray()
        try:
            for block in answer.iter_content(BLOCK_BYTES):
                content += block
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise ValueError(url)
        except requests.RequestException as error:
            raise describe_outage(host_of(answer.url), error) from None
        return json.loads(content), answer.links.get("next", {}).get("url")


@contextmanager
def read(session: requests.Session, file: RemoteFile, offset: int) -> Iterator[Iterator[bytes]]:
    """Read a file from `offset` to its end; see `modelcar.snapshot.Source.open`.

    A signed address behind a redirect is never kept: each call asks the Hub for a new one.
    """
    if offset == file.size_bytes:
        yield iter(())
        return
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    with _follow(session, file, headers) as answer:
        skip_bytes = _check_length(answer, file, offset)
        yield _blocks(answer, file, offset, skip_bytes)


@contextmanager
def _follow(
    session: requests.Session, file: RemoteFile, headers: Mapping[str, str], *, timeout_s: float | None = None
) -> Iterator[requests.Response]:
    """The answer that holds the file."""
    url = file.url
    for redirects in range(MAX_REDIRECTS):
        with _answer(session, url, file, headers, timeout_s=timeout_s) as answer:
            target = answer.headers.get("Location")
            if not answer.is_redirect or target is None:
                _raise_refusal(answer, file, redirected=redirects > 0)
                yield answer
                return
        url = _redirect(url, target)
    raise SourceError(f"{file.request.host} redirects more than {MAX_REDIRECTS} times for {file.request}")


@contextmanager
def _answer(
    session: requests.Session,
    url: str,
    file: RemoteFile,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    timeout_s: float | None = None,
) -> Iterator[requests.Response]:
    """One request, one answer; the token goes along only to the host that it is for."""
    own = dict(file.headers) if origin_of(url) == origin_of(file.url) else {}
    own |= {"Accept-Encoding": "identity", **(headers or {})}
    timeout = (CONNECT_TIMEOUT_S, timeout_s or READ_TIMEOUT_S)
    try:
        answer = session.request(method, url, headers=own, timeout=timeout, stream=True, allow_redirects=False)
    except requests.RequestException as error:
        # Not `from error`: it holds the whole address, with its signature.
        raise describe_outage(host_of(url), error) from None
    except ValueError:  # requests looks at a redirect's target even if it does not follow
        raise _astray(url) from None
    with answer:
        yield answer


def _raise_refusal(answer: requests.Response, file: RemoteFile, *, redirected: bool) -> None:
    """Nothing when the answer holds the file.

    Raises:
        SourceError: It does not.
    """
    status = answer.status_code
    if status in (200, 206):
        return
    if status == 416:
        raise _other_size(file, answer.headers.get("Content-Range", "fewer bytes").rpartition("/")[2])
    is_behind = redirected and file.request.path is not None and "X-Error-Code" not in answer.headers
    if is_behind and status == HTTPStatus.BAD_REQUEST and file.size_bytes > BRIDGE_LIMIT_BYTES:
        raise SourceError(
            f"{host_of(answer.url)} does not give {file.request} over HTTP: it has {file.size_bytes} bytes, "
            f"and files above about {BRIDGE_LIMIT_BYTES} come by Xet only",
            hint="Take a model whose file is split, or download it with hf_xet and push the directory (file://).",
        )
    if is_behind and status in (401, 403):
        raise SourceError(
            f"{host_of(answer.url)} does not accept the signed address of {file.request}; it may have expired",
            hint="The clock of this machine may be wrong, or a proxy changes addresses.",
            retryable=True,
        )
    if origin_of(answer.url) == origin_of(file.url):
        raise describe_refusal(status, answer.headers, file.request)
    raise describe_failure(status, answer.headers, host_of(answer.url), str(file.request))


def _check_length(answer: requests.Response, file: RemoteFile, offset: int) -> int:
    """How many bytes of the answer come before `offset`: none, or all when the server ignores ranges.

    Raises:
        ContentMismatch: The file has another size than listed.
        SourceError: The answer begins elsewhere.
    """
    start = 0
    if answer.status_code == 206:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        first = span.partition("-")[0]
        if not first.isdecimal() or int(first) > offset:
            raise SourceError(f"{host_of(answer.url)} answers with another part of {file.request} than asked for")
        start = int(first)
        if total.isdecimal() and int(total) != file.size_bytes:
            raise _other_size(file, total)
    length = answer.headers.get("Content-Length", "")
    if length.isdecimal() and "Content-Encoding" not in answer.headers and start + int(length) != file.size_bytes:
        raise _other_size(file, str(start + int(length)))
    return offset - start


def _blocks(answer: requests.Response, file: RemoteFile, offset: int, skip_bytes: int) -> Iterator[bytes]:
    """The file's bytes from `offset`, and exactly as many as are listed.

    Raises:
        SourceError: The connection broke, or ended early (retryable).
        ContentMismatch: There is more.
    """
    position = offset - skip_bytes
    try:
        for block in answer.iter_content(BLOCK_BYTES):
            fresh = block[max(0, offset - position) :]
            position += len(block)
            if position > file.size_bytes:
                raise _other_size(file, "more")
            if fresh:
                yield fresh
    except requests.RequestException as error:
        raise _broken(file, position, answer) from error
    if position < file.size_bytes:
        raise _broken(file, position, answer)


def _broken(file: RemoteFile, position: int, answer: requests.Response) -> SourceError:
    return SourceError(
        f"{host_of(answer.url)} broke off after {position} of {file.size_bytes} bytes of {file.request}",
        hint="Run it again.",
        retryable=True,
    )


def _other_size(file: RemoteFile, found: str) -> ContentMismatch:
    return ContentMismatch(
        f"{file.request} has {found} bytes, but {file.size_bytes} were published",
        hint="Run it again; if it stays so, the source or a proxy before it is damaged.",
    )


def _redirect(url: str, target: str) -> str:
    """The next address.

    Raises:
        SourceError: It is no HTTP address, or gives up TLS.
    """
    try:
        following = urljoin(url, target)
        scheme = origin_of(following)[0]
    except ValueError:
        raise _astray(url) from None
    if scheme not in PORTS or (origin_of(url)[0], scheme) == ("https", "http"):
        raise _astray(url)
    return following


def _astray(url: str) -> SourceError:
    return SourceError(f"{host_of(url)} redirects to something that is no address, or to one without TLS")


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An `auth` that changes nothing; without one, requests would replace the token by what `.netrc` has."""
    return request
