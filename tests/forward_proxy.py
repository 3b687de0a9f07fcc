"""A proxy as companies have them, on loopback: it tunnels by CONNECT and passes plain requests on."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class ForwardProxy:
    """A running one.

    Attributes:
        url: For `HTTPS_PROXY` and `HTTP_PROXY`.
        routes: Where a `host:port` really is; others cannot be reached.
        asked: Method and `host:port` of every request, in order.
        credentials: The `Proxy-Authorization` of every request.
    """

    url: str
    routes: dict[str, str]
    asked: list[tuple[str, str]] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)


@contextmanager
def forward_proxy() -> Iterator[ForwardProxy]:
    """Serve until the block ends."""
    made: list[ForwardProxy] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            _serve(made[0], self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.append(ForwardProxy(f"http://127.0.0.1:{server.server_address[1]}", {}))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made[0]
        finally:
            server.shutdown()
            thread.join()


def _serve(proxy: ForwardProxy, client: socket.socket) -> None:
    head, rest = _read_head(client)
    method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
    found = re.match(r"(?:http://)?([^/]+)(/?.*)", target)
    assert found is not None
    place = found[1] if ":" in found[1] else f"{found[1]}:80"
    proxy.asked.append((method, place))
    given = re.search(r"^proxy-authorization: *(.*)\r$", head, re.IGNORECASE | re.MULTILINE)
    proxy.credentials.append(given[1] if given else None)
    if place not in proxy.routes:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    host, _, port = proxy.routes[place].rpartition(":")
    with socket.create_connection((host, int(port))) as server:
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            lines = [line for line in head.split("\r\n") if not line.lower().startswith(("connection:", "proxy-"))]
            lines[0] = f"{method} {found[2] or '/'} HTTP/1.1"
            lines.insert(1, "Connection: close")  # one request a connection, for the next one may go elsewhere
            server.sendall("\r\n".join(lines).encode() + rest)
        upward = threading.Thread(target=_pump, args=(client, server))
        upward.start()
        _pump(server, client)
        upward.join()


def _read_head(client: socket.socket) -> tuple[str, bytes]:
    """The request's head with the empty line, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode() + "\r\n\r\n", rest


def _pump(origin: socket.socket, target: socket.socket) -> None:
    """Pass everything on; the end, too."""
    try:
        while data := origin.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (origin, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
