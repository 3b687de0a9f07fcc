"""How the steps of a run ended, asked by a step that runs after them.

KFP tells an exit handler that something failed, not what (measured: no message, and the name of the group of tasks).
The pods know: a step's note is its container's termination message, or in it. On a cluster they are asked for by the
run's label, which needs no more than the pipeline's ServiceAccount has (`list` on pods); elsewhere the cluster is the
kubeconfig's; a local run names the file with its events instead.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from modelcar.errors import PromotionError
from modelcar.steps.note import Note, find_note

EVENTS = "MODELCAR_RUN_EVENTS"
PIPELINE_RUN = "PIPELINE_RUN"
"""Names the PipelineRun of Tekton that a step belongs to."""
FAILURE = "failure"
"""The result with the note of a step of Tekton, whose entrypoint writes the termination message."""
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NODE_ANNOTATION = "workflows.argoproj.io/node-name"
_STEP_NODE = re.compile(r"(?P<task>.+)\.executor(?:\((?P<attempt>[0-9]+)\))?")
"""The name of a step's node; of a step that is tried again, each attempt has one."""
_ON_THE_WAY = frozenset({None, "ContainerCreating", "PodInitializing"})
"""Why containers wait that will begin."""


@dataclass(frozen=True, slots=True)
class EndedStep:
    """A step of a run.

    Attributes:
        task: Its name in the pipeline.
        state: SUCCEEDED or FAILED.
        seconds: From its start to its end; None when it never ran.
        note: Why it failed, as it said itself.
        reason: Why it failed, when it could not say: out of memory, an image that cannot be pulled.
    """

    task: str
    state: str
    seconds: float | None
    note: Note | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Engine:
    """What runs the steps of a run, and how its pods are read.

    Attributes:
        label: That its pods have, with the run's name.
        container: That runs the step; the others are the engine's own.
        locate: The task of a pod and its attempt; None for a pod that is no step.
        read: The part of a termination message that the step wrote.
    """

    label: str
    container: str
    locate: Callable[[Any], tuple[str, int] | None]
    read: Callable[[str], str]


def find_ended_steps(job: str) -> list[EndedStep]:
    """The steps of the run that have ended, in the order in which they began; of each the last attempt.

    One that cannot begin, for instance because its image cannot be pulled, has failed.

    Args:
        job: Name of the run's workflow, or of its PipelineRun.

    Raises:
        PromotionError: Nobody can be asked.
    """
    if events := os.environ.get(EVENTS):
        return _read_events(Path(events))
    return _read_pods(job, _TEKTON if os.environ.get(PIPELINE_RUN) else _ARGO)


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


def _locate_in_workflow(pod: Any) -> tuple[str, int] | None:
    node = _STEP_NODE.fullmatch((pod.metadata.annotations or {}).get(_NODE_ANNOTATION, ""))
    return (node["task"], int(node["attempt"] or 0)) if node is not None else None


def _locate_in_pipeline_run(pod: Any) -> tuple[str, int] | None:
    labels = pod.metadata.labels or {}
    if labels.get("tekton.dev/memberOf") != "tasks":
        return None  # this step, and others that run last
    attempt = re.search(r"-retry([0-9]+)$", pod.metadata.name)
    return labels["tekton.dev/pipelineTask"], int(attempt[1]) if attempt is not None else 0


def read_failure(message: str) -> str:
    """The result `failure` in a termination message of Tekton's entrypoint; else the message itself."""
    try:
        results = json.loads(message)
    except ValueError:
        return message  # the container did not get so far
    if not isinstance(results, list):
        return message
    return "\n".join(str(one.get("value")) for one in results if one.get("key") == FAILURE)


_ARGO = _Engine("workflows.argoproj.io/workflow", "main", _locate_in_workflow, str)
_TEKTON = _Engine("tekton.dev/pipelineRun", "step-run", _locate_in_pipeline_run, read_failure)


def _read_pods(job: str, engine: _Engine) -> list[EndedStep]:
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    selector = f"{engine.label}={job}"
    try:
        configuration, namespace = _find_cluster()
        configuration.retries = False
        pods = client.CoreV1Api(client.ApiClient(configuration))
        answer = pods.list_namespaced_pod(namespace, label_selector=selector, _request_timeout=30)
    except (config.ConfigException, client.ApiException, HTTPError, OSError) as error:
        raise PromotionError(
            f"the pods of {job} cannot be listed: {getattr(error, 'reason', None) or error}",
            hint="Let the pipeline's ServiceAccount list pods in its namespace.",
        ) from error
    return _latest(answer.items, engine)


def _find_cluster() -> tuple[Any, str]:
    """The cluster that this is a pod of, else the kubeconfig's, and the namespace.

    Raises:
        kubernetes.config.ConfigException: There is neither.
        OSError: What the pod is given cannot be read.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)
        return configuration, _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except config.ConfigException:
        config.load_kube_config(client_configuration=configuration, persist_config=False)
        _, context = config.list_kube_config_contexts()
        return configuration, context["context"].get("namespace") or "default"


def _latest(pods: Iterable[Any], engine: _Engine) -> list[EndedStep]:
    steps = []
    for pod in pods:
        located = engine.locate(pod)
        if located is not None:
            # Times have whole seconds.
            steps.append((pod.metadata.creation_timestamp, located[1], located[0], pod))
    found: dict[str, EndedStep | None] = {}
    for _, _, task, pod in sorted(steps, key=lambda step: step[:3]):
        found[task] = _read_pod(task.rpartition(".")[2], pod, engine)
    return [one for one in found.values() if one is not None]


def _read_pod(task: str, pod: Any, engine: _Engine) -> EndedStep | None:
    """What became of the step of a pod; None while it runs."""
    status = next((one for one in pod.status.container_statuses or () if one.name == engine.container), None)
    ended = status.state.terminated if status is not None else None
    if ended is None:
        stuck = _why_stuck(pod)
        if not stuck and pod.status.phase != "Failed":
            return None
        return EndedStep(task, "FAILED", None, None, stuck or _words(pod.status.reason, pod.status.message))
    seconds = (ended.finished_at - ended.started_at).total_seconds() if ended.started_at else None
    if ended.exit_code == 0:
        return EndedStep(task, "SUCCEEDED", seconds)
    reason = _words(pod.status.reason, _words_of_end(ended))
    return EndedStep(task, "FAILED", seconds, find_note(engine.read(ended.message or "")), reason)


def _why_stuck(pod: Any) -> str:
    """Why one of a pod's containers does not begin, or failed before the step could begin; empty when none does."""
    before = pod.status.init_container_statuses or ()
    for status in before:
        ended = status.state.terminated
        if ended is not None and ended.exit_code != 0:
            return _words(status.name, _words_of_end(ended))
    for status in (*before, *(pod.status.container_statuses or ())):
        waiting = status.state.waiting
        if waiting is not None and waiting.reason not in _ON_THE_WAY:
            return _words(waiting.reason, waiting.message)
    return ""


def _words_of_end(ended: Any) -> str:
    return f"{ended.reason} (exit code {ended.exit_code})"


def _words(*words: str | None) -> str:
    return ": ".join(word for word in words if word)
