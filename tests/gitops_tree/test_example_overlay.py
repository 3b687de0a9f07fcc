"""The example overlay: what is a team's own is said in one place, and changed there it is changed everywhere."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from gitops_tree.objects import name_of
from gitops_tree.run import find_problems
from gitops_tree.tree import KUSTOMIZATION, ROOT, Object, Tree, render
from modelcar_gitops.served_model import ServedModel
from modelcar_gitops.tree import GitOpsTree

EXAMPLE = Path("gitops/overlays/example")
SETTINGS, GPU = EXAMPLE / "settings/settings.yaml", EXAMPLE / f"gpu/{KUSTOMIZATION}"
PARTS = {
    "bootstrap": "gitops-apps/bootstrap",
    "stage01": "gitops-apps/stage01",
    "model-registry-app": "gitops/stage01-model-serving/model-registry-app",
    "application": "gitops/stage01-model-serving/application",
}
"""Of the overlay, each with what it is made from."""
OURS = ("https://git.example.com/team/gitops.git", "apps.example.com")
"""What stands in the tree itself for a team's repository and domain."""
CHANGED = {
    "repoURL": "https://gitlab.team.example/serving/models.git",
    "targetRevision": "production",
    "domain": "apps.ocp.team.example",
    "storageClassName": "ceph-rbd",
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the tree that can be changed."""
    for directory in ("gitops", "gitops-apps", "compiled"):
        shutil.copytree(ROOT / directory, tmp_path / directory)
    return tmp_path


def render_all(root: Path) -> list[Object]:
    return [one for part in PARTS for one in render(root / EXAMPLE / part)]


def written(root: Path) -> str:
    """All that is applied, as text."""
    text: str = yaml.safe_dump_all(render_all(root), width=1000)
    return text


def settings_of(root: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((root / SETTINGS).read_text(encoding="utf-8"))["data"]
    return found


def edit(path: Path, changes: dict[str, str]) -> None:
    """As somebody with an editor does it; each text has to be there."""
    text = path.read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def words_of(text: str) -> set[str]:
    return set(re.split(r"[\s\"'{}\[\],]+", text))


def test_nothing_of_what_stands_in_the_tree_for_a_teams_own_is_left() -> None:
    text = written(ROOT)
    assert [value for value in OURS if value in text] == []


def test_settings_that_are_changed_are_changed_everywhere(copied: Path) -> None:
    before = settings_of(copied)
    assert before.keys() == CHANGED.keys()
    edit(copied / SETTINGS, {f"{key}: {before[key]}": f"{key}: {CHANGED[key]}" for key in before})
    text = written(copied)
    for key, value in CHANGED.items():
        assert value in text, key
    assert before["repoURL"] not in text
    assert before["domain"] not in text
    assert before["storageClassName"] not in words_of(text)
    revisions = [one["spec"]["source"] for one in render_all(copied) if one["kind"] in ("Application", "BuildConfig")]
    assert {one.get("targetRevision") or one["git"]["ref"] for one in revisions} == {"production"}


def test_every_volume_is_of_the_class_that_the_settings_name() -> None:
    wanted = settings_of(ROOT)["storageClassName"]
    objects = render_all(ROOT)
    assert {one["spec"].get("storageClassName") for one in objects if one["kind"] == "PersistentVolumeClaim"} == {
        wanted
    }
    (server,) = (one["spec"] for one in objects if one["kind"] == "DataSciencePipelinesApplication")
    assert server["database"]["mariaDB"]["storageClassName"] == wanted
    assert server["apiServer"]["workspace"]["volumeClaimTemplateSpec"]["storageClassName"] == wanted


def test_gpus_that_are_changed_are_changed_everywhere(copied: Path) -> None:
    """Only lines that remove what the tree has still name it."""
    path = copied / GPU
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = [
        line if "op: remove" in line else line.replace("nvidia.com", "amd.com").replace('"1"', '"2"') for line in lines
    ]
    path.write_text("".join(changed), encoding="utf-8")
    edit(path, {"NVIDIA-L4": "MI300X", "parallel-size=1": "parallel-size=2", 'value: "4"': 'value: "6"'})
    objects = render_all(copied)
    text = yaml.safe_dump_all(objects)
    assert "nvidia.com" not in text
    assert "NVIDIA-L4" not in text
    (quota,) = (one["spec"]["hard"] for one in objects if one["kind"] == "ResourceQuota")
    assert {key: value for key, value in quota.items() if "gpu" in key} == {"requests.amd.com/gpu": "6"}
    served = [one for one in objects if one["kind"] == "InferenceService"]
    assert len(served) == 2
    for one in served:
        predictor = one["spec"]["predictor"]
        resources = predictor["model"]["resources"]
        assert {side: resources[side]["amd.com/gpu"] for side in resources} == {"requests": "2", "limits": "2"}
        assert "--tensor-parallel-size=2" in predictor["model"]["args"]
        assert predictor["nodeSelector"] == {"amd.com/gpu.product": "MI300X"}
        assert [each["key"] for each in predictor["tolerations"]] == ["amd.com/gpu"]


@pytest.mark.parametrize("gpus", [0, 2])
def test_a_model_that_the_overlay_does_not_name_keeps_its_gpus(gpus: int, copied: Path) -> None:
    model = ServedModel("another", "hf://acme/another", "Another", "", gpus=gpus)
    GitOpsTree(copied).add(model)
    (service,) = (one for one in render_all(copied) if (one["kind"], name_of(one)) == ("InferenceService", "another"))
    assert service["spec"]["predictor"]["model"]["resources"]["limits"].get("nvidia.com/gpu") == (
        str(gpus) if gpus else None
    )
    assert "nodeSelector" not in service["spec"]["predictor"]


def test_with_the_settings_every_check_passes(copied: Path) -> None:
    for part, base in PARTS.items():
        shutil.rmtree(copied / EXAMPLE / part)  # which would list them once more
        component = os.path.relpath(EXAMPLE / "settings", base)
        path = copied / base / KUSTOMIZATION
        assert "components:" not in path.read_text(encoding="utf-8")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"components:\n  - {component}\n")
    assert find_problems(Tree.load(copied)) == {}


def test_each_application_is_the_overlays_and_brings_no_setting_along() -> None:
    applications = [one for one in render_all(ROOT) if one["kind"] == "Application"]
    paths = {name_of(one): one["spec"]["source"]["path"] for one in applications}
    assert paths == {
        "stage01-model-serving": f"{EXAMPLE}/stage01",
        "stage01-model-registry": f"{EXAMPLE}/model-registry-app",
        "stage01-application": f"{EXAMPLE}/application",
    }
    assert [name_of(one) for one in render_all(ROOT) if one["kind"] == "ConfigMap" and name_of(one) == "settings"] == []
