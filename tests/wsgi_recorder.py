"""A WSGI middleware that writes down what was asked; `wsgi_faults` has the example."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@dataclass(slots=True)
class Recorded:
    """One request.

    Attributes:
        method: Upper case.
        path: Decoded, without the query.
        query: As sent, without `?`; empty when there was none.
        headers: Request headers by lower-case name, without `authorization`.
        authorized: Whether there was an `Authorization` header; its value is not kept.
        status: Of the answer; None while there is none, and for ever when the connection was cut before it.
        bytes_received: Of the body, as far as the application read it.
        bytes_sent: Of the answer's body, as far as the server asked for it.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    authorized: bool
    status: int | None = None
    bytes_received: int = 0
    bytes_sent: int = 0


class Recorder:
    """Writes down every request, in the order of arrival; the status is there before the client can see it."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._requests: list[Recorded] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> list[Recorded]:
        """All requests so far; the list is a copy, its entries still change while they are answered."""
        with self._lock:
            return list(self._requests)

    def seen(self, method: str, path: str = "") -> list[Recorded]:
        """The requests with this method whose path has a match for the regular expression `path`."""
        return [r for r in self.requests if r.method == method and re.search(path, r.path)]

    def clear(self) -> None:
        """Forget what was seen."""
        with self._lock:
            self._requests.clear()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        recorded = Recorded(
            environ["REQUEST_METHOD"],
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            _headers(environ),
            "HTTP_AUTHORIZATION" in environ,
        )
        with self._lock:
            self._requests.append(recorded)

        def start(status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Any:
            recorded.status = int(status[:3])
            return start_response(status, headers, exc_info)

        environ["wsgi.input"] = _CountedBody(environ["wsgi.input"], recorded)
        return _CountedAnswer(self._app(environ, start), recorded)


class Body:
    """Stands in front of `wsgi.input`; a subclass sees all that passes in `take`."""

    def __init__(self, stream: Any) -> None:
        self.rfile = stream  # the name under which cheroot's own wrappers keep theirs

    def read(self, size: int | None = None) -> bytes:
        return self.take(self.rfile.read, size)

    def readline(self, size: int | None = None) -> bytes:
        return self.take(self.rfile.readline, size)

    def readlines(self, _hint: int = 0) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def take(self, read: Any, size: int | None) -> bytes:
        """Call `read(size)`; None and negative sizes mean all."""
        data: bytes = read(None if size is not None and size < 0 else size)
        return data


class _CountedBody(Body):
    def __init__(self, stream: Any, recorded: Recorded) -> None:
        super().__init__(stream)
        self._recorded = recorded

    def take(self, read: Any, size: int | None) -> bytes:
        data = super().take(read, size)
        self._recorded.bytes_received += len(data)
        return data


class _CountedAnswer:
    """An answer's blocks, counted when they are taken."""

    def __init__(self, blocks: Iterable[bytes], recorded: Recorded) -> None:
        self._blocks, self._recorded = blocks, recorded

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._recorded.bytes_sent += len(block)
            yield block

    def close(self) -> None:
        if close := getattr(self._blocks, "close", None):
            close()


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    headers.pop("authorization", None)
    return headers
