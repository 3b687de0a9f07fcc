"""What serves, and why the new model does not yet: read from the Deployment and its pods.

An InferenceService says Ready, and Argo CD Healthy, while its new model can never start (measured on KServe: for ten
minutes, until the Deployment's `progressDeadlineSeconds` are over). So its conditions are not read here. The Deployment
tells whether it is through, and the pods tell which image their `modelcar` container runs.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from modelcar.delivery.inference_service import STOP_ANNOTATION, digest_of, is_placeholder
from modelcar_gitops.pod_failure import find_failure, show_line

Object = Mapping[str, Any]

POD_LABEL: Final = "serving.kserve.io/inferenceservice"
"""Has the InferenceService's name on each of its pods."""
SOURCE_ANNOTATION: Final = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""Has the storageUri that a pod was made from."""
_CONTAINER: Final = "modelcar"
_ENDED: Final = frozenset({"Failed", "Succeeded"})


class State(StrEnum):
    """How far a rollout is."""

    STOPPED = "stopped"
    SERVING = "serving"
    ROLLING_OUT = "rolling out"
    CANNOT_START = "cannot start"


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """What became of an InferenceService's model.

    Attributes:
        service: Its name.
        state: Serving only when nothing else than the wanted model serves, and the Deployment is through.
        wanted: The model that the InferenceService names: `sha256:…`, or its storageUri where that pins no digest.
        serving: The models that ready pods run, the wanted one first; empty when nothing serves.
        reason: Why it is not serving, on one line; empty where the state says it all.
    """

    service: str
    state: State
    wanted: str
    serving: tuple[str, ...] = ()
    reason: str = ""

    @property
    def waits_for_promotion(self) -> bool:
        """Whether it is stopped because nothing was promoted yet."""
        return self.state is State.STOPPED and is_placeholder(f"@{self.wanted}")


def deployment_of(service: Object) -> str:
    """The name of the Deployment that KServe makes for an InferenceService."""
    return f"{service['metadata']['name']}-predictor"


def storage_uri_of(service: Object) -> str:
    """The storageUri of an InferenceService; empty when it has none."""
    model = ((service.get("spec") or {}).get("predictor") or {}).get("model") or {}
    return str(model.get("storageUri") or "")


def read_rollout(service: Object, deployment: Object | None, pods: Iterable[Object]) -> RolloutStatus:
    """How far the rollout of an InferenceService is.

    Args:
        service: The InferenceService, as the cluster has it.
        deployment: Named by `deployment_of`; None when there is none.
        pods: All with its `POD_LABEL`.
    """
    name = str(service["metadata"]["name"])
    wanted = _model(storage_uri_of(service))
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and _phase(pod) not in _ENDED]
    running = dict.fromkeys(_model_of(pod) for pod in living if _holds(pod, "Ready"))
    serving = tuple(sorted(running, key=lambda model: model != wanted))
    if _annotations(service).get(STOP_ANNOTATION, "").lower() == "true":
        return RolloutStatus(name, State.STOPPED, wanted, serving)
    if deployment is None:
        failure = _read_refusal(service)
        state = State.CANNOT_START if failure else State.ROLLING_OUT
        return RolloutStatus(name, state, wanted, serving, failure or "KServe has made no Deployment yet")
    if deployment["spec"].get("replicas") == 0 and _is_through(deployment):
        return RolloutStatus(name, State.STOPPED, wanted, serving, "scaled to no pod")
    if serving == (wanted,) and _is_through(deployment) and _model_of_template(deployment) in (wanted, ""):
        return RolloutStatus(name, State.SERVING, wanted, serving)
    failure = _find_failure(wanted, deployment, living)
    if failure:
        return RolloutStatus(name, State.CANNOT_START, wanted, serving, failure)
    return RolloutStatus(name, State.ROLLING_OUT, wanted, serving, _describe_progress(wanted, deployment))


def _is_through(deployment: Object) -> bool:
    """Whether the Deployment's controller has seen the newest template, and all replicas are of it and ready."""
    status = deployment.get("status") or {}
    replicas = deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == status.get("readyReplicas", 0) == replicas
        and not status.get("unavailableReplicas")
    )


def _find_failure(wanted: str, deployment: Object, pods: Sequence[Object]) -> str:
    """Why a pod cannot start, the newest of the wanted model first; else why there is none. Empty for no reason."""

    def order(pod: Object) -> tuple[bool, str]:
        return _model_of(pod) == wanted, str(pod["metadata"].get("creationTimestamp") or "")

    starting = sorted((pod for pod in pods if not _holds(pod, "Ready")), key=order, reverse=True)
    found = next(filter(None, map(find_failure, starting)), "")
    if found:
        return found
    for condition in _conditions(deployment):
        bad = {"ReplicaFailure": "True", "Progressing": "False"}.get(str(condition.get("type")))
        if bad is not None and condition.get("status") == bad:
            return show_line(f"{condition.get('reason')}: {condition.get('message') or ''}")
    return ""


def _describe_progress(wanted: str, deployment: Object) -> str:
    if _model_of_template(deployment) not in (wanted, ""):
        return "KServe has not put it into the Deployment yet"
    status = deployment.get("status") or {}
    replicas = deployment["spec"].get("replicas", 1)
    return f"{status.get('updatedReplicas', 0)} of {replicas} pods made, {status.get('readyReplicas', 0)} ready in all"


def _read_refusal(service: Object) -> str:
    """Why KServe made nothing of it, such as a runtime that is not there; empty when it does not say."""
    failure = ((service.get("status") or {}).get("modelStatus") or {}).get("lastFailureInfo") or {}
    told = [str(failure[key]) for key in ("reason", "message") if failure.get(key)]
    return show_line(": ".join(told))


def _model_of(pod: Object) -> str:
    """The model that a pod runs, or was made to run.

    Of an image for several platforms, containerd tells the digest that was asked for, the index's. CRI-O tells the
    first of all that it knows for the image, which may be the platform's, and names the one asked for beside it.
    Source: https://github.com/cri-o/cri-o/pull/6924.
    """
    status = pod.get("status") or {}
    statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    names = (
        str(one.get(key) or "") for one in statuses if one.get("name") == _CONTAINER for key in ("imageID", "image")
    )
    told = [digest for digest in map(digest_of, names) if digest]
    asked = _model_in(pod)
    return asked if asked in told or not told else told[0]


def _model_of_template(deployment: Object) -> str:
    """The model that the Deployment makes pods of; empty where its template does not tell."""
    template = deployment["spec"].get("template") or {}
    return _model_in({"metadata": template.get("metadata") or {}, "spec": template.get("spec") or {}})


def _model_in(pod: Object) -> str:
    """The model that a pod, or a template of pods, asks for."""
    images = (str(one.get("image") or "") for one in _containers(pod) if one.get("name") == _CONTAINER)
    pinned = next((digest for digest in map(digest_of, images) if digest), None)
    return pinned or _model(_annotations(pod).get(SOURCE_ANNOTATION, ""))


def _containers(pod: Object) -> Iterator[Object]:
    spec = pod.get("spec") or {}
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def _model(storage_uri: str) -> str:
    return digest_of(storage_uri) or storage_uri


def _annotations(one: Object) -> Mapping[str, str]:
    return one["metadata"].get("annotations") or {}


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _conditions(one: Object) -> Sequence[Object]:
    return (one.get("status") or {}).get("conditions") or ()


def _holds(one: Object, kind: str) -> bool:
    return any(condition.get("type") == kind and condition.get("status") == "True" for condition in _conditions(one))
