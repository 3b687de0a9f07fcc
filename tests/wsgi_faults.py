"""Two WSGI middlewares for tests over real sockets: one writes down what was asked, one breaks it on purpose.

Both wrap any WSGI application that `modelcar_sandbox.service.Service` runs, and each other::

    from wsgi_faults import Fault, Faults, Recorder

    recorder = Recorder(create_app(tmp_path))
    faults = Faults(
        recorder,
        Fault.answer("PUT", r"/blobs/uploads/", 503, headers={"Retry-After": "0"}, after_body_bytes=1 << 20),
        Fault.cut_request("PATCH", r"/blobs/uploads/", 5_000_000, nth=2),
        Fault.cut_answer("GET", r"/resolve/.*\\.safetensors$", 1000),
    )
    with Service(faults) as service:
        push(f"{service.address}/team/model:v1", ...)
    assert faults.fired == 3
    assert [r.status for r in recorder.seen("PUT", r"/manifests/")] == [201]

With `Recorder` inside, as here, it sees what reached the application; outside (`Recorder(Faults(app, …))`) it sees what
the client sent, broken requests included.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Self

from wsgi_recorder import Body, Recorded, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Fault", "Faults", "Recorded", "Recorder"]

BLOCK = 1 << 20
WAIT_S = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and when; made by `answer`, `cut_request` or `cut_answer`.

    Attributes:
        kind: Which of the three.
        method: Upper case.
        path: Regular expression, searched for in the decoded path.
        after_bytes: How many bytes of the body (of the answer's body for `cut_answer`) pass before.
        nth: The first matching request that is hit, counted from 1.
        times: How many matching requests in a row are hit.
        reset: Cut with RST (the client gets ECONNRESET); False cuts with FIN (the client gets an early end).
        status: Of the answer.
        headers: Of the answer.
        body: Of the answer.
        drain: Read the rest of the request before answering. False answers at once and closes the connection, as
            servers do that do not want the rest of a large body.
        longer_than: Only requests are hit that state a longer body; None hits all.
        when: What a cut of a request waits for, some seconds at most.
    """

    kind: Literal["answer", "cut_request", "cut_answer"]
    method: str
    path: str
    after_bytes: int = 0
    nth: int = 1
    times: int = 1
    reset: bool = True
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drain: bool = True
    longer_than: int | None = None
    when: threading.Event | None = None

    @classmethod
    def answer(
        cls,
        method: str,
        path: str,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        after_body_bytes: int = 0,
        nth: int = 1,
        times: int = 1,
        drain: bool = True,
        longer_than: int | None = None,
    ) -> Self:
        """Answer `status` in the application's place, when `after_body_bytes` of the request's body have been read."""
        made = cls("answer", method, path, after_body_bytes, nth, times, status=status, headers=headers or {})
        return replace(made, body=body, drain=drain, longer_than=longer_than)

    @classmethod
    def cut_request(
        cls,
        method: str,
        path: str,
        after_body_bytes: int,
        *,
        nth: int = 1,
        times: int = 1,
        reset: bool = True,
        when: threading.Event | None = None,
    ) -> Self:
        """Cut the connection under the application when it has read `after_body_bytes` of the body."""
        return cls("cut_request", method, path, after_body_bytes, nth, times, reset, when=when)

    @classmethod
    def cut_answer(
        cls, method: str, path: str, after_body_bytes: int, *, nth: int = 1, times: int = 1, reset: bool = False
    ) -> Self:
        """Let the application do its work, send `after_body_bytes` of its answer's body, then cut the connection.

        With 0 not even the status line is sent: the work is done and the client does not hear of it.
        """
        return cls("cut_answer", method, path, after_body_bytes, nth, times, reset)

    def matches(self, environ: WSGIEnvironment) -> bool:
        """Whether the request is of the kind to count; not if it states a body that ends before the fault."""
        stated = environ.get("CONTENT_LENGTH")
        if self.longer_than is not None and int(stated or 0) <= self.longer_than:
            return False
        if self.kind != "cut_answer" and stated and int(stated) < self.after_bytes:
            return False
        return environ["REQUEST_METHOD"] == self.method and bool(re.search(self.path, environ.get("PATH_INFO", "")))


