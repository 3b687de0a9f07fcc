"""Reverse proxies to stand before any registry, real ones too, and to break what passes.

`reverse_proxy` is a WSGI application, so that `wsgi_faults.Faults` and `Recorder` break and record what passes it::

    faults = Faults(reverse_proxy("127.0.0.1:5000"), Fault.cut_request("PATCH", "/uploads/", 1 << 20))
    with Service(Recorder(faults)) as front:
        push(f"{front.address}/team/model:v1", ...)

`ByteProxy` knows nothing of HTTP: it cuts or stalls a connection at any byte, those of a request's head too.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BLOCK = 1 << 16
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}

Headers = list[tuple[str, str]]
Change = Callable[[str, str, int, Headers], tuple[int, Headers]]


class ClientGone(Exception):
    """The client closed its connection in the middle of a request."""


def reverse_proxy(address: str, change: Change | None = None) -> WSGIApplication:
    """Pass every request on and every answer back, block by block.

    Args:
        address: `host:port` of the registry, without TLS.
        change: Given method, path, status and headers of an answer; what it returns is answered instead.
    """

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        connection = HTTPConnection(address, timeout=60)
        try:
            _pass_on(environ, connection)
            answer = connection.getresponse()
        except (HTTPException, ConnectionError):
            connection.close()
            start_response("502 Bad Gateway", [("Content-Length", "0")])
            return []
        except ClientGone:
            connection.close()  # the registry shall see that, too
            raise ConnectionResetError(errno.ECONNRESET, "the client is gone") from None
        except BaseException:
            connection.close()
            raise
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() != "connection"]
        status = answer.status
        if change is not None:
            status, headers = change(environ["REQUEST_METHOD"], environ["PATH_INFO"], status, headers)
        start_response(f"{status} {answer.reason}", headers)
        return _blocks(answer.read, connection)

    return app


def _pass_on(environ: WSGIEnvironment, connection: HTTPConnection) -> None:
    query = environ.get("QUERY_STRING", "")
    target = environ.get("REQUEST_URI") or environ["PATH_INFO"] + (f"?{query}" if query else "")
    connection.putrequest(environ["REQUEST_METHOD"], target, skip_host=True, skip_accept_encoding=True)
    for name, value in _headers(environ):
        connection.putheader(name, value)
    chunked, length = environ.get("wsgi.input_terminated"), environ.get("CONTENT_LENGTH")
    if length and not chunked:
        connection.putheader("Content-Length", length)
    elif chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    left = int(length or 0)
    while block := environ["wsgi.input"].read(BLOCK if chunked else min(BLOCK, left)):
        left -= len(block)
        connection.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
    if left > 0 and not chunked:
        raise ClientGone
    if chunked:
        connection.send(b"0\r\n\r\n")


def _headers(environ: WSGIEnvironment) -> Headers:
    named = [(key.removeprefix("HTTP_"), value) for key, value in environ.items() if key.startswith("HTTP_")]
    if environ.get("CONTENT_TYPE"):
        named.append(("Content-Type", environ["CONTENT_TYPE"]))
    headers = [(name.replace("_", "-"), value) for name, value in named]
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _blocks(read: Callable[[int], bytes], connection: HTTPConnection) -> Iterator[bytes]:
    try:
        while block := read(BLOCK):
            yield block
    finally:
        connection.close()


class ByteProxy:
    """A running one; what comes after the fault passes untouched.

    Attributes:
        address: `host:port`, for clients.
        passed: Bytes that have passed, in both directions.
        happened: Set when the fault has.
    """

    def __init__(self, address: str, target: str) -> None:
        self.address, self.passed = address, 0
        self.happened, self.closed = threading.Event(), threading.Event()
        self._target, self._at, self._kind = target, -1, "reset"
        self._lock = threading.Lock()

    def arm(self, at: int | None, kind: str) -> None:
        """Count from now on, and break the connection that carries byte `at`; none where that is None.

        Args:
            at: Counted over all connections and both directions.
            kind: `reset` by RST, `end` by FIN in both directions, `stall` by silence for ever.
        """
        with self._lock:
            self.passed, self._at, self._kind = 0, -1 if at is None else at, kind

    def serve(self, client: socket.socket) -> None:
        """Pass one connection on until it ends or breaks."""
        host, _, port = self._target.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upward = threading.Thread(target=self._pump, args=(client, server), daemon=True)
            upward.start()
            self._pump(server, client)
            upward.join()

    def _pump(self, origin: socket.socket, target: socket.socket) -> None:
        try:
            while data := origin.recv(BLOCK):
                now = self._allow(len(data))
                target.sendall(data[:now])
                if now < len(data):
                    self._break(origin, target)
                    return
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for one in (origin, target):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _allow(self, count: int) -> int:
        """How many of so many bytes may pass."""
        with self._lock:
            allowed = count
            if self._at >= 0 and not self.happened.is_set() and self.passed + count > self._at:
                allowed = self._at - self.passed
                self.happened.set()
            self.passed += allowed
            return allowed

    def _break(self, *both: socket.socket) -> None:
        if self._kind == "stall":
            self.closed.wait()
        for one in both:
            with suppress(OSError):
                if self._kind == "reset":
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    one.shutdown(socket.SHUT_RD)  # sends nothing, and wakes the other direction, which holds it open
                    one.close()
                else:
                    one.shutdown(socket.SHUT_RDWR)


@contextmanager
def byte_proxy(target: str) -> Iterator[ByteProxy]:
    """Stand before the server at `host:port` until the block ends; nothing breaks before `arm`."""
    made: list[ByteProxy] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            made[0].serve(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A test's server is away, or its client."""

    with Server(("127.0.0.1", 0), Handler) as server:
        made.append(ByteProxy(f"127.0.0.1:{server.server_address[1]}", target))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made[0]
        finally:
            made[0].closed.set()
            server.shutdown()
            thread.join()
