"""The overlay for clusters without a GPU: what it changes, and that it changes nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitops_tree.tree import ROOT, Object, render

APPLICATION = Path("gitops/overlays/example/application")
SMALL = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Object], list[Object]]:
    """The example's application without the overlay, and with it."""
    root = tmp_path_factory.mktemp("cpu")
    for part in ("gitops", "compiled"):
        shutil.copytree(ROOT / part, root / part)
    before = render(root / APPLICATION)
    kustomization = root / APPLICATION / "kustomization.yaml"
    text = kustomization.read_text(encoding="utf-8")
    assert text.count("  # - ../../cpu #") == 1
    kustomization.write_text(text.replace("  # - ../../cpu #", "  - ../../cpu #"), encoding="utf-8")
    return before, render(root / APPLICATION)


def test_models_ask_for_no_gpu_and_little_else(objects: tuple[list[Object], list[Object]]) -> None:
    for before, after in zip(*map(_served, objects), strict=True):
        expected = {**before, "model": {**before["model"], "resources": SMALL}}
        del expected["nodeSelector"], expected["tolerations"]
        assert after == expected


def test_the_runtime_has_the_image_for_cpus_and_two_arguments_more(
    objects: tuple[list[Object], list[Object]],
) -> None:
    before, after = (_containers(each) for each in objects)
    assert [{**one, "image": None, "args": None} for one in after] == [
        {**one, "image": None, "args": None} for one in before
    ]
    assert after[0]["image"] == "docker.io/vllm/vllm-openai-cpu:v0.29.0"
    assert after[0]["args"] == [*before[0]["args"], "--enforce-eager", "--dtype=bfloat16"]


def test_nothing_else_changes(objects: tuple[list[Object], list[Object]]) -> None:
    before, after = (
        [one for one in each if one["kind"] not in ("InferenceService", "ServingRuntime")] for each in objects
    )
    assert after == before


def _served(objects: list[Object]) -> list[Object]:
    found = [one["spec"]["predictor"] for one in objects if one["kind"] == "InferenceService"]
    assert found
    return found


def _containers(objects: list[Object]) -> list[Object]:
    (runtime,) = (one for one in objects if one["kind"] == "ServingRuntime")
    containers: list[Object] = runtime["spec"]["containers"]
    return containers