class Faults:
    """Breaks chosen requests to an application; the first matching fault whose turn it is wins."""

    def __init__(self, app: WSGIApplication, *faults: Fault) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._counted: list[tuple[Fault, list[int]]] = []
        self.fired = 0
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault, which counts requests from now on."""
        with self._lock:
            self._counted.append((fault, [0]))

    def clear(self) -> None:
        """From now on everything works; `fired` starts again at 0."""
        with self._lock:
            self._counted.clear()
            self.fired = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        fault = self._due(environ)
        if fault is None:
            return self._app(environ, start_response)
        if fault.kind == "answer":
            return _answer(fault, environ, start_response)
        if fault.kind == "cut_request":
            environ["wsgi.input"] = _DoomedBody(environ["wsgi.input"], fault)
            return self._app(environ, start_response)
        if fault.after_bytes == 0:
            return self._work_in_vain(fault, environ)
        return _cut_after(self._app(environ, start_response), fault, environ)

    def _due(self, environ: WSGIEnvironment) -> Fault | None:
        with self._lock:
            hit = None
            for fault, count in self._counted:
                if fault.matches(environ):
                    count[0] += 1
                    if hit is None and fault.nth <= count[0] < fault.nth + fault.times:
                        hit = fault
            self.fired += hit is not None
            return hit

    def _work_in_vain(self, fault: Fault, environ: WSGIEnvironment) -> Iterable[bytes]:
        answer = self._app(environ, lambda _status, _headers, _exc_info=None: lambda _data: None)
        for _ in answer:
            pass
        _close(answer)
        _cut(environ, reset=fault.reset)
        raise _lost()


class _DoomedBody(Body):
    """`wsgi.input` that ends in a cut connection."""

    def __init__(self, stream: Any, fault: Fault) -> None:
        super().__init__(stream)
        self._left = fault.after_bytes
        self._fault = fault

    def take(self, read: Any, size: int | None) -> bytes:
        if self._left == 0:
            if self._fault.when is not None:
                self._fault.when.wait(WAIT_S)
            _sever(_socket(self), reset=self._fault.reset)
            raise _lost()
        data = super().take(read, self._left if size is None else min(size, self._left))
        self._left -= len(data)
        return data


def _answer(fault: Fault, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The fault's answer; the connection lives on only when the whole request was read."""
    body = environ["wsgi.input"]
    _skip(body, fault.after_bytes)
    headers = {"Content-Length": str(len(fault.body)), **fault.headers}
    if fault.drain:
        _skip(body, None)
    else:
        headers["Connection"] = "close"
        _forget_rest(body)
    start_response(f"{fault.status} {HTTPStatus(fault.status).phrase}", list(headers.items()))
    if fault.drain:
        return [fault.body]
    return _LastWords(fault.body, environ)


class _LastWords:
    """An answer after which the connection ends; the server closes it when all is sent, also when nothing is."""

    def __init__(self, body: bytes, environ: WSGIEnvironment) -> None:
        self._body = body
        self._environ = environ

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        _cut(self._environ, reset=False)


def _cut_after(answer: Iterable[bytes], fault: Fault, environ: WSGIEnvironment) -> Iterator[bytes]:
    left = fault.after_bytes
    try:
        for block in answer:
            yield block[:left]
            left -= len(block)
            if left <= 0:
                break
    finally:
        _close(answer)
    _cut(environ, reset=fault.reset)
    raise _lost()


def _skip(body: Any, size: int | None) -> None:
    """Read `size` bytes, or all, and forget them."""
    while size is None or size > 0:
        data = body.read(BLOCK if size is None else min(size, BLOCK))
        if not data:
            return
        if size is not None:
            size -= len(data)


def _forget_rest(body: Any) -> None:
    """Keep cheroot from reading the rest of the request, all of it in one piece, before it sends the answer."""
    while isinstance(body, Body):
        body = body.rfile
    if hasattr(body, "remaining"):
        body.remaining = 0


def _cut(environ: WSGIEnvironment, *, reset: bool) -> None:
    _sever(_socket(environ["wsgi.input"]), reset=reset)


def _lost() -> ConnectionResetError:
    """What the server gets to see; it knows a lost connection by the number and keeps quiet about it."""
    return ConnectionResetError(errno.ECONNRESET, "the connection was cut by a test")


def _socket(body: Any) -> socket.socket:
    """The connection under `wsgi.input`; cheroot keeps it at the end of a chain of `rfile`."""
    while hasattr(body, "rfile"):
        body = body.rfile
    connection: socket.socket = body.raw._sock
    return connection


def _sever(connection: socket.socket, *, reset: bool) -> None:
    """End the connection at once, with RST or with FIN.

    The server still holds the descriptor and closes it later, so it is not closed here but replaced by one whose
    other end is gone: whatever the server still writes fails as on any lost connection.
    """
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.shutdown(socket.SHUT_WR)
    gone, other_end = socket.socketpair()
    other_end.close()
    os.dup2(gone.fileno(), connection.fileno())
    gone.close()


def _close(answer: Iterable[bytes]) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()
