"""git's own smart HTTP backend on loopback, behind Basic auth, with faults on demand."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class GitServer:
    """A served directory of bare repositories.

    Attributes:
        url: `http://127.0.0.1:PORT`, or with `https`, without a slash at the end.
        requests: `METHOD /path?query` and the Authorization header (or None) of each request, in order.
        answers: Statuses to answer with instead, in order, to requests whose path ends with `faulty`; a status of 0
            closes the connection after the request was carried out.
        faulty: End of the path of requests that `answers` are for.
        location: Sent with redirects.
        protocol: Highest version of git's protocol that is spoken; 0 refuses objects that no branch names.
    """

    root: Path
    authorization: str | None
    url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    faulty: str = ""
    location: str = ""
    protocol: int = 2


@contextmanager
def serve_git(
    root: Path, *, username: str = "robot", token: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[GitServer]:
    """Serve the repositories below `root`; with a token, only to who sends it."""
    secret = base64.b64encode(f"{username}:{token}".encode()).decode()
    server = GitServer(root, f"Basic {secret}" if token else None)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, server)

        def do_POST(self) -> None:
            _answer(self, server)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
        server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _answer(handler: BaseHTTPRequestHandler, server: GitServer) -> None:
    sent = handler.headers.get("Authorization")
    server.requests.append((f"{handler.command} {handler.path}", sent))
    body = _body(handler)
    handler.close_connection = True
    fault = server.answers.pop(0) if server.answers and handler.path.endswith(server.faulty) else None
    if fault:
        _send(handler, fault, {"Location": server.location} if server.location else {}, b"")
    elif server.authorization is not None and sent != server.authorization:
        _send(handler, 401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
    else:
        status, headers, content = _backend(handler, server, body)
        if fault is None:
            _send(handler, status, headers, content)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


def _backend(handler: BaseHTTPRequestHandler, server: GitServer, body: bytes) -> tuple[int, dict[str, str], bytes]:
    path, _, query = handler.path.partition("?")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(server.root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROJECT_ROOT": str(server.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": handler.headers.get("Git-Protocol", "") if server.protocol else "",
        "REMOTE_USER": "robot",
        "REQUEST_METHOD": handler.command,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return int(headers.pop("Status", "200").split()[0]), headers, content


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
