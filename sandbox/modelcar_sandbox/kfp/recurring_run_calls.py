"""Recurring runs: make, list, switch on and off, delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from modelcar_sandbox.kfp.call import Call, message, new_id, text, without_empty
from modelcar_sandbox.kfp.listing import page
from modelcar_sandbox.kfp.pipeline_calls import latest_version
from modelcar_sandbox.kfp.refusal import internal, invalid, malformed, not_found
from modelcar_sandbox.kfp.run_states import FINAL
from modelcar_sandbox.kfp.runs import SERVICE_ACCOUNT, object_name, read_runtime_config, read_source
from modelcar_sandbox.kfp.schedule import check_trigger
from modelcar_sandbox.kfp.store import Kind, Record

MOST_AT_ONCE: Final = 10
LONGEST_PREFIX: Final = 25
_ORPHAN: Final = frozenset({"ORPHAN", "3"})
_MEMBERS: Final = frozenset(
    {
        "recurring_run_id",
        "display_name",
        "description",
        "pipeline_version_id",
        "pipeline_version_reference",
        "pipeline_spec",
        "runtime_config",
        "service_account",
        "max_concurrency",
        "trigger",
        "mode",
        "created_at",
        "updated_at",
        "status",
        "error",
        "no_catchup",
        "namespace",
        "experiment_id",
        "plugins_input",
    }
)


def create_recurring_run(call: Call) -> dict[str, Any]:
    """Make a recurring run; one without trigger fires at once, if it is enabled."""
    members = call.members(_MEMBERS)
    document = _read(members)
    experiment = text(members, "experiment_id") or call.backend.default_experiment
    call.backend.there(Kind.EXPERIMENT, experiment)
    source, spec = _read_source(call, members)
    config = read_runtime_config(members, spec)
    now, identifier = call.backend.now(), new_id()
    pinned = "pipeline_version_id" in source.get("pipeline_version_reference", {}) or "pipeline_spec" in source
    document |= {
        "recurring_run_id": identifier,
        **source,
        "runtime_config": config,
        "service_account": text(members, "service_account") or (SERVICE_ACCOUNT if pinned else ""),
        "created_at": now,
        "updated_at": now,
        "namespace": call.backend.namespace,
        "experiment_id": experiment,
    }
    prefix = re.sub("[^a-z0-9-]+", "", document["display_name"].lower())[:LONGEST_PREFIX] or "job-"
    inner: dict[str, Any] = {"object_name": object_name(prefix), "index": 0}
    if pinned:
        inner["spec"] = spec
    trigger = {"trigger": document.pop("trigger")}  # there even when it is empty
    call.backend.store.add(Record(Kind.RECURRING_RUN, identifier, without_empty(document) | trigger, inner=inner))
    _changed(call)
    return call.backend.there(Kind.RECURRING_RUN, identifier).document


def list_recurring_runs(call: Call) -> dict[str, Any]:
    """List recurring runs: those of an experiment, or all."""
    found, experiment = call.backend.store.all(Kind.RECURRING_RUN), call.query.get("experiment_id")
    if experiment:
        found = [one for one in found if one.document["experiment_id"] == experiment]
    return page(Kind.RECURRING_RUN, found, call.query, "recurringRuns")


def get_recurring_run(call: Call) -> dict[str, Any]:
    """Get a recurring run."""
    return call.backend.there(Kind.RECURRING_RUN, call.path["job"]).document


def enable_recurring_run(call: Call) -> dict[str, Any]:
    """Let a recurring run fire; what it missed while it was disabled is made up for as its `no_catchup` says."""
    return _switch(call, mode="ENABLE", status="ENABLED")


def disable_recurring_run(call: Call) -> dict[str, Any]:
    """Let a recurring run fire no more; its runs go on."""
    return _switch(call, mode="DISABLE", status="DISABLED")


def delete_recurring_run(call: Call) -> dict[str, Any]:
    """Delete a recurring run. Its runs under way are killed, unless `propagation_policy=ORPHAN` lets them go on.

    A run that was killed so is told as it was for ever: `RUNNING`.
    """
    backend, identifier = call.backend, call.path["job"]
    with backend.timetable.held():
        if not backend.store.remove(Kind.RECURRING_RUN, identifier):
            raise not_found(Kind.RECURRING_RUN, identifier)
    if call.query.get("propagation_policy") not in _ORPHAN:
        for run in backend.store.all(Kind.RUN, identifier):
            if run.document["state"] not in FINAL:
                backend.runner.abandon(run.id)
    backend.clock.wake()
    return {}


def _read(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that stand for themselves, as documents have them."""
    if not text(members, "display_name"):
        raise internal("Failed to convert a API recurring run: Recurring run's name cannot be empty")
    at_once = _integer(members, "max_concurrency")
    if not 1 <= int(at_once) <= MOST_AT_ONCE:
        raise invalid(f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {at_once}")
    trigger = _read_trigger(message(members, "trigger"))
    check_trigger(trigger)
    enabled = members.get("mode") in {"ENABLE", 1}
    return {
        "display_name": members["display_name"],
        "description": text(members, "description"),
        "max_concurrency": at_once,
        "trigger": trigger,
        "mode": "ENABLE" if enabled else "DISABLE",
        "status": "ENABLED" if enabled else "DISABLED",
        "no_catchup": members.get("no_catchup") is True,
    }


def _read_trigger(given: Mapping[str, Any]) -> dict[str, Any]:
    """The trigger with its 64-bit numbers as text, as JSON of protocol buffers has them."""
    trigger = {name: message(given, name) for name in given}
    if "periodic_schedule" not in trigger:
        return trigger
    periodic = trigger["periodic_schedule"]
    return {**trigger, "periodic_schedule": {**periodic, "interval_second": _integer(periodic, "interval_second")}}


def _integer(members: Mapping[str, Any], name: str) -> str:
    """A 64-bit number, which JSON of protocol buffers has as text or as a number."""
    given = str(members.get(name, 0))
    if not re.fullmatch("-?[0-9]{1,18}", given):
        raise malformed(f"proto: invalid value for int64 field {name}: {given}")
    return given


def _read_source(call: Call, members: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """How the document says what is run, and the spec that parameters must fit now."""
    reference = message(members, "pipeline_version_reference")
    pipeline = text(reference, "pipeline_id")
    if pipeline and not reference.get("pipeline_version_id") and "pipeline_spec" not in members:
        version = latest_version(call.backend, pipeline)
        return {"pipeline_version_reference": {"pipeline_id": pipeline}}, version.document["pipeline_spec"]
    source = read_source(call.backend, members)
    return source.document, source.spec


def _switch(call: Call, **members: str) -> dict[str, Any]:
    now = call.backend.now()

    def switch(job: Record) -> None:
        job.document.update(members, updated_at=now)

    if call.backend.store.change(Kind.RECURRING_RUN, call.path["job"], switch) is None:
        raise not_found(Kind.RECURRING_RUN, call.path["job"])
    _changed(call)
    return {}


def _changed(call: Call) -> None:
    call.backend.timetable.fire_due()
    call.backend.clock.wake()
