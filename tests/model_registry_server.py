"""A Model Registry for tests: the sandbox's or a real one, and applications that are none."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from modelcar.errors import ImageNotFound
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import RegisteredVersion, Registration, register
from modelcar.reference import Digest, ImageReference

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ALL = ("registered_model", "model_version", "model_artifact")
OLD = "/api/model_registry/v1alpha3"


@dataclass(frozen=True, slots=True)
class Server:
    """A Model Registry, and what a test asks of it behind the library's back."""

    url: str
    run: str

    def connect(self) -> Connection:
        return Connection(self.url, attempts=3)

    def get(self, path: str, **query: str) -> Any:
        answer = requests.get(f"{self.url}{OLD}{path}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}{OLD}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def patch(self, path: str, **body: Any) -> Any:
        answer = requests.patch(f"{self.url}{OLD}{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def versions(self, model_id: str) -> Any:
        return self.get(f"/registered_models/{model_id}/versions")["items"]

    def artifacts(self, version_id: str) -> Any:
        return self.get(f"/model_versions/{version_id}/artifacts")["items"]

    def registration(self, **changes: Any) -> Registration:
        """A registration of a model that nobody else has."""
        wanted: dict[str, Any] = {
            "registered_model": f"{self.run}_model",
            "version": "v_1",
            "image": image(),
            "content_key": "c" * 64,
            "source_uri": "hf://org/name",
            "revision": "main",
            "commit_hash": "d" * 40,
            "owner": "team",
            "author": "me",
            "description": "first",
            "properties": {"ticket": "T-1"},
            "size_bytes": 40_000_000_000,
        }
        return Registration(**(wanted | changes))


def confirmed() -> None:
    """The image's registry holds the digest."""


def unheld() -> None:
    raise ImageNotFound("the image is not there")


def never() -> None:
    raise AssertionError("asked again for what is known")


def make(server: Server, registration: Registration, confirm: Callable[[], None] = confirmed) -> RegisteredVersion:
    return register(server.connect(), registration, confirm)


def by_hand(server: Server, registration: Registration, **version: Any) -> tuple[str, str]:
    """A model and a version that people made; their ids."""
    model = server.post("/registered_models", name=registration.registered_model)
    made = server.post("/model_versions", name=registration.version, registeredModelId=model["id"], **version)
    return model["id"], made["id"]


def assert_one_of_each(server: Server, registered: RegisteredVersion) -> None:
    model = server.get("/registered_model", name=registered.registered_model.replace("_", r"\_"))
    assert model["id"] == registered.registered_model_id
    assert [one["id"] for one in server.versions(model["id"])] == [registered.model_version_id]
    (artifact,) = server.artifacts(registered.model_version_id)
    assert (artifact["id"], artifact["uri"], artifact["state"]) == (
        registered.model_artifact_id,
        registered.uri,
        "LIVE",
    )


def image(content: str = "weights", repository: str = "team/model") -> ImageReference:
    return ImageReference("registry.example", repository, digest=Digest.of(content.encode()))


def answering(status: str, body: bytes, content_type: str = "application/json", **headers: str) -> WSGIApplication:
    """An application that says the same to everybody."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response(status, [("Content-Type", content_type), *headers.items()])
        return [body]

    return app


def only_old(app: WSGIApplication) -> WSGIApplication:
    """A server that does not know `v1`."""
    missing = answering("404 Not Found", b"404 page not found\n", "text/plain; charset=utf-8")

    def route(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        return (app if environ["PATH_INFO"].startswith(f"{OLD}/") else missing)(environ, start_response)

    return route


NO_MODELS = json.dumps({"items": [], "nextPageToken": "", "pageSize": 0, "size": 0}).encode()


class Mortal:
    """An application that can be told to answer so many requests and refuse all after them."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.lives: int | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            if self.lives is not None:
                self.lives -= 1
            dead = self.lives is not None and self.lives < 0
        return (answering("400 Bad Request", b"{}") if dead else self._app)(environ, start_response)


class Empty(http.server.ThreadingHTTPServer):
    """A Model Registry without models that also answers as a proxy, and behind TLS; it keeps what it was told.

    Attributes:
        told: Path, or URL as a proxy gets it, and headers of each request.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us hangs up."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Empty

    def do_GET(self) -> None:
        self.server.told.append((self.path, dict(self.headers.items())))
        found = self.path.partition("?")[0].endswith("registered_models")
        body = NO_MODELS if found else b'{"message": "none"}'
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.told.append((self.path, dict(self.headers.items())))
        self.send_response(403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve_empty(context: ssl.SSLContext | None = None) -> Iterator[Empty]:
    """Run one on a free port, behind TLS when there is a context."""
    with Empty() as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
