"""The WSGI application: routes, and how answers look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from modelcar_sandbox.kfp import experiment_calls as experiments
from modelcar_sandbox.kfp import pipeline_calls as pipelines
from modelcar_sandbox.kfp import recurring_run_calls as recurring
from modelcar_sandbox.kfp import run_calls as runs
from modelcar_sandbox.kfp.call import Backend, Call
from modelcar_sandbox.kfp.refusal import HTTP_STATUS, Code, Refusal, UploadRefusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BASE: Final = "/apis/v2beta1"
FILE_FIELD: Final = "uploadfile"
_JSON: Final = "application/json"
_NO_PAGES: Final = """\
This is the sandbox's Kubeflow Pipelines API. It has no web interface: on a cluster, this address shows the run.
Here, modelcar pipeline status RUN shows the one whose id ends the address.
"""

Handler = Callable[[Call], dict[str, Any] | bytes]


def create_app(backend: Backend) -> WSGIApplication:
    """Make the application of a server; it may be called from several threads at once."""
    rules = [Rule(path, methods=[method], endpoint=handler) for method, path, handler in _routes()]
    return partial(_answer, backend, Map(rules, merge_slashes=False))


def _health(_: Call) -> dict[str, Any]:
    return {"commit_sha": "unknown", "tag_name": "unknown", "multi_user": False, "pipeline_store": "database"}


def _describe_itself(_: Call) -> bytes:
    return _NO_PAGES.encode()


def _routes() -> Sequence[tuple[str, str, Handler]]:
    pipeline, version = f"{BASE}/pipelines/<pipeline>", f"{BASE}/pipelines/<pipeline>/versions/<version>"
    experiment, run = f"{BASE}/experiments/<experiment>", f"{BASE}/runs/<run>"
    job, node = f"{BASE}/recurringruns/<job>", "runs/<run>/nodes/<node>"
    return (
        ("GET", "/", _describe_itself),
        ("GET", f"{BASE}/healthz", _health),
        ("POST", f"{BASE}/pipelines", pipelines.create_pipeline),
        ("POST", f"{BASE}/pipelines/upload", pipelines.upload_pipeline),
        ("POST", f"{BASE}/pipelines/upload_version", pipelines.upload_version),
        ("GET", f"{BASE}/pipelines", pipelines.list_pipelines),
        ("GET", f"{BASE}/pipelines/names/<name>", pipelines.find_pipeline),
        ("GET", pipeline, pipelines.get_pipeline),
        ("DELETE", pipeline, pipelines.delete_pipeline),
        ("GET", f"{pipeline}/versions", pipelines.list_versions),
        ("GET", version, pipelines.get_version),
        ("DELETE", version, pipelines.delete_version),
        ("GET", f"{BASE}/experiments", experiments.list_experiments),
        ("POST", f"{BASE}/experiments", experiments.create_experiment),
        ("GET", experiment, experiments.get_experiment),
        ("DELETE", experiment, experiments.delete_experiment),
        ("POST", f"{experiment}:archive", experiments.archive_experiment),
        ("POST", f"{experiment}:unarchive", experiments.unarchive_experiment),
        ("GET", f"{BASE}/runs", runs.list_runs),
        ("POST", f"{BASE}/runs", runs.create_run),
        ("GET", run, runs.get_run),
        ("DELETE", run, runs.delete_run),
        ("POST", f"{run}:terminate", runs.terminate_run),
        ("POST", f"{run}:archive", runs.archive_run),
        ("POST", f"{run}:unarchive", runs.unarchive_run),
        ("GET", f"/apis/v1alpha1/{node}/log", runs.read_log),
        ("GET", f"/apis/v1beta1/{node}/artifacts/<artifact>:read", runs.read_artifact),
        ("GET", f"{BASE}/{node}/artifacts/<artifact>:read", runs.read_artifact),
        ("GET", f"{BASE}/recurringruns", recurring.list_recurring_runs),
        ("POST", f"{BASE}/recurringruns", recurring.create_recurring_run),
        ("GET", job, recurring.get_recurring_run),
        ("DELETE", job, recurring.delete_recurring_run),
        ("POST", f"{job}:enable", recurring.enable_recurring_run),
        ("POST", f"{job}:disable", recurring.disable_recurring_run),
    )


def _answer(backend: Backend, urls: Map, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    with Request(environ) as request:
        response = _response(backend, urls, request)
    return response(environ, start_response)


def _response(backend: Backend, urls: Map, request: Request) -> Response:
    try:
        handler, path = urls.bind_to_environ(request.environ).match()
        answer = handler(_call(backend, request, path))
    except NotFound:
        if request.path.startswith("/apis/"):
            return _refused(Refusal(Code.NOT_FOUND, "Not Found", detailed=False))
        return Response("404 page not found\n", HTTPStatus.NOT_FOUND)
    except MethodNotAllowed:
        return _refused(Refusal(Code.UNIMPLEMENTED, "Method Not Allowed", detailed=False))
    except Refusal as refusal:
        return _refused(refusal)
    except UploadRefusal as refusal:
        if refusal.plain:
            return Response(refusal.message, refusal.status)
        return Response(json.dumps(refusal.as_json()), refusal.status)
    if isinstance(answer, bytes):
        return Response(answer)
    return Response(json.dumps(answer, ensure_ascii=False), content_type=_JSON)


def _call(backend: Backend, request: Request, path: Mapping[str, Any]) -> Call:
    if request.mimetype == "multipart/form-data":
        return Call(backend, path, request.args, file=request.files.get(FILE_FIELD))
    return Call(backend, path, request.args, request.get_data())


def _refused(refusal: Refusal) -> Response:
    return Response(json.dumps(refusal.as_json()), HTTP_STATUS[refusal.code], content_type=_JSON)
