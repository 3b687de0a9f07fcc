"""docs/images shows the tree as it is, and shows all of it."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from gitops_tree.objects import name_of
from gitops_tree.pictures import access_picture, tree_picture
from gitops_tree.pictures.files import PICTURES, draw_all
from gitops_tree.pictures.reach import reach
from gitops_tree.tree import APPLICATION, ROOT, Tree
from modelcar_gitops.bootstrap_secrets import SECRETS

NAMES = ["gitops-tree.svg", "gitops-access.svg"]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_in_docs_is_what_is_drawn_today(name: str, tree: Tree) -> None:
    committed = (ROOT / PICTURES / name).read_text(encoding="utf-8")
    assert committed == draw_all(tree)[name], "draw it anew: make gitops-picture"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_alike_each_time(name: str, tree: Tree) -> None:
    backwards = tree.copy()
    backwards.rendered = {key: list(reversed(objects)) for key, objects in tree.rendered.items()}
    backwards.bootstrap.reverse()
    assert texts(draw_all(backwards)[name]) == texts(draw_all(tree)[name])


@pytest.mark.parametrize("name", NAMES)
def test_no_font_and_nothing_from_elsewhere_is_in_it(name: str, tree: Tree) -> None:
    picture = draw_all(tree)[name]
    assert re.findall(r"@font-face|@import|<image|<script|href", picture) == []
    assert re.findall('https?://[^<"]+', picture.replace("https://git.example.com/team/gitops.git", "")) == [
        "http://www.w3.org/2000/svg"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_smaller_than_twelve_pixels_or_ends_outside(name: str, tree: Tree) -> None:
    drawn = parse(draw_all(tree)[name])
    assert {int(size) for size in re.findall(r"(\d+)px", "".join(drawn.itertext()))} == {12, 13, 15}
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    assert [
        one.text
        for one in drawn.iter()
        if one.tag.endswith("}text") and not all(0 < x < width and 0 < y < height for x, y in ends(one))
    ] == []


def test_every_object_is_on_a_card_once(tree: Tree) -> None:
    for objects in tree.rendered.values():
        rows = [name for card in tree_picture.cards(objects) for name, _ in card.rows]
        assert sorted(rows) == sorted(map(name_of, objects))


def test_an_object_of_a_kind_that_nobody_thought_of_has_a_card_too(tree: Tree) -> None:
    [card] = tree_picture.cards([{"kind": "Lease", "metadata": {"name": "new"}}])
    assert (card.title, list(card.rows)) == ("Lease", [("new", "Lease")])


def test_it_says_who_crosses_from_the_workload_to_the_registry(tree: Tree) -> None:
    drawn = texts(tree_picture.draw(tree))
    assert "Kubeflow step, Tekton step, workbench → Model Registry, port 8443" in drawn
    assert "modelcar-workbench, pipeline, pipeline-runner-dspa: Role registry-user-private-ai-model-registry" in drawn


def test_a_policy_that_lets_one_more_in_is_seen(tree: Tree) -> None:
    changed = tree.copy()
    policy: Any = changed.get("NetworkPolicy", "model-registry-from-its-users", "stage01-model-registry")
    policy["spec"]["ingress"][0]["from"][2]["podSelector"] = {"matchLabels": {"app": "modelcar-pipelines"}}
    assert "Kubeflow step, Tekton step, uploader → Model Registry, port 8443" in texts(tree_picture.draw(changed))


def test_a_policy_that_is_gone_leaves_its_target_unguarded(tree: Tree) -> None:
    changed = tree.copy()
    policy = changed.get("NetworkPolicy", "object-store")
    changed.rendered[APPLICATION].remove(policy)
    assert ("object store" in reach(tree).guarded, "object store" in reach(changed).guarded) == (True, False)


def test_every_secret_of_the_contract_that_the_tree_reads_is_in_the_table(tree: Tree) -> None:
    rows, _ = access_picture.secrets(tree)
    told = {(row.group, name) for row in rows for name in row.names}
    # The webhook's is read by what an overlay may add.
    assert told == {(one.namespace, one.name) for one in SECRETS if one.name != "modelcar-webhook"}


def texts(picture: str) -> list[str]:
    """All texts of a picture, in the order in which they are drawn."""
    return [one.text or "" for one in parse(picture).iter() if one.tag.endswith("}text")]


def ends(one: ElementTree.Element) -> list[tuple[float, float]]:
    """Where a text begins and ends, with letters as wide as those of a wide font."""
    x, y, length = float(one.attrib["x"]), float(one.attrib["y"]), 6.6 * len(one.text or "")
    angle = math.radians(-float(one.attrib.get("transform", "rotate(0 ").partition("(")[2].partition(" ")[0]))
    begin = {"middle": 0.5, "end": 1.0}.get(one.attrib.get("text-anchor", ""), 0.0)
    return [(x + part * length * math.cos(angle), y - part * length * math.sin(angle)) for part in (-begin, 1 - begin)]


def parse(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)  # noqa: S314 - our own
