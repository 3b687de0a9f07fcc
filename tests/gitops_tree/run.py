"""All checks together."""

from __future__ import annotations

from gitops_tree.checks import (  # noqa: F401 - each registers its checks
    argocd,
    images,
    network,
    pipelines,
    promotions,
    references,
    resources,
    schema,
    secrecy,
    security,
    serving,
    structure,
    text,
    waves,
)
from gitops_tree.checks.registry import CHECKS
from gitops_tree.tree import Tree

NUMBERS = range(1, 42)
"""Of the checks; each is there."""


def find_problems(tree: Tree) -> dict[int, list[str]]:
    """What is wrong with a tree, by check; nothing is left out of it but checks that find nothing."""
    found = {number: list(one.find(tree)) for number, one in sorted(CHECKS.items())}
    return {number: problems for number, problems in found.items() if problems}
