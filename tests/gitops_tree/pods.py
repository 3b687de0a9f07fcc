"""Pods that the tree leads to: of Deployments, Jobs, workbenches, steps, and served models as KServe makes them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gitops_tree.objects import annotations_of, describe, labels_of, name_of, namespace_of
from gitops_tree.tree import Object, Tree

SIDECAR: Final = {"cpu": "10m", "memory": "15Mi"}
"""What KServe gives each of a ModelCar's two containers."""
PROXY: Final = {"cpu": "100m", "memory": "256Mi"}
"""What the operators give the container that asks who calls, at most."""


@dataclass(frozen=True)
class Pod:
    """A pod as it would be.

    Attributes:
        owner: What makes it, as problems call it.
        kind: Of the owner.
        namespace: Where it is.
        labels: Of the pod.
        spec: Of the pod.
        copies: How many stand at once when nothing changes.
        surges: Whether a new one stands beside the old one while a change rolls out.
        injected: Names of containers that operators add.
    """

    owner: str
    kind: str
    namespace: str
    labels: Mapping[str, str]
    spec: Object
    copies: int = 1
    surges: bool = False
    injected: frozenset[str] = frozenset()

    @property
    def containers(self) -> list[Object]:
        """Those that run beside each other."""
        return list(self.spec.get("containers", ()))

    @property
    def init_containers(self) -> list[Object]:
        """Those that run before, one after the other."""
        return list(self.spec.get("initContainers", ()))

    @property
    def own_containers(self) -> list[Object]:
        """All that git says something of."""
        return [one for one in (*self.init_containers, *self.containers) if one["name"] not in self.injected]


def pods(tree: Tree) -> list[Pod]:
    """All pods of a tree, those of pipelines' steps included."""
    if pods not in tree.memo:
        tree.memo[pods] = list(_pods(tree))
    found: list[Pod] = tree.memo[pods]
    return found


def _pods(tree: Tree) -> Iterator[Pod]:
    runtimes = {(namespace_of(one), name_of(one)): one for one in tree.of_kind("ServingRuntime")}
    for one in tree.objects:
        if one["kind"] == "InferenceService":
            runtime = runtimes.get((namespace_of(one), one["spec"]["predictor"]["model"].get("runtime", "")))
            yield _serving(one, runtime["spec"] if runtime else {})
        elif one["kind"] in _PLAIN:
            yield from _PLAIN[one["kind"]](one)
    for one in tree.tekton_pipelines:
        yield from _steps(one)


def _deployment(one: Object) -> Iterator[Pod]:
    spec = one["spec"]
    recreated = spec.get("strategy", {}).get("type") == "Recreate"
    yield _templated(one, spec["template"], copies=spec.get("replicas", 1), surges=not recreated)


def _job(one: Object) -> Iterator[Pod]:
    yield _templated(one, one["spec"]["template"])


def _cron_job(one: Object) -> Iterator[Pod]:
    yield _templated(one, one["spec"]["jobTemplate"]["spec"]["template"])


def _notebook(one: Object) -> Iterator[Pod]:
    """As the controller makes it: labels of the Notebook, and a proxy in front of it."""
    made = _templated(one, one["spec"]["template"])
    proxy = {"name": "kube-rbac-proxy", "resources": {"requests": PROXY, "limits": PROXY}}
    own = {"notebook-name": name_of(one), "opendatahub.io/workbenches": "true"}
    yield Pod(
        made.owner,
        made.kind,
        made.namespace,
        {**made.labels, **labels_of(one), **own},
        _with_containers(made.spec, proxy),
        injected=frozenset({"kube-rbac-proxy"}),
    )


def _build(one: Object) -> Iterator[Pod]:
    container = {"name": "docker-build", "resources": one["spec"].get("resources", {})}
    labels = {"openshift.io/build.name": f"{name_of(one)}-1"}
    yield Pod(describe(one), one["kind"], namespace_of(one), labels, {"containers": [container]})


_PLAIN: Final = {
    "Deployment": _deployment,
    "Job": _job,
    "CronJob": _cron_job,
    "Notebook": _notebook,
    "BuildConfig": _build,
}


def _templated(one: Object, template: Object, copies: int = 1, *, surges: bool = False) -> Pod:
    labels = template.get("metadata", {}).get("labels", {})
    return Pod(describe(one), one["kind"], namespace_of(one), labels, template["spec"], copies, surges)


def _serving(one: Object, runtime: Object) -> Pod:
    """As KServe makes it of an InferenceService and its runtime: two containers for the ModelCar, and a proxy."""
    predictor = one["spec"]["predictor"]
    model = predictor["model"]
    spec = {key: copy.copy(value) for key, value in predictor.items() if key not in _NO_POD}
    server = dict(next(iter(runtime.get("containers", ())), {"name": "kserve-container"}))
    server["args"] = [*server.get("args", ()), *model.get("args", ())]
    server["env"] = [*server.get("env", ()), *model.get("env", ())]
    server["resources"] = model.get("resources", {})
    image = str(model.get("storageUri", "")).removeprefix("oci://")
    carried = {"image": image, "resources": {"requests": SIDECAR, "limits": SIDECAR}}
    spec["initContainers"] = [{"name": "modelcar-init", **carried}]
    spec["containers"] = [server, {"name": "modelcar", **carried}]
    spec["volumes"] = [*runtime.get("volumes", ()), *predictor.get("volumes", ())]
    injected = {"modelcar-init", "modelcar"}
    if annotations_of(one).get("security.opendatahub.io/enable-auth") == "true":
        spec["containers"].append({"name": "kube-rbac-proxy", "resources": {"requests": PROXY, "limits": PROXY}})
        injected.add("kube-rbac-proxy")
    labels = {
        **labels_of(one),
        "serving.kserve.io/inferenceservice": name_of(one),
        "app": f"isvc.{name_of(one)}-predictor",
        "component": "predictor",
    }
    copies = max(predictor.get("minReplicas", 1), predictor.get("maxReplicas", 1))
    surges = predictor.get("deploymentStrategy", {}).get("type") != "Recreate"
    return Pod(describe(one), one["kind"], namespace_of(one), labels, spec, copies, surges, frozenset(injected))


_NO_POD: Final = frozenset({"model", "minReplicas", "maxReplicas", "deploymentStrategy", "volumes"})


def _steps(pipeline: Object) -> Iterator[Pod]:
    """One pod for each task, as Tekton makes it."""
    for task in (*pipeline["spec"]["tasks"], *pipeline["spec"].get("finally", ())):
        inner = task.get("taskSpec", {})
        containers = [_container(step) for step in inner.get("steps", ())]
        labels = {"app.kubernetes.io/managed-by": "tekton-pipelines", "tekton.dev/pipelineTask": task["name"]}
        spec = {"containers": containers, "volumes": list(inner.get("volumes", ()))}
        owner = f"{describe(pipeline)}, task {task['name']}"
        yield Pod(owner, pipeline["kind"], namespace_of(pipeline), labels, spec)


def _container(step: Object) -> Object:
    return {**step, "name": f"step-{step.get('name')}", "resources": step.get("computeResources", {})}


def _with_containers(spec: Object, *more: Object) -> Object:
    return {**spec, "containers": [*spec["containers"], *more]}


def claims(spec: Object) -> list[str]:
    """Names of PersistentVolumeClaims that a pod mounts."""
    volumes: Iterable[Any] = spec.get("volumes", ())
    return [one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one]
