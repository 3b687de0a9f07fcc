"""Runs: start, watch, end, put away; what their steps wrote."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any, Final

from modelcar_pipelines.events import TaskEvent
from modelcar_sandbox.kfp.call import Call, text
from modelcar_sandbox.kfp.listing import page
from modelcar_sandbox.kfp.nodes import step_path, task_details
from modelcar_sandbox.kfp.refusal import Code, Refusal, UploadRefusal, internal, not_found
from modelcar_sandbox.kfp.runs import SERVICE_ACCOUNT, Wanted, make_run, read_runtime_config, read_source
from modelcar_sandbox.kfp.store import Kind, Record
from modelcar_sandbox.kfp.times import read_time

_MEMBERS: Final = frozenset(
    {
        "run_id",
        "experiment_id",
        "display_name",
        "description",
        "storage_state",
        "pipeline_version_id",
        "pipeline_version_reference",
        "pipeline_spec",
        "runtime_config",
        "service_account",
        "recurring_run_id",
        "plugins_input",
        "created_at",
        "scheduled_at",
        "finished_at",
        "state",
        "error",
        "run_details",
        "state_history",
    }
)


KEPT_LOG: Final = "main-logs"
"""What Argo calls the log of a step's container when it keeps it."""


def create_run(call: Call) -> dict[str, Any]:
    """Make a run and start it."""
    members = call.members(_MEMBERS)
    name = text(members, "display_name")
    if not name:
        raise internal("Failed to convert API run to internal representation: Run name is empty")
    given = text(members, "experiment_id") or call.query.get("experiment_id")
    experiment = call.backend.there(Kind.EXPERIMENT, given or call.backend.default_experiment)
    source = read_source(call.backend, members)
    config = read_runtime_config(members, source.spec)
    more = {
        "description": text(members, "description"),
        "service_account": text(members, "service_account") or SERVICE_ACCOUNT,
    }
    now = read_time(call.backend.now())
    return make_run(call.backend, Wanted(name, experiment.id, source, config, now, more=more)).document


def list_runs(call: Call) -> dict[str, Any]:
    """List runs, those of an experiment or all."""
    runs, experiment = call.backend.store.all(Kind.RUN), call.query.get("experiment_id")
    if experiment:
        call.backend.there(Kind.EXPERIMENT, experiment)
        runs = [run for run in runs if run.document["experiment_id"] == experiment]
    shown = [call.backend.runner.live(run) for run in runs]
    answer = page(Kind.RUN, shown, call.query, "runs")
    by_id = {run.id: run for run in shown}
    for document in answer.get("runs", ()):
        _add_details(call, by_id[document["run_id"]])
    return answer


def get_run(call: Call) -> dict[str, Any]:
    """Get a run with its tasks."""
    return _add_details(call, call.backend.runner.live(call.backend.there(Kind.RUN, call.path["run"])))


def terminate_run(call: Call) -> dict[str, Any]:
    """End a run: it is CANCELING, and FAILED when its processes are gone."""
    if call.backend.runner.terminate(call.path["run"]) is None:
        raise not_found(Kind.RUN, call.path["run"])
    return {}


def archive_run(call: Call) -> dict[str, Any]:
    """Put a run away; it goes on."""
    return _store_as(call, "ARCHIVED")


def unarchive_run(call: Call) -> dict[str, Any]:
    """Take a run back, but not out of an archived experiment."""
    run = call.backend.there(Kind.RUN, call.path["run"])
    experiment = call.backend.store.get(Kind.EXPERIMENT, run.document["experiment_id"])
    if experiment and experiment.document["storage_state"] == "ARCHIVED":
        message = f"Failed to unarchive run {run.id} as experiment {experiment.id} must be un-archived first"
        raise Refusal(Code.FAILED_PRECONDITION, message)
    return _store_as(call, "AVAILABLE")


def delete_run(call: Call) -> dict[str, Any]:
    """End a run and forget it."""
    if not call.backend.store.remove(Kind.RUN, call.path["run"]):
        raise not_found(Kind.RUN, call.path["run"])
    call.backend.runner.forget(call.path["run"])
    return {}


def read_log(call: Call) -> bytes:
    """What a step wrote so far, by the name of its pod or node."""
    run, path = _step(call)
    log = None if path is None else call.backend.runner.directory(run.id).log(path)
    if log is None:
        # The real server has begun to answer with 200 when it finds out.
        message = f"Failed to read logs from pod {call.path['node']} due to error opening log stream"
        raise UploadRefusal(HTTPStatus.OK, f"Failed to read logs for run {run.id}: {message}")
    return log


def read_artifact(call: Call) -> dict[str, Any]:
    """The content of a step's output artifact; its log is one, as where Argo keeps logs."""
    run, path = _step(call)
    directory, name = call.backend.runner.directory(run.id), call.path["artifact"]
    content = None if path is None else directory.log(path) if name == KEPT_LOG else directory.artifact(path, name)
    if content is None:
        raise UploadRefusal(HTTPStatus.NOT_FOUND, "artifact not found: <nil>")
    return {"data": base64.b64encode(content).decode()}


def _step(call: Call) -> tuple[Record, str | None]:
    run = call.backend.store.get(Kind.RUN, call.path["run"])
    if run is None:
        raise UploadRefusal(HTTPStatus.NOT_FOUND, f"Run {call.path['run']} not found")
    events = call.backend.runner.directory(run.id).events()
    paths = dict.fromkeys(event.path for event in events if isinstance(event, TaskEvent))
    return run, step_path(run.inner["workflow"], list(paths), call.path["node"])


def _add_details(call: Call, run: Record) -> dict[str, Any]:
    events = call.backend.runner.directory(run.id).events()
    details = task_details(run.document, run.inner["workflow"], read_time(run.document["created_at"]), events)
    if details:
        run.document["run_details"] = {"task_details": details}
    return run.document


def _store_as(call: Call, state: str) -> dict[str, Any]:
    changed = call.backend.store.change(
        Kind.RUN, call.path["run"], lambda run: run.document.update(storage_state=state)
    )
    if changed is None:
        raise not_found(Kind.RUN, call.path["run"])
    return {}
