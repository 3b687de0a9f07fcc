"""The registry as a WSGI application: finds the endpoint, asks the gate, answers refusals.

It speaks the distribution specification 1.1 whole: pull, push, content discovery and content management.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from modelcar_sandbox.oci_registry.blobs import BlobEndpoints
from modelcar_sandbox.oci_registry.bodies import Body
from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.manifests import ManifestEndpoints
from modelcar_sandbox.oci_registry.names import check_name
from modelcar_sandbox.oci_registry.store import Store
from modelcar_sandbox.oci_registry.tokens import DELETE, PULL, PUSH, Access, Auth, Gate
from modelcar_sandbox.oci_registry.uploads import Uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Handler = Callable[[Request, Body, str, str], Response]

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "GET": (PULL,),
    "HEAD": (PULL,),
    "POST": (PULL, PUSH),
    "PATCH": (PULL, PUSH),
    "PUT": (PULL, PUSH),
    "DELETE": (DELETE,),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Paths of one shape.

    Attributes:
        path: Whole path; group 1 is the repository, group 2 what comes last. Names may themselves hold words like
            `blobs`, so group 1 is greedy.
        handlers: By method.
        writes: Whether even GET and DELETE belong to pushing.
    """

    path: re.Pattern[str]
    handlers: Mapping[str, Handler]
    writes: bool = False


class Registry:
    """The application; call it from as many threads as you like."""

    def __init__(self, directory: Path, auth: Auth | None) -> None:
        store = Store(directory)
        self._gate = Gate(auth) if auth is not None else None
        self._routes = _routes(BlobEndpoints(store, Uploads(directory / "uploads")), ManifestEndpoints(store))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; it was read to its end by then."""
        request = Request(environ)
        body = Body(environ)
        try:
            response = self._answer(request, body)
        except Refusal as refusal:
            content = json.dumps(refusal.body)
            response = Response(content, refusal.status, refusal.headers, content_type="application/json")
        body.skip()
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        return response(environ, start_response)

    def _answer(self, request: Request, body: Body) -> Response:
        if request.path == "/token" and self._gate is not None:
            if request.method != "GET":
                raise _not_allowed(["GET"])
            return Response(json.dumps(self._gate.issue(request)), content_type="application/json")
        if request.path in ("/v2", "/v2/"):
            return self._ping(request)
        for route in self._routes:
            if match := route.path.fullmatch(request.path):
                return self._endpoint(request, body, route, *match.groups())
        raise Refusal("UNSUPPORTED", "no such endpoint", {"path": request.path}, status=404)

    def _ping(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise _not_allowed(["GET", "HEAD"])
        if self._gate is not None:
            self._gate.check(request, [Access()])
        return Response("{}", content_type="application/json")

    def _endpoint(self, request: Request, body: Body, route: Route, name: str, last: str) -> Response:
        check_name(name)
        handler = route.handlers.get(request.method)
        if handler is None:
            raise _not_allowed(route.handlers)
        if self._gate is not None:
            self._gate.check(request, _needed(request, route, name))
        return handler(request, body, name, last)


def _routes(blobs: BlobEndpoints, manifests: ManifestEndpoints) -> tuple[Route, ...]:
    upload = {
        "GET": blobs.get_upload,
        "PATCH": blobs.append,
        "PUT": blobs.finish_upload,
        "DELETE": blobs.cancel_upload,
    }
    manifest = {"GET": manifests.get, "HEAD": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete}
    blob = {"GET": blobs.get, "HEAD": blobs.get, "DELETE": blobs.delete}
    return (
        Route(re.compile(r"/v2/(.+)/blobs/uploads(/?)"), {"POST": blobs.begin_upload}, writes=True),
        Route(re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)"), upload, writes=True),
        Route(re.compile(r"/v2/(.+)/blobs/([^/]+)"), blob),
        Route(re.compile(r"/v2/(.+)/manifests/([^/]+)"), manifest),
        Route(re.compile(r"/v2/(.+)/tags/(list)"), {"GET": manifests.list_tags}),
        Route(re.compile(r"/v2/(.+)/referrers/([^/]+)"), {"GET": manifests.list_referrers}),
    )


def _needed(request: Request, route: Route, name: str) -> list[Access]:
    """What the gate must grant; mounting also reads the repository that the blob comes from."""
    needed = [Access(name, (PULL, PUSH) if route.writes else ACTIONS[request.method])]
    source = request.args.get("from")
    if route.writes and "mount" in request.args and source:
        needed.append(Access(check_name(source), (PULL,)))
    return needed


def _not_allowed(methods: Iterable[str]) -> Refusal:
    return Refusal("UNSUPPORTED", "method not allowed", status=405, headers={"Allow": ", ".join(methods)})


def create_app(directory: Path, *, auth: Auth | None = None) -> WSGIApplication:
    """An OCI registry that keeps everything below `directory`.

    Args:
        directory: Made when missing; must allow hard links. What it holds from an earlier run is served again,
            unfinished uploads included. One process at a time.
        auth: Who may use it; everybody may do everything without.
    """
    return Registry(directory, auth)
