"""Each check can fail: a fault that is put into the tree is found by its check, and by no other than is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitops import Bare
from gitops_tree.checks.secrecy import added_lines
from gitops_tree.mutations import delivery, references, structure, workloads  # noqa: F401 - each registers its faults
from gitops_tree.mutations.registry import MUTATIONS, Mutation
from gitops_tree.run import NUMBERS, find_problems
from gitops_tree.tree import ROOT, Tree, build

ON_DISK = {1}
"""Of checks whose fault kustomize has to see."""


@pytest.mark.parametrize("fault", MUTATIONS, ids=lambda fault: fault.id)
def test_a_fault_is_found_by_its_check_and_the_others_that_are_said(fault: Mutation, tree: Tree) -> None:
    spoilt = tree.copy()
    fault.spoil(spoilt)
    assert find_problems(spoilt).keys() == {fault.number} | fault.also


def test_every_check_has_a_fault() -> None:
    assert {fault.number for fault in MUTATIONS} | ON_DISK == set(NUMBERS)


def test_spoiling_a_copy_leaves_the_tree_as_it_was(tree: Tree) -> None:
    assert find_problems(tree) == {}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("kind:", "commonLabels: {team: us}\nkind:", "commonLabels"),
        ("registry.yaml", "registries.yaml", "registries.yaml"),
    ],
    ids=["a deprecated field", "a file that is not there"],
)
def test_what_kustomize_complains_of_is_found(old: str, new: str, complaint: str, tree: Tree, tmp_path: Path) -> None:
    directory = "gitops-apps/stage01"
    shutil.copytree(ROOT / directory, tmp_path / directory)
    file = tmp_path / directory / "kustomization.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    spoilt = tree.copy()
    spoilt.complaints[directory] = build(tmp_path / directory).complaint
    found = find_problems(spoilt)
    assert found.keys() == {1, 2}
    assert complaint in found[1][0]


def test_a_deprecated_field_is_found_also_when_kustomize_lets_it_through(tree: Tree) -> None:
    spoilt = tree.copy()
    spoilt.files["gitops-apps/stage01/kustomization.yaml"] += "vars: []\n"
    assert find_problems(spoilt).keys() == {1}


def test_a_secret_in_a_commit_is_found_when_no_file_has_it_any_more(tree: Tree, tmp_path: Path) -> None:
    bare = Bare.create(tmp_path / "bare.git", {"gitops/a.yaml": b"key: 9f86d081884c7d659a2feaa0c55ad015\n"})
    bare.write({"gitops/a.yaml": b"key: none\n"})
    work = tmp_path / "bare.git-work"
    spoilt = tree.copy()
    spoilt.root = work
    assert added_lines(work)
    (problem,) = find_problems(spoilt)[10]
    assert problem.endswith("added what looks like something random")
