"""What the documents say of the tree is so."""

from __future__ import annotations

import re

import pytest

from gitops_tree.objects import annotations_of, name_of
from gitops_tree.tree import APPLICATION, PARENT, REGISTRY, ROOT, Tree
from modelcar_gitops.bootstrap_secrets import BY_HAND, SECRETS

STAGE = (ROOT / "gitops-apps/stage01/README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs/reference/gitops.md").read_text(encoding="utf-8")
WALK = (ROOT / "docs/how-to/serve-from-an-empty-cluster.md").read_text(encoding="utf-8")


def rows(page: str, begin: str) -> list[list[str]]:
    """The cells of a table's rows, by its first line, without backticks."""
    table = page.partition(begin)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table]


def test_the_stages_table_has_each_application_with_its_path_namespace_and_wave(tree: Tree) -> None:
    told = {row[0].partition(",")[0]: (row[1].rstrip("/"), row[2], row[3]) for row in rows(STAGE, "| Application |")}
    assert told == {
        name: (
            one["spec"]["source"]["path"],
            one["spec"]["destination"]["namespace"],
            annotations_of(one)["argocd.argoproj.io/sync-wave"],
        )
        for name, one in tree.applications.items()
    }


@pytest.mark.parametrize("page", [STAGE, WALK], ids=["stage", "walk-through"])
@pytest.mark.parametrize(("directory", "application"), [("model-registry-app", REGISTRY), ("application", APPLICATION)])
def test_numbers_of_objects_are_right(page: str, directory: str, application: str, tree: Tree) -> None:
    told = set(re.findall(rf"\b{directory}(?:: | +# )(\d+) objects", page))
    assert told == {str(len(tree.rendered[application]))}


def test_the_table_of_secrets_is_the_contract() -> None:
    told = [(row[0], row[1], row[2].split(", "), row[5]) for row in rows(REFERENCE, "| Namespace | Secret |")]
    assert told == [(one.namespace, one.name, list(one.keys), one.made_by) for one in SECRETS]
    assert BY_HAND == "you"


def test_directories_of_the_application_are_all_in_the_stages_table(tree: Tree) -> None:
    path = ROOT / tree.applications[APPLICATION]["spec"]["source"]["path"]
    told = {row[0].rstrip("/") for row in rows(STAGE, "everything in `private-ai-demo`.\n\n")}
    assert told == {one.name for one in path.iterdir() if one.is_dir()}


def test_models_that_the_walk_through_shows_are_those_of_the_tree(tree: Tree) -> None:
    shown = set(re.findall(r"^(\S+) +true +oci://", WALK, flags=re.M))
    assert shown == {name_of(one) for one in tree.of_kind("InferenceService")}


def test_the_parents_children_are_two(tree: Tree) -> None:
    assert f"gitops-apps/stage01{' ' * 33}# the two children" in STAGE
    assert len(tree.rendered[PARENT]) == 2
