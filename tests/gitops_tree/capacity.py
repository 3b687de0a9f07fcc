"""What may be asked of a namespace at once: containers with their defaults, pods, the pipeline server, runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

from gitops_tree.objects import describe, namespace_of, quantity, values_at
from gitops_tree.pods import PROXY, Pod, pods
from gitops_tree.tree import NAMESPACE, Object, Tree, read_yaml

KFP: Final = "compiled/kfp/"
Amounts = Mapping[str, Fraction]


@dataclass(frozen=True)
class Asked:
    """What somebody asks for.

    Attributes:
        who: As problems call it.
        amounts: By the keys of a ResourceQuota: `requests.cpu`, `limits.memory`.
        copies: How often.
        surges: Whether one more stands beside them while a change rolls out.
    """

    who: str
    amounts: Amounts
    copies: int = 1
    surges: bool = False


@dataclass(frozen=True)
class Limits:
    """A LimitRange's word on containers.

    Attributes:
        low: The least, by resource.
        high: The most.
        request: For one that says nothing.
        limit: For one that says nothing.
    """

    low: Amounts
    high: Amounts
    request: Amounts
    limit: Amounts

    def defaulted(self, resources: Object) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
        """Requests and limits as the API server fills them in."""
        limits = {**self.limit, **amounts(resources.get("limits"))}
        stated = amounts(resources.get("limits"))
        requests = {**self.request, **stated, **amounts(resources.get("requests"))}
        return requests, limits


def amounts(stated: Mapping[str, Any] | None) -> dict[str, Fraction]:
    """Quantities by resource."""
    return {name: quantity(value) for name, value in (stated or {}).items()}


def limits_of(tree: Tree, namespace: str = NAMESPACE) -> Limits:
    """Of the LimitRange in a namespace; of nothing where there is none."""
    found = (one["spec"]["limits"] for one in tree.of_kind("LimitRange") if namespace_of(one) == namespace)
    entry: Object = next((limit for limits in found for limit in limits if limit["type"] == "Container"), {})
    return Limits(*(amounts(entry.get(field)) for field in ("min", "max", "defaultRequest", "default")))


def containers(tree: Tree) -> Iterator[tuple[str, Object]]:
    """Resources of all containers in our namespace, and whose they are, those that operators make included."""
    for pod in pods(tree):
        if pod.namespace == NAMESPACE:
            for one in (*pod.init_containers, *pod.containers):
                yield f"{pod.owner}, container {one['name']}", one.get("resources", {})
    for one in tree.of_kind("DataSciencePipelinesApplication"):
        for part, resources in parts(one["spec"]):
            yield f"{describe(one)}, {part}", resources
    for path, text in tree.files.items():
        if path.startswith(KFP):
            yield from ((f"{path}, {name}", resources) for name, resources in _steps(text))


def parts(spec: Object) -> Iterator[tuple[str, Object]]:
    """Resources of the parts of a pipeline server that are deployed."""
    for name in ("apiServer", "persistenceAgent", "scheduledWorkflow", "workflowController"):
        yield name, spec.get(name, {}).get("resources", {})
    for name in ("grpc", "envoy"):
        yield f"mlmd.{name}", spec.get("mlmd", {}).get(name, {}).get("resources", {})
    for database in values_at(spec.get("database", {}), "mariaDB"):
        yield "database.mariaDB", database.get("resources", {})
    proxy = {"requests": PROXY, "limits": PROXY}
    yield from ((f"the proxy of {name}", proxy) for name in ("apiServer", "mlmd.envoy"))


def standing(tree: Tree) -> Iterator[Asked]:
    """All that may be there at once, beside runs of pipelines."""
    limits = limits_of(tree)
    for pod in pods(tree):
        if pod.namespace == NAMESPACE and pod.kind != "Pipeline":
            yield Asked(pod.owner, _of_pod(pod, limits), pod.copies, pod.surges)
    for one in tree.of_kind("DataSciencePipelinesApplication"):
        for part, resources in parts(one["spec"]):
            yield Asked(f"{describe(one)}, {part}", _flat(limits.defaulted(resources)))


def runs(tree: Tree) -> Iterator[Asked]:
    """A run of each pipeline, with all its steps at once."""
    limits = limits_of(tree)
    steps: dict[str, list[Amounts]] = {}
    for pod in pods(tree):
        if pod.kind == "Pipeline":
            steps.setdefault(pod.owner.partition(",")[0], []).append(_of_pod(pod, limits))
    helper = _flat(limits.defaulted({}))
    for path, text in tree.files.items():
        if path.startswith(KFP):  # beside each step: what Argo adds to it, and its driver's pod
            steps[path] = [total([_flat(limits.defaulted(one)), helper, helper, helper]) for _, one in _steps(text)]
    yield from (Asked(who, total(each)) for who, each in steps.items())


@cache
def _steps(text: str) -> tuple[tuple[str, Object], ...]:
    executors = read_yaml(text)[0]["deploymentSpec"]["executors"]
    return tuple((name, _resources(one["container"])) for name, one in executors.items() if "container" in one)


def _resources(container: Object) -> Object:
    stated = container.get("resources", {})
    return {
        kind: {
            name: stated[f"resource{title}{singular}"]
            for name, title in (("cpu", "Cpu"), ("memory", "Memory"))
            if f"resource{title}{singular}" in stated
        }
        for kind, singular in (("requests", "Request"), ("limits", "Limit"))
    }


def _of_pod(pod: Pod, limits: Limits) -> Amounts:
    """What the scheduler and a quota count: all containers together, or the largest of those before them."""
    beside = total([_flat(limits.defaulted(one.get("resources", {}))) for one in pod.containers])
    before = [_flat(limits.defaulted(one.get("resources", {}))) for one in pod.init_containers]
    return most([beside, *before])


def _flat(both: tuple[Amounts, Amounts]) -> dict[str, Fraction]:
    kinds = zip(("requests", "limits"), both, strict=True)
    return {f"{kind}.{name}": value for kind, one in kinds for name, value in one.items()}


def total(each: Iterable[Amounts]) -> dict[str, Fraction]:
    """The sum by key."""
    found: dict[str, Fraction] = {}
    for one in each:
        for name, value in one.items():
            found[name] = found.get(name, Fraction(0)) + value
    return found


def most(each: Iterable[Amounts]) -> dict[str, Fraction]:
    """The largest by key."""
    found: dict[str, Fraction] = {}
    for one in each:
        for name, value in one.items():
            found[name] = max(value, found.get(name, Fraction(0)))
    return found
