"""Faults, each put into a copy of the tree, to see which checks find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gitops_tree.tree import APPLICATION, REGISTRY, Object, Tree

Spoil = Callable[[Tree], None]


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Attributes:
        number: Of the check that is for it.
        also: Numbers of all others that find it too.
        spoil: Puts it into a tree.
    """

    number: int
    also: frozenset[int]
    spoil: Spoil

    @property
    def id(self) -> str:
        """The number, and what is done."""
        return f"{self.number:02}-{self.spoil.__name__.replace('_', '-')}"


MUTATIONS: Final[list[Mutation]] = []


def mutation(number: int, *, also: set[int] | None = None) -> Callable[[Spoil], Spoil]:
    """Register a fault."""

    def register(spoil: Spoil) -> Spoil:
        MUTATIONS.append(Mutation(number, frozenset(also or ()), spoil))
        return spoil

    return register


GRANITE: Final = "granite-3-3-2b-instruct"
GRANITE_FILE: Final = f"gitops/stage01-model-serving/application/vllm/{GRANITE}.yaml"


def model(tree: Tree) -> Object:
    """The first example's InferenceService."""
    return tree.get("InferenceService", GRANITE)


def served(tree: Tree) -> Object:
    """What it serves, and how."""
    found: Object = model(tree)["spec"]["predictor"]["model"]
    return found


def registry(tree: Tree) -> Object:
    """The Model Registry."""
    return tree.get("ModelRegistry", "private-ai-model-registry", REGISTRY)


def container(tree: Tree, name: str = "object-store", application: str = APPLICATION) -> Object:
    """The container of a Deployment."""
    found: Object = tree.get("Deployment", name, application)["spec"]["template"]["spec"]["containers"][0]
    return found


def notebook(tree: Tree) -> Object:
    """The workbench."""
    return tree.get("Notebook", "modelcar-workbench")


def notebook_container(tree: Tree) -> Object:
    """Its container."""
    found: Object = notebook(tree)["spec"]["template"]["spec"]["containers"][0]
    return found


def task(tree: Tree, name: str, pipeline: str = "promote-model") -> Object:
    """A task of a Tekton pipeline."""
    spec = tree.get("Pipeline", pipeline)["spec"]
    return next(one for one in (*spec["tasks"], *spec["finally"]) if one["name"] == name)


def annotations_in(one: Object) -> dict[str, str]:
    """An object's annotations, to be changed; made when it has none."""
    found: dict[str, str] = one["metadata"].setdefault("annotations", {})
    return found


def add(tree: Tree, one: Object, application: str = APPLICATION) -> None:
    """One more object of an Application."""
    tree.rendered[application].append(one)


def remove(tree: Tree, kind: str, name: str, application: str = APPLICATION) -> None:
    """One object less."""
    tree.rendered[application].remove(tree.get(kind, name, application))


def make(api_version: str, kind: str, name: str, namespace: str = "private-ai-demo", **more: Any) -> Object:
    """An object."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        **more,
    }


def edit(tree: Tree, path: str, old: str, new: str) -> None:
    """Change a file's text in one place or in all."""
    assert old in tree.files[path]
    tree.files[path] = tree.files[path].replace(old, new)
