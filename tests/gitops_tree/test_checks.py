"""The tree of this repository, held against each check."""

from __future__ import annotations

import pytest

from gitops_tree.checks.registry import CHECKS
from gitops_tree.run import NUMBERS
from gitops_tree.tree import Tree


def test_there_are_all_checks() -> None:
    assert sorted(CHECKS) == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS, ids=[CHECKS[number].id for number in NUMBERS])
def test_holds(number: int, tree: Tree) -> None:
    assert list(CHECKS[number].find(tree)) == []
