"""How the steps of a run ended, asked by a step that runs after them.

KFP tells an exit handler that something failed, not what (measured: no message, and the name of the group of tasks).
The pods know: a step's note is its container's termination message. On a cluster they are asked for by the workflow's
label, which needs no more than the pipeline's ServiceAccount has (`list` on pods); a local run names the file with its
events instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelcar.errors import PromotionError
from modelcar.steps.note import Note, find_note

EVENTS = "MODELCAR_RUN_EVENTS"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
_NODE_ANNOTATION = "workflows.argoproj.io/node-name"
_MAIN = "main"
"""The container that runs the step; the others are Argo's."""
_OUR_EXECUTOR = ".executor"


@dataclass(frozen=True, slots=True)
class EndedStep:
    """A step of a run.

    Attributes:
        task: Its name in the pipeline.
        state: SUCCEEDED, FAILED or RUNNING.
        seconds: From its start to its end; None while it runs.
        note: Why it failed, as it said itself.
        reason: Why it failed, when it could not say: out of memory, an image that cannot be pulled.
    """

    task: str
    state: str
    seconds: float | None
    note: Note | None = None
    reason: str = ""


def find_ended_steps(job: str) -> list[EndedStep]:
    """The steps of the run that this step belongs to, in the order in which they began; of each the last attempt.

    Args:
        job: Name of the run's workflow.

    Raises:
        PromotionError: Nobody can be asked.
    """
    if events := os.environ.get(EVENTS):
        return _read_events(Path(events))
    return _read_pods(job)


def _read_events(path: Path) -> list[EndedStep]:
    last: dict[str, dict[str, Any]] = {}
    began: dict[str, datetime] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "task":
            began.setdefault(event["path"], datetime.fromisoformat(event["at"]))
            last[event["path"]] = event
    return [
        EndedStep(
            event["task"],
            event["state"],
            (datetime.fromisoformat(event["at"]) - began[name]).total_seconds(),
            find_note(event["message"]),
            event["message"],
        )
        for name, event in last.items()
        if event["exit_code"] is not None
    ]


def _read_pods(job: str) -> list[EndedStep]:
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        config.load_incluster_config()
        namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
        selector = f"{_WORKFLOW_LABEL}={job}"
        answer = client.CoreV1Api().list_namespaced_pod(namespace, label_selector=selector, _request_timeout=30)
    except (config.ConfigException, client.ApiException, HTTPError, OSError) as error:
        raise PromotionError(
            f"the pods of {job} cannot be listed: {getattr(error, 'reason', None) or error}",
            hint="Let the pipeline's ServiceAccount list pods in its namespace.",
        ) from error
    return _latest(answer.items)


def _latest(pods: Iterable[Any]) -> list[EndedStep]:
    found: dict[str, EndedStep] = {}
    for pod in sorted(pods, key=lambda pod: pod.metadata.creation_timestamp):
        before, executor, _ = (pod.metadata.annotations or {}).get(_NODE_ANNOTATION, "").rpartition(_OUR_EXECUTOR)
        if executor:
            found[before] = _read_pod(before.rpartition(".")[2], pod)
    return list(found.values())


def _read_pod(task: str, pod: Any) -> EndedStep:
    status = next((one for one in pod.status.container_statuses or () if one.name == _MAIN), None)
    ended = status.state.terminated if status is not None else None
    if ended is None:
        waiting = status.state.waiting if status is not None else None
        reason = f"{waiting.reason}: {waiting.message}" if waiting is not None else pod.status.message or ""
        return EndedStep(task, "FAILED" if pod.status.phase == "Failed" else "RUNNING", None, None, reason)
    seconds = (ended.finished_at - ended.started_at).total_seconds() if ended.started_at else None
    if ended.exit_code == 0:
        return EndedStep(task, "SUCCEEDED", seconds)
    reason = f"{ended.reason} (exit code {ended.exit_code})"
    return EndedStep(task, "FAILED", seconds, find_note(ended.message or ""), reason)
