"""Objects in the states that their controllers leave them in, and what Argo CD should think of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from gitops_tree.tree import Object


@dataclass(frozen=True, eq=False)
class Sample:
    """An object in some state.

    Attributes:
        title: The state, for people.
        object: Of the API, as far as a health check reads it.
        state: What Argo CD should show: its status.
    """

    title: str
    object: Object
    state: str


def _status(title: str, status: Object | None, state: str, **metadata: Any) -> Sample:
    one: Object = {"metadata": {"name": "sample", "generation": 2, **metadata}}
    return Sample(title, one if status is None else {**one, "status": status}, state)


def _condition(kind: str, status: str, **more: str) -> Object:
    return {"conditions": [{"type": "Other", "status": "False"}, {"type": kind, "status": status, **more}]}


def _waiting(reason: str) -> Object:
    return {"readyReplicas": 0, "containerState": {"waiting": {"reason": reason}}}


_STOP: Final = {"serving.kserve.io/stop": "true"}
_FAILED: Final = {"lastFailureInfo": {"message": "no such image"}}
SAMPLES: Final = {
    ("argoproj.io", "Application"): (
        _status("that was just made", None, "Progressing"),
        _status("that Argo CD has not looked at", {"sync": {"status": "Unknown"}}, "Progressing"),
        _status("whose parts start", {"health": {"status": "Progressing"}}, "Progressing"),
        _status("whose parts are up", {"health": {"status": "Healthy"}}, "Healthy"),
        _status("a part of which failed", {"health": {"status": "Degraded", "message": "x"}}, "Degraded"),
    ),
    ("modelregistry.opendatahub.io", "ModelRegistry"): (
        _status("that was just made", None, "Progressing"),
        _status("of which the operator says nothing of use", {"conditions": []}, "Progressing"),
        _status("that serves", _condition("Available", "True"), "Healthy"),
        _status(
            "that waits for its database", _condition("Available", "False", reason="CreatedDeployment"), "Progressing"
        ),
        _status("that serves no more", _condition("Available", "Unknown"), "Progressing"),
    ),
    ("datasciencepipelinesapplications.opendatahub.io", "DataSciencePipelinesApplication"): (
        _status("that was just made", None, "Progressing"),
        _status("that is deployed", _condition("Ready", "True"), "Healthy"),
        _status("that is being deployed", _condition("Ready", "False", reason="Deploying"), "Progressing"),
        _status("that cannot be deployed", _condition("Ready", "False", reason="FailingToDeploy"), "Degraded"),
    ),
    ("kubeflow.org", "Notebook"): (
        _status("that was just made", None, "Progressing"),
        _status("that is stopped", None, "Healthy", annotations={"kubeflow-resource-stopped": "2026-01-01T00:00:00Z"}),
        _status(
            "that is stopped and still runs",
            {"readyReplicas": 1},
            "Healthy",
            annotations={"kubeflow-resource-stopped": ""},
        ),
        _status("that runs", {"readyReplicas": 1}, "Healthy"),
        _status("that starts", _waiting("ContainerCreating"), "Progressing"),
        _status("whose image cannot be pulled", _waiting("ImagePullBackOff"), "Degraded"),
        _status("that ends again and again", _waiting("CrashLoopBackOff"), "Degraded"),
    ),
    ("serving.kserve.io", "InferenceService"): (
        _status("that waits for its first promotion", None, "Healthy", annotations=_STOP),
        _status("that is stopped", _condition("Ready", "False", reason="Stopped"), "Healthy", annotations=_STOP),
        _status("that was just made", None, "Progressing"),
        _status("that starts", _condition("Ready", "Unknown"), "Progressing"),
        _status("that serves", {"observedGeneration": 2, **_condition("Ready", "True")}, "Healthy"),
        _status(
            "whose newest change KServe has not seen",
            {"observedGeneration": 1, **_condition("Ready", "True")},
            "Progressing",
        ),
        _status("that does not get ready", _condition("Ready", "False"), "Degraded"),
        _status("that is about to", _condition("Ready", "False", severity="Info"), "Progressing"),
        _status(
            "whose model cannot be loaded",
            {"modelStatus": {"transitionStatus": "BlockedByFailedLoad", **_FAILED}, **_condition("Ready", "True")},
            "Degraded",
        ),
        _status("that makes no sense", {"modelStatus": {"transitionStatus": "InvalidSpec"}}, "Degraded"),
        _status(
            "that was let run again",
            {"observedGeneration": 2, **_condition("Ready", "True")},
            "Healthy",
            annotations={"serving.kserve.io/stop": "false"},
        ),
    ),
}
"""By group and kind."""
_BEYOND: Final = ("debug", "dofile", "io", "load", "loadfile", "loadstring", "os", "package", "python", "require")
"""What Argo CD's Lua has not, and this one has."""


@cache
def assess(check: str, sample: Sample) -> str:
    """What a health check says of a sample: its status, or what went wrong in the Lua."""
    from lupa.lua51 import LuaError, LuaRuntime  # type: ignore[import-untyped] # Argo CD's is of this version

    lua = LuaRuntime(unpack_returned_tuples=True)
    scope = lua.globals()
    for name in _BEYOND:
        scope[name] = None
    scope["obj"] = lua.table_from(sample.object, recursive=True)
    try:
        said = lua.execute(check)
        return str(said["status"])
    except (LuaError, TypeError) as error:
        return f"an error: {error}"
