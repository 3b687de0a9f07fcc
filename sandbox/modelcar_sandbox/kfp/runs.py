"""How runs come about, those that somebody asks for and those of recurring runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from modelcar_sandbox.kfp.call import Backend, message, new_id, text, without_empty
from modelcar_sandbox.kfp.nodes import fnv1a
from modelcar_sandbox.kfp.pipeline_calls import latest_version
from modelcar_sandbox.kfp.pipeline_spec import check_parameters, check_spec, pipeline_name
from modelcar_sandbox.kfp.refusal import Refusal, internal
from modelcar_sandbox.kfp.store import Kind, Record
from modelcar_sandbox.kfp.times import NEVER, read_time, write_time

SERVICE_ACCOUNT: Final = "pipeline-runner"
# What Kubernetes makes names unique with: no vowels, so that no words come out.
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Source:
    """What is run.

    Attributes:
        spec: What `read_spec` gave.
        document: The members with which a run says it: a reference to a version, or the spec itself.
    """

    spec: Mapping[str, Any]
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Wanted:
    """A run to be made.

    Attributes:
        name: Need not be unique.
        experiment: Id of one that is there.
        source: What is run.
        runtime_config: Its parameters, which fit, and what else was given.
        scheduled_at: When it was due.
        workflow: Name of its workflow; empty for one that follows from the pipeline's.
        recurring_run: Id of the one that it belongs to; empty for none.
        more: Other members of its document.
    """

    name: str
    experiment: str
    source: Source
    runtime_config: Mapping[str, Any]
    scheduled_at: datetime
    workflow: str = ""
    recurring_run: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def read_source(backend: Backend, members: Mapping[str, Any]) -> Source:
    """What a request for a run or a recurring run wants to have run.

    Args:
        backend: Where versions are looked up; without a version the pipeline's latest is taken.
        members: The request's.

    Raises:
        Refusal: 500, there is no such thing; the real server means 404 and 400.
    """
    reference = message(members, "pipeline_version_reference")
    try:
        if "pipeline_spec" in members:
            spec = check_spec(members["pipeline_spec"])
            return Source(spec, {"pipeline_spec": spec})
        version = _version(backend, text(reference, "pipeline_id"), text(reference, "pipeline_version_id"))
    except Refusal as error:
        raise internal(f"Failed to create a run due to error fetching manifest: {error.message}") from error
    found = {"pipeline_id": version.parent, "pipeline_version_id": version.id}
    return Source(version.document["pipeline_spec"], {"pipeline_version_reference": found})


def _version(backend: Backend, pipeline_id: str, version_id: str) -> Record:
    if not version_id:
        if not pipeline_id:
            raise internal("Failed to fetch a template with an empty pipeline spec manifest")
        return latest_version(backend, pipeline_id)
    version = backend.there(Kind.VERSION, version_id)
    if pipeline_id and version.parent != pipeline_id:
        raise internal(f"Pipeline version {version_id} belongs to pipeline {version.parent} (not {pipeline_id})")
    return version


def read_runtime_config(members: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The request's `runtime_config`, held against what is to be run.

    Raises:
        Refusal: 400, a parameter is missing, unknown or of another type.
    """
    config = message(members, "runtime_config")
    check_parameters(spec, message(config, "parameters"))
    return without_empty(config)


def make_run(backend: Backend, wanted: Wanted) -> Record:
    """Put a run into the store and start it."""
    identifier, now = new_id(), backend.now()
    document = {
        "experiment_id": wanted.experiment,
        "run_id": identifier,
        "display_name": wanted.name,
        "storage_state": "AVAILABLE",
        **wanted.source.document,
        "runtime_config": dict(wanted.runtime_config),
        "created_at": now,
        "scheduled_at": write_time(wanted.scheduled_at),
        "finished_at": NEVER,
        "state": "PENDING",
        "recurring_run_id": wanted.recurring_run,
        "state_history": [{"update_time": now, "state": "PENDING"}],
        **wanted.more,
    }
    workflow = wanted.workflow or object_name(f"{pipeline_name(wanted.source.spec)}-")
    inner = {"workflow": workflow}
    run = Record(Kind.RUN, identifier, without_empty(document), parent=wanted.recurring_run, inner=inner)
    backend.store.add(run)
    backend.store.change(Kind.EXPERIMENT, wanted.experiment, lambda one: one.document.update(last_run_created_at=now))
    backend.runner.start(run, wanted.source.spec, wanted.runtime_config.get("parameters", {}))
    return run


def fire(backend: Backend, job: Record, due: datetime) -> None:
    """Make a run of a recurring run.

    Args:
        backend: Where it is made.
        job: The recurring run. One that names a version has the version's spec from when it was made; one that names
            only a pipeline takes the latest version of now.
        due: For when it was due.

    Raises:
        Refusal: The pipeline has no version any more, or one that takes other parameters.
    """
    name = run_name(job.inner["object_name"], job.inner["index"])
    config = job.document.get("runtime_config", {})
    pinned = "spec" in job.inner
    if pinned:
        names = ("pipeline_version_reference", "pipeline_spec")
        source = Source(job.inner["spec"], {n: job.document[n] for n in names if n in job.document})
    else:
        source = read_source(backend, job.document)
        check_parameters(source.spec, config.get("parameters", {}))
    wanted = Wanted(
        name=name,
        experiment=job.document["experiment_id"],
        source=source,
        runtime_config=config,
        scheduled_at=due if pinned else read_time(backend.now()),
        workflow=name if pinned else "",
        recurring_run=job.id,
        more={} if pinned else {"service_account": SERVICE_ACCOUNT},
    )
    make_run(backend, wanted)


def object_name(prefix: str) -> str:
    """A name that begins with `prefix` and that no other object has."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(5))


def run_name(job_name: str, index: int) -> str:
    """Name of the run of a recurring run with this number, from 1.

    Args:
        job_name: Name of the recurring run's object.
        index: How many runs there were, with this one.
    """
    return f"{job_name}-{index}-{fnv1a(f'{job_name}-{index}')}"
