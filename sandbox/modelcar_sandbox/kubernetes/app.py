"""The WSGI application: which request is which, and how answers look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from werkzeug.wrappers import Request, Response

from modelcar_sandbox.kubernetes import reading, writing
from modelcar_sandbox.kubernetes.call import Call
from modelcar_sandbox.kubernetes.discovery import find_document
from modelcar_sandbox.kubernetes.kinds import KINDS, NAMESPACE, Kind, find_kind
from modelcar_sandbox.kubernetes.objects import make
from modelcar_sandbox.kubernetes.refusal import Refusal, no_such_resource, not_allowed, not_found
from modelcar_sandbox.kubernetes.store import REMEMBERED, Key, Store
from modelcar_sandbox.kubernetes.watching import watch

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FIRST_NAMESPACES: Final = ("default", "kube-public", "kube-system")
_HEALTH: Final = ("/healthz", "/livez", "/readyz")

Handler = Callable[[Call], tuple[HTTPStatus, dict[str, Any]]]

_COLLECTION: Final[Mapping[str, Handler]] = {
    "GET": reading.list_objects,
    "POST": writing.create,
    "DELETE": writing.delete_collection,
}
_OBJECT: Final[Mapping[str, Handler]] = {
    "GET": reading.get,
    "PUT": writing.replace,
    "PATCH": writing.patch,
    "DELETE": writing.delete,
}
_STATUS: Final[Mapping[str, Handler]] = {"GET": reading.get, "PUT": writing.replace, "PATCH": writing.patch}


class Target(NamedTuple):
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class KubernetesApi:
    """A kube-apiserver as a WSGI application; may be called from several threads at once."""

    def __init__(self, directory: Path, remembered: int = REMEMBERED) -> None:
        """Open what a directory holds, or begin with the namespaces that every cluster has.

        Args:
            directory: Made when it is not there.
            remembered: How many changes can still be watched or listed.

        Raises:
            OSError: The directory cannot be made, or not be read.
            ValueError: There is something else where the objects should be.
        """
        self._store = Store(directory, remembered)
        with self._store.alone():
            for name in FIRST_NAMESPACES:
                key = Key(NAMESPACE.resource, "", name)
                if self._store.get(key) is None:
                    given = {"apiVersion": "v1", "kind": NAMESPACE.name, "metadata": {}}
                    self._store.put(key, make(NAMESPACE, given, "", name))

    def close(self) -> None:
        """End all watches; whoever stops the server does this first."""
        self._store.close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._answer(Request(environ), environ)(environ, start_response)

    def _answer(self, request: Request, environ: WSGIEnvironment) -> Response:
        path = request.path
        if path in _HEALTH:
            return Response("ok")
        document = find_document(path.rstrip("/"))
        if document is not None:
            return _json(HTTPStatus.OK, document)
        try:
            target = _find_target(path)
            if target is None:
                return Response("404 page not found\n", HTTPStatus.NOT_FOUND)
            return self._perform(request, environ, target)
        except Refusal as refusal:
            return _json(refusal.code, refusal.as_json())

    def _perform(self, request: Request, environ: WSGIEnvironment, target: Target) -> Response:
        call = Call(self._store, *target, request.args, request.get_data(), request.mimetype)
        if request.method == "GET" and not call.name and call.flag("watch"):
            return Response(watch(call, environ), content_type="application/json")
        handlers = _STATUS if call.subresource else _OBJECT if call.name else _COLLECTION
        handler = handlers.get(request.method)
        everywhere = call.kind.namespaced and not call.namespace
        if handler is None or (everywhere and request.method != "GET"):
            raise not_allowed()
        if handler is writing.delete_collection and not call.kind.namespaced:
            raise not_allowed()
        return _json(*handler(call))


def create_app(directory: Path, remembered: int = REMEMBERED) -> KubernetesApi:
    """Make a kube-apiserver; `KubernetesApi` says how."""
    return KubernetesApi(directory, remembered)


def _find_target(path: str) -> Target | None:
    """What a path names; None when no group has it.

    Raises:
        Refusal: The group has no such kind, or the kind no such part.
    """
    core, *parts = path.strip("/").split("/")
    if core == "api" and parts:
        group, version, rest = "", parts[0], parts[1:]
    elif core == "apis" and len(parts) > 1:
        group, version, rest = parts[0], parts[1], parts[2:]
    else:
        return None
    if not any((kind.group, kind.version) == (group, version) for kind in KINDS):
        return None
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = find_kind(group, version, rest[0]) if rest else None
    if kind is None or len(rest) > 3 or bool(namespace) > kind.namespaced:
        raise no_such_resource()
    name, subresource = [*rest[1:], "", ""][:2]
    if kind.namespaced and name and not namespace:
        raise no_such_resource()
    if subresource and (subresource != "status" or not kind.status):
        raise not_found(kind, name) if kind.custom else no_such_resource()
    return Target(kind, namespace, name, subresource)


def _json(code: int, body: dict[str, Any]) -> Response:
    status = f"{code:d} {HTTPStatus(code).phrase}"  # clients show the words, and werkzeug's would be shouted
    return Response(json.dumps(body) + "\n", status, content_type="application/json")
