"""A server on loopback that answers what a test wants, over TLS too, and writes down what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; `body` that is no bytes goes out as JSON."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Canned:
    """What is answered, and what was asked.

    Attributes:
        url: `http(s)://127.0.0.1:PORT`.
        answers: In turn; the last one again and again.
        by_path: By the path without its query; goes before `answers`.
        asked: Method and path of each request.
        authorizations: The Authorization header of each request, or None.
        bodies: Of each request.
    """

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    by_path: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def next(self, path: str) -> Answer:
        named = self.by_path.get(path.partition("?")[0])
        if named is not None:
            return named
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serve_answers(*answers: Answer, certificate: Path | None = None, **by_path: Any) -> Iterator[Canned]:
    """Answer until the context ends."""
    canned = Canned(answers=list(answers), **by_path)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            canned.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            canned.asked.append(f"{self.command} {self.path}")
            canned.authorizations.append(self.headers["Authorization"])
            answer = canned.next(self.path)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.content)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Clients that do not trust the certificate hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        canned.url = f"http{'s' if certificate is not None else ''}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield canned
        server.shutdown()
        thread.join()
