"""Objects of a cluster with KServe, in the shapes that its API gives them: what the reader looks at, and no more.

What they say at each moment of a rollout was seen on KServe's controller with a real kubelet and containerd.
"""

from __future__ import annotations

from typing import Any

OLD, NEW = "sha256:" + "0a" * 32, "sha256:" + "1b" * 32
NEVER_BUILT = "sha256:" + "0" * 64
IMAGE = "127.0.0.1:9/team/granite"
"""Of a registry that nobody listens for, and no name server is asked for."""
BACK_OFF = f'Back-off pulling image "{IMAGE}@{NEW}": ErrImagePull: rpc error: code = NotFound desc = not found'

Object = dict[str, Any]


def service(
    digest: str = NEW, *, name: str = "granite", image: str = IMAGE, stop: str = "", failure: Object | None = None
) -> Object:
    """An InferenceService. Its status says that all is well, as KServe's does while a rollout goes wrong."""
    metadata: Object = {"name": name, "generation": 2}
    if stop:
        metadata["annotations"] = {"serving.kserve.io/stop": stop}
    status: Object = {
        "observedGeneration": 2,
        "conditions": [{"type": "PredictorReady", "status": "True"}, {"type": "Ready", "status": "True"}],
        "modelStatus": {"transitionStatus": "UpToDate", "states": {"targetModelState": "Loaded"}},
    }
    if failure:
        status["modelStatus"] = {"transitionStatus": "InvalidSpec", "lastFailureInfo": failure}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": {"model": {"modelFormat": {"name": "vLLM"}, "storageUri": f"oci://{image}@{digest}"}}},
        "status": status,
    }


def deployment(
    digest: str = NEW,
    *,
    name: str = "granite",
    seen: int = 2,
    wants: int = 1,
    conditions: Any = (),
    counts: dict[str, int] | None = None,
) -> Object:
    """The predictor's Deployment. Without `counts`, one pod is there, up to date and ready."""
    counts = counts if counts is not None else {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-predictor", "generation": 2},
        "spec": {"replicas": wants, "selector": {"matchLabels": _labels(name)}, "template": _template(digest, name)},
        "status": {"observedGeneration": seen, **counts, "conditions": list(conditions)},
    }


def surging(*, conditions: Any = (), **other: int) -> Object:
    """The Deployment while a new pod is there beside the old one, which is still the only one that is ready."""
    counts = {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1, "unavailableReplicas": 1}
    return deployment(conditions=conditions, counts=counts | other)


def pod(
    digest: str,
    *,
    ready: bool = False,
    made: str = "2026-11-23T12:00:00Z",
    init: Object | None = None,
    modelcar: Object | None = None,
    server: Object | None = None,
    name: str = "granite",
    **more: Any,
) -> Object:
    """A pod of the Deployment.

    Args:
        digest: Of the image that it was made to run.
        ready: Whether it is.
        made: When.
        init: What differs in the status of `modelcar-init`.
        modelcar: What differs in the status of `modelcar`.
        server: What differs in the status of `kserve-container`.
        name: Of the InferenceService.
        more: Members of its metadata (`deletionTimestamp`) or status (`phase`, `scheduled`).
    """
    template = _template(digest, name)
    waits = {"state": {"waiting": {"reason": "PodInitializing"}}, "imageID": "", "restartCount": 0}
    runs = {"state": {"running": {"startedAt": made}}, "restartCount": 0}
    pulled = {"imageID": f"{IMAGE}@{digest}"}
    done = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "restartCount": 0, **pulled}
    usual = {**runs, **pulled} if ready else waits
    metadata: Object = {
        "name": f"{name}-predictor-{digest[7:12]}",
        "creationTimestamp": made,
        "labels": _labels(name),
        "annotations": template["metadata"]["annotations"],
    }
    if "deletionTimestamp" in more:
        metadata["deletionTimestamp"] = more["deletionTimestamp"]
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    if "scheduled" in more:
        conditions[0] = {"type": "PodScheduled", "status": "False", **more["scheduled"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
        "status": {
            "phase": more.get("phase", "Running" if ready else "Pending"),
            "conditions": conditions,
            "initContainerStatuses": [{"name": "modelcar-init", **(done if ready else waits), **(init or {})}],
            "containerStatuses": [
                {"name": "kserve-container", "ready": ready, **(runs if ready else waits), **(server or {})},
                {"name": "modelcar", "ready": ready, **usual, **(modelcar or {})},
            ],
        },
    }


def waiting(reason: str, message: str = "", restarts: int = 0, exit_code: int | None = None) -> Object:
    """The status of a container that waits."""
    told = {"reason": reason, **({"message": message} if message else {})}
    last = {} if exit_code is None else {"terminated": {"exitCode": exit_code, "reason": "Error"}}
    return {"state": {"waiting": told}, "lastState": last, "restartCount": restarts}


def ended(exit_code: int, restarts: int = 0, reason: str = "Error") -> Object:
    """The status of a container that has ended and was not started again yet."""
    return {"state": {"terminated": {"exitCode": exit_code, "reason": reason}}, "restartCount": restarts}


def _labels(name: str) -> dict[str, str]:
    return {"app": f"isvc.{name}-predictor", "serving.kserve.io/inferenceservice": name}


def _template(digest: str, name: str) -> Object:
    image = f"{IMAGE}@{digest}"
    uri = f"oci://{image}"
    return {
        "metadata": {
            "labels": _labels(name),
            "annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": uri},
        },
        "spec": {
            "initContainers": [{"name": "modelcar-init", "image": image}],
            "containers": [
                {"name": "kserve-container", "image": "vllm.example/vllm:1"},
                {"name": "modelcar", "image": image},
            ],
        },
    }
