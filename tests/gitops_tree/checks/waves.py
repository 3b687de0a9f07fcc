"""Checks 25 and 26: everything of an Application comes at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gitops_tree.checks.registry import check
from gitops_tree.checks.structure import WAVE
from gitops_tree.objects import annotations_of, describe, name_of, namespace_of
from gitops_tree.pods import claims, pods
from gitops_tree.tree import APPLICATION, REGISTRY, Object, Tree

OPTIONS: Final = "argocd.argoproj.io/sync-options"
HOOKS: Final = ("argocd.argoproj.io/hook", "helm.sh/hook")


@check(25, "Every PersistentVolumeClaim is mounted by something of its own wave")
def consumed(tree: Tree) -> Iterator[str]:
    """There is no workspace that stands without a consumer: a run makes its volume and takes it along."""
    waves = {describe(one): _wave(one) for one in tree.objects}
    consumers: dict[tuple[str, str], list[int]] = {}
    for pod in pods(tree):
        for claim in claims(pod.spec):
            consumers.setdefault((pod.namespace, claim), []).append(waves.get(pod.owner, 0))
    for one in tree.of_kind("PersistentVolumeClaim"):
        found = consumers.get((namespace_of(one), name_of(one)))
        if not found:
            yield f"{describe(one)} is mounted by nothing, and would wait for ever"
        elif min(found) != _wave(one):
            yield f"{describe(one)} is in wave {_wave(one)}, and what mounts it comes in wave {min(found)}"


@check(
    26, "Within an Application there is one wave and no hook, and no commit holds back or repeats what is not its own"
)
def one_wave(tree: Tree) -> Iterator[str]:
    """So what refers to something never comes before it.

    And a model that never gets ready holds no commit back. The waves of the specification are those of the
    Applications themselves, in check 3.
    """
    for one in (*tree.rendered.get(REGISTRY, ()), *tree.rendered.get(APPLICATION, ())):
        for annotation in (WAVE, *HOOKS):
            if annotation in annotations_of(one):
                yield f"{describe(one)} has {annotation}, which lets it hold back later commits"
    yield from _syncs(tree)


def _syncs(tree: Tree) -> Iterator[str]:
    for name, application in tree.applications.items():
        policy = application["spec"].get("syncPolicy", {})
        if "retry" in policy and not policy["retry"].get("refresh", False):
            yield f"Application {name} tries again what failed, not the commit that mends it: retry.refresh is not set"
        replaced = [
            one for one in tree.rendered.get(name, ()) if "Replace=true" in annotations_of(one).get(OPTIONS, "")
        ]
        if replaced and "ApplyOutOfSyncOnly=true" not in policy.get("syncOptions", ()):
            yield f"Application {name} replaces {describe(replaced[0])} with every commit: no ApplyOutOfSyncOnly"


def _wave(one: Object) -> int:
    return int(annotations_of(one).get(WAVE, "0"))
