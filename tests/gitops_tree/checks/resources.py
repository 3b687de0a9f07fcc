"""Checks 20 to 23 and 30: everything fits into the quota, the limits, the volumes and the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from gitops_tree.capacity import KFP, Limits, containers, limits_of, most, runs, standing, total
from gitops_tree.checks.registry import check
from gitops_tree.model_sizes import SIZES_BYTES
from gitops_tree.objects import describe, namespace_of, quantity, values_at
from gitops_tree.pods import SIDECAR, Pod, pods
from gitops_tree.tree import NAMESPACE, Object, Tree, read_yaml

PACKAGING_FACTOR: Final = 1
"""How often promote-model-workspace holds a model: it downloads to the volume, and pushes from there without a copy."""
VOLUME_KEYS: Final = ("requests.storage", "persistentvolumeclaims")
GPU: Final = "nvidia.com/gpu"


@check(20, "All pods, a rolling update of one model, and a run of any pipeline fit the ResourceQuota at once")
def quota(tree: Tree) -> Iterator[str]:
    """Models roll out one after the other; each but one that is recreated stands twice meanwhile."""
    there = list(standing(tree))
    asked = total([one.amounts for one in there for _ in range(one.copies)])
    surge = most([one.amounts for one in there if one.surges])
    run = most([one.amounts for one in runs(tree)])
    everything = total([asked, surge, run])
    for one in tree.of_kind("ResourceQuota"):
        for key, stated in one["spec"]["hard"].items():
            if key.startswith("limits.") and key not in ("limits.cpu", "limits.memory", "limits.ephemeral-storage"):
                yield f"{describe(one)}: {key} counts nothing; extended resources are counted by requests"
            if key not in VOLUME_KEYS and everything.get(key, Fraction(0)) > quantity(stated):
                yield f"{describe(one)}: {key} is {stated}, and {_written(everything[key])} may be asked for at once"
    if not tree.of_kind("ResourceQuota"):
        yield f"{NAMESPACE} has no ResourceQuota"


def _written(amount: Fraction) -> str:
    gibibytes = amount / 1024**3
    return f"{float(gibibytes):.1f}Gi" if gibibytes >= 1 else f"{float(amount):g}"


@check(21, "Every container and volume, with the LimitRange's defaults, is within it; so are a ModelCar's containers")
def limit_range(tree: Tree) -> Iterator[str]:
    limits = limits_of(tree)
    for name, value in SIDECAR.items():
        if limits.low.get(name, Fraction(0)) > quantity(value):
            yield f"LimitRange of {NAMESPACE}: the least {name} is more than the {value} of a ModelCar's containers"
    for who, resources in containers(tree):
        yield from (f"{who} {problem}" for problem in _beyond(limits, resources))
    for highest in _largest_volumes(tree):
        yield from (
            f"{who} is larger than LimitRange of {NAMESPACE} lets it be"
            for who, size in volumes(tree)
            if size > highest
        )


def _beyond(limits: Limits, resources: Object) -> Iterator[str]:
    requests, allowed = limits.defaulted(resources)
    for name, request in requests.items():
        if request < limits.low.get(name, request):
            yield f"asks for less {name} than LimitRange of {NAMESPACE} lets it"
        if request > allowed.get(name, request):
            yield f"asks for more {name} than its limit, or than the default of one"
    for name, limit in allowed.items():
        if limit > limits.high.get(name, limit):
            yield f"may use more {name} than LimitRange of {NAMESPACE} lets it"


def _largest_volumes(tree: Tree) -> Iterator[Fraction]:
    for one in tree.of_kind("LimitRange"):
        for limit in one["spec"]["limits"]:
            if limit["type"] == "PersistentVolumeClaim":
                yield quantity(limit["max"]["storage"])


def volumes(tree: Tree) -> Iterator[tuple[str, Fraction]]:
    """All volumes that may be there at once: of the tree, of the pipeline server, and of a run of each pipeline."""
    for one in tree.of_kind("PersistentVolumeClaim"):
        if namespace_of(one) == NAMESPACE:
            yield describe(one), _storage(one["spec"])
    for one in tree.of_kind("DataSciencePipelinesApplication"):
        yield from ((f"{describe(one)}, database", quantity(size)) for size in values_at(one["spec"], "pvcSize"))
    for path, run in tree.sample_runs.items():
        for template in values_at(run["spec"], "volumeClaimTemplate"):
            yield path, _storage(template["spec"])
    for path, text in tree.files.items():
        if path.startswith(KFP):
            yield from (
                (path, quantity(one["size"])) for document in read_yaml(text)[1:] for one in _workspaces(document)
            )


def _workspaces(platform: Object) -> Iterator[Mapping[str, str]]:
    for config in values_at(platform, "pipelineConfig"):
        yield from values_at(config, "workspace")


def _storage(spec: Object) -> Fraction:
    return quantity(spec["resources"]["requests"]["storage"])


@check(22, "All volumes, those of a run of each pipeline included, fit the ResourceQuota by size and number")
def volume_quota(tree: Tree) -> Iterator[str]:
    sizes = [size for _, size in volumes(tree)]
    asked = dict(zip(VOLUME_KEYS, (sum(sizes, Fraction(0)), Fraction(len(sizes))), strict=True))
    for one in tree.of_kind("ResourceQuota"):
        for key in VOLUME_KEYS:
            stated = one["spec"]["hard"].get(key)
            if stated is None:
                yield f"{describe(one)} does not limit {key}"
            elif asked[key] > quantity(stated):
                yield f"{describe(one)}: {key} is {stated}, and {_written(asked[key])} may be asked for at once"


@check(23, "The volume that a run makes holds each example model as often as the pipeline needs it: once")
def workspace(tree: Tree) -> Iterator[str]:
    """No workspace stands, so this asks for what promote-model-workspace makes with each of its runs."""
    made = [
        (path, size)
        for path, size in volumes(tree)
        if path.startswith((KFP, "compiled/")) and "promote-model-workspace" in path
    ]
    if len(made) < 2:
        yield "promote-model-workspace makes no volume on one of Tekton and Kubeflow Pipelines"
    sources = {spec["model"]["source"] for spec in tree.specs.values()}
    for source, size_bytes in SIZES_BYTES.items():
        if source not in sources:
            yield f"{source} has a size here, and no PromotionSpec is for it"
        for path, size in made:
            if size < size_bytes * PACKAGING_FACTOR:
                yield f"{path} makes a volume of {_written(size)}, and {source} has {_written(Fraction(size_bytes))}"


@check(30, "A served model has shared memory, and room for it beside its weights")
def memory(tree: Tree) -> Iterator[str]:
    sources = {spec["inferenceService"]["name"]: spec["model"]["source"] for spec in tree.specs.values()}
    for pod in pods(tree):
        if pod.kind != "InferenceService":
            continue
        shared = _shared_memory(pod)
        if shared is None:
            yield f"{pod.owner}: its runtime mounts no volume of memory at /dev/shm"
        limit = quantity(pod.containers[0]["resources"].get("limits", {}).get("memory", "0"))
        weights = SIZES_BYTES.get(sources.get(pod.owner.rpartition("/")[2], ""), 0)
        if limit < weights + (shared or 0):
            yield f"{pod.owner}: {_written(limit)} of memory do not hold its weights and /dev/shm"


def _shared_memory(pod: Pod) -> Fraction | None:
    """How large the volume of memory at /dev/shm may become; None where there is none."""
    mounts = {one["mountPath"]: one["name"] for one in pod.containers[0].get("volumeMounts", ())}
    for volume in pod.spec["volumes"]:
        made = volume.get("emptyDir", {})
        if volume["name"] == mounts.get("/dev/shm") and made.get("medium") == "Memory" and "sizeLimit" in made:  # noqa: S108
            return quantity(made["sizeLimit"])
    return None
