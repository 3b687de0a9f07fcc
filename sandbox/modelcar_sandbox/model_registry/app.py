"""The WSGI application: routes, who may call, and how answers look."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule, Submount
from werkzeug.wrappers import Request, Response

from modelcar_sandbox.model_registry.call import Call, Handler
from modelcar_sandbox.model_registry.refusal import Refusal
from modelcar_sandbox.model_registry.routes import routes
from modelcar_sandbox.model_registry.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BASES: Final = ("/api/model_registry/v1", "/api/model_registry/v1alpha3")
HEALTH: Final = "/readyz/health"
_JSON: Final = "application/json; charset=UTF-8"


def create_app(directory: Path, token: str | None = None) -> WSGIApplication:
    """Make a Model Registry.

    Args:
        directory: Where it keeps its database; made if needed. One that was used before is opened again.
        token: What callers must send as `Authorization: Bearer TOKEN`; None lets everyone in.

    Returns:
        The application; it may be called from several threads at once.

    Raises:
        OSError: The directory cannot be made.
        sqlite3.Error: There is something else where the database should be.
    """
    return partial(_answer, Store(directory), _route_map(), token)


def _route_map() -> Map:
    def rules() -> list[Rule]:
        return [Rule(path, methods=[method], endpoint=handler) for method, path, handler in routes()]

    health = Rule(HEALTH, methods=["GET"], endpoint=None)
    return Map([health, *(Submount(base, rules()) for base in BASES)], merge_slashes=False)


def _answer(
    store: Store, urls: Map, token: str | None, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    request = Request(environ)
    try:
        handler, path = urls.bind_to_environ(environ).match()
    except NotFound:
        return Response("404 page not found\n", HTTPStatus.NOT_FOUND)(environ, start_response)
    except MethodNotAllowed as refused:
        allowed = ", ".join(sorted(refused.valid_methods or ()))
        return Response(status=refused.code, headers={"Allow": allowed})(environ, start_response)
    if handler is None:
        return Response("OK")(environ, start_response)
    status, body = _call(store, handler, path.get("id", ""), request, token)
    response = Response(json.dumps(body, ensure_ascii=False) + "\n", status, content_type=_JSON)
    return response(environ, start_response)


def _call(
    store: Store, handler: Handler, identifier: str, request: Request, token: str | None
) -> tuple[HTTPStatus, dict[str, Any]]:
    try:
        _check_token(request, token)
        return handler(Call(store, identifier, request.args, request.get_data()))
    except Refusal as refusal:
        return refusal.status, {"code": refusal.code, "message": refusal.message}


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "a bearer token is needed, and it was missing or wrong")
