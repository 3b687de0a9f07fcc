"""Runs on Tekton: started by their names, followed by their TaskRuns, and why they failed."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from modelcar.errors import InvalidInput, PipelineServerAccessDenied, PromotionError
from modelcar.steps.ended import FAILURE, read_failure
from modelcar.steps.note import Note, find_note
from modelcar_pipelines.cluster import Cluster
from modelcar_pipelines.events import State, TaskEvent
from modelcar_tekton.values import decode

GROUP, VERSION = "tekton.dev", "v1"
RUN_LABEL, TASK_LABEL = "tekton.dev/pipelineRun", "tekton.dev/pipelineTask"
LOOK_EVERY_S: Final = 1.0
_LETTERS: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class TektonOutcome:
    """What became of a run.

    Attributes:
        name: Of the PipelineRun.
        state: SUCCEEDED or FAILED; CANCELED when somebody ended it.
        message: Tekton's own words.
        failures: What failed steps left behind.
        results: That the run gave as a whole, by name.
    """

    name: str
    state: str
    message: str
    failures: tuple[Note, ...]
    results: Mapping[str, str]

    @property
    def exit_code(self) -> int:
        """0 when it succeeded, 2 when the input of a failed step is at fault, else 1."""
        if self.state == "SUCCEEDED":
            return 0
        return 2 if any(note.exit_code == 2 for note in self.failures) else 1


def start_run(cluster: Cluster, namespace: str, run: Mapping[str, Any]) -> str:
    """Create a PipelineRun; returns its name.

    Args:
        cluster: Where.
        namespace: In which namespace.
        run: As `make_run` makes it; it gets a name instead of the start of one, so that it is made once.

    Raises:
        InvalidInput: The namespace has no such Pipeline, the cluster has no Tekton, or it refuses the run.
        PipelineServerError: The cluster refuses, fails or cannot be reached.
    """
    pipeline = run["spec"]["pipelineRef"]["name"]
    if cluster.get_object(GROUP, VERSION, namespace, "pipelines", pipeline) is None:
        if not _knows_tekton(cluster, namespace):
            raise InvalidInput(
                f"the cluster at {cluster.url} has no Tekton ({GROUP}/{VERSION})",
                hint="Check which cluster the kubeconfig names; on OpenShift, OpenShift Pipelines brings it.",
            )
        raise InvalidInput(
            f"namespace {namespace} has no Pipeline {pipeline} of Tekton",
            hint=f"Apply compiled/tekton with: oc apply -k compiled/tekton --namespace {namespace}",
        )
    suffix = "".join(random.choices(_LETTERS, k=5))  # noqa: S311 - a name, not a secret
    metadata = {key: value for key, value in run["metadata"].items() if key != "generateName"}
    name = f"{run['metadata']['generateName']}{suffix}"
    body = {**run, "metadata": {"name": name, **metadata}}
    cluster.create_object(GROUP, VERSION, namespace, "pipelineruns", body)
    return name


def _knows_tekton(cluster: Cluster, namespace: str) -> bool:
    try:
        return cluster.list_objects(GROUP, VERSION, namespace, "pipelines") is not None
    except PipelineServerAccessDenied:
        return True  # who may only read a Pipeline by its name, as the CronJob, is not told what is there


def follow_run(
    cluster: Cluster,
    namespace: str,
    name: str,
    tell: Callable[[TaskEvent], None],
    *,
    wait: Callable[[float], None] = time.sleep,
) -> TektonOutcome:
    """Tell what becomes of a run's tasks until it has ended, however it ends.

    Args:
        cluster: Where it runs.
        namespace: In which namespace.
        name: Of the PipelineRun.
        tell: Called for each change of a task.
        wait: Given the seconds until the next look.

    Raises:
        PromotionError: The run is gone, or the cluster does not answer for long.
    """
    told: dict[str, State] = {}
    while True:
        run = cluster.get_object(GROUP, VERSION, namespace, "pipelineruns", name)
        if run is None:
            raise InvalidInput(f"namespace {namespace} has no PipelineRun {name}", hint="Somebody deleted it.")
        # After the run, so that what is told of its tasks is not older.
        tasks = cluster.list_objects(GROUP, VERSION, namespace, "taskruns", label_selector=f"{RUN_LABEL}={name}")
        tasks = sorted(tasks or (), key=lambda one: (one["status"].get("startTime") or "z") if "status" in one else "z")
        titles = _titles(run)
        for task in tasks:
            _tell_changes(task, titles, told, tell)
        ended = _find_condition(run)
        if ended is not None and ended["status"] != "Unknown":
            return _outcome(run, ended, tasks)
        wait(LOOK_EVERY_S)


def _tell_changes(
    task: Mapping[str, Any], titles: Mapping[str, str], told: dict[str, State], tell: Callable[[TaskEvent], None]
) -> None:
    name = task["metadata"]["labels"][TASK_LABEL]
    status = task.get("status", {})
    if "startTime" not in status:
        return
    condition = _find_condition(task)
    states = {"True": State.SUCCEEDED, "False": State.FAILED}
    state = states.get(condition["status"], State.RUNNING) if condition is not None else State.RUNNING
    for one in (State.RUNNING, state):
        if told.get(name) in (one, State.SUCCEEDED, State.FAILED):
            continue
        told[name] = one
        at = status["startTime"] if one is State.RUNNING else status.get("completionTime", status["startTime"])
        tell(TaskEvent(_time(at), name, name, titles.get(name, name), one))


def _outcome(run: Mapping[str, Any], ended: Mapping[str, Any], tasks: list[dict[str, Any]]) -> TektonOutcome:
    state = "SUCCEEDED" if ended["status"] == "True" else "FAILED"
    if ended.get("reason") in ("Cancelled", "CancelledRunFinally", "StoppedRunFinally"):
        state = "CANCELED"
    notes = (_find_note(task) for task in tasks)
    results = {one["name"]: str(_read(one["value"])) for one in run["status"].get("results", ())}
    found = tuple(dict.fromkeys(note for note in notes if note is not None))
    return TektonOutcome(run["metadata"]["name"], state, str(ended.get("message", "")), found, results)


def _find_note(task: Mapping[str, Any]) -> Note | None:
    condition = _find_condition(task)
    if condition is None or condition["status"] != "False":
        return None
    status = task.get("status", {})
    for one in status.get("results", ()):
        if one["name"] == FAILURE:
            return find_note(str(one["value"]))
    # Older versions keep results of failed tasks where the entrypoint wrote them only.
    messages = (str(step.get("terminated", {}).get("message", "")) for step in status.get("steps", ()))
    return next((note for message in messages if (note := find_note(read_failure(message))) is not None), None)


def _read(text: Any) -> Any:
    try:
        return decode(str(text), "STRING", "a result")
    except PromotionError:
        return text  # not of our writing


def _titles(run: Mapping[str, Any]) -> dict[str, str]:
    spec = run.get("status", {}).get("pipelineSpec", {})
    return {
        one["name"]: one.get("displayName", one["name"]) for one in (*spec.get("tasks", ()), *spec.get("finally", ()))
    }


def _find_condition(thing: Mapping[str, Any]) -> Mapping[str, Any] | None:
    conditions = thing.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] == "Succeeded"), None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
