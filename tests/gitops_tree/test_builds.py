"""Images that the cluster builds: what a BuildConfig says is in components/Containerfile."""

from __future__ import annotations

import re

import pytest

from gitops_tree.objects import name_of
from gitops_tree.tree import ROOT, Tree

STAGE = re.compile(r"^FROM \S+ AS (\S+)$", re.M)
ARGUMENT = re.compile(r"^ARG (\w+)", re.M)


@pytest.fixture(scope="session")
def containerfile() -> str:
    return (ROOT / "components/Containerfile").read_text(encoding="utf-8")


def arguments(tree: Tree) -> dict[str, dict[str, str]]:
    """Of each build, by its name."""
    return {
        name_of(one): {each["name"]: each["value"] for each in one["spec"]["strategy"]["dockerStrategy"]["buildArgs"]}
        for one in tree.of_kind("BuildConfig")
    }


def test_every_build_argument_is_one_that_the_file_takes(tree: Tree, containerfile: str) -> None:
    taken = set(ARGUMENT.findall(containerfile))
    assert {name for given in arguments(tree).values() for name in given} <= taken


def test_each_image_is_built_from_its_stage(tree: Tree, containerfile: str) -> None:
    targets = {name: given["TARGET"] for name, given in arguments(tree).items()}
    assert targets == {"modelcar-python": "step", "modelcar-workbench": "workbench"}
    assert set(targets.values()) == set(STAGE.findall(containerfile))


def test_the_last_stage_is_what_the_argument_names(containerfile: str) -> None:
    """OpenShift builds the last stage, and knows no other way to choose one."""
    last = [line for line in containerfile.splitlines() if line.startswith("FROM ")][-1]
    assert last == "FROM ${TARGET:-step}"
    assert "\nARG TARGET=step\n" in containerfile.partition("\nFROM ")[0]


def test_a_workbench_uploads_pipelines_that_run_in_the_step_image_of_the_same_release(tree: Tree) -> None:
    image = arguments(tree)["modelcar-workbench"]["STEP_IMAGE"]
    built = tree.get("BuildConfig", "modelcar-python")["spec"]["output"]["to"]["name"]
    assert image == f"image-registry.openshift-image-registry.svc:5000/private-ai-demo/{built}"
