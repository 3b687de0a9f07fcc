"""The tree of this repository, held against each check."""

from __future__ import annotations

import re

import pytest

from gitops_tree.checks.registry import CHECKS
from gitops_tree.run import NUMBERS
from gitops_tree.tree import Tree


def test_there_are_all_checks() -> None:
    assert sorted(CHECKS) == list(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS, ids=[CHECKS[number].id for number in NUMBERS])
def test_holds(number: int, tree: Tree) -> None:
    assert list(CHECKS[number].find(tree)) == []


def test_builds_in_the_cluster_begin_with_an_image_by_digest(tree: Tree) -> None:
    files = {one["spec"]["strategy"]["dockerStrategy"]["dockerfilePath"] for one in tree.of_kind("BuildConfig")}
    (file,) = files
    bases = re.findall(r"^ARG BASE_IMAGE=(.*)$", (tree.root / file).read_text(encoding="utf-8"), flags=re.M)
    assert [re.fullmatch(r"registry\.access\.redhat\.com/[^@]+@sha256:[0-9a-f]{64}", one) is None for one in bases] == [
        False
    ]
