"""What is committed for Tekton: by meaning, so that a file that was accepted by mistake does not pass here."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from modelcar_components.step import IMAGE
from modelcar_pipelines.catalog import compile_pipeline
from modelcar_pipelines.tekton.files import PIPELINES, make_files

LONGEST_LINES = {"promote-model": 600, "promote-model-workspace": 650}
EACH = pytest.mark.parametrize("name", PIPELINES)


@cache
def files() -> dict[Path, str]:
    return make_files([compile_pipeline(name) for name in PIPELINES])


def read(path: str) -> Any:
    return yaml.safe_load(files()[Path(path)])


def steps(name: str) -> list[dict[str, Any]]:
    spec = read(f"{name}.yaml")["spec"]
    return [step for task in (*spec["tasks"], *spec["finally"]) for step in task["taskSpec"]["steps"]]


@EACH
def test_a_pipeline_can_be_read_in_one_sitting(name: str) -> None:
    assert files()[Path(f"{name}.yaml")].count("\n") < LONGEST_LINES[name]


@EACH
def test_every_step_is_a_component_of_the_step_image_and_brings_no_code_along(name: str) -> None:
    for step in steps(name):
        assert step["image"] == IMAGE
        assert step["command"] == ["python3", "-m", "modelcar_tekton"]
        assert step["args"][-1].startswith("modelcar_components.")
        assert "--source" not in step["args"]


@EACH
def test_nothing_in_a_pipeline_has_a_dollar_but_what_tekton_is_to_replace(name: str) -> None:
    for text in _texts(read(f"{name}.yaml")):
        assert "$" not in text or re.fullmatch(r"\$\([a-zA-Z0-9_.-]+\)(/[a-zA-Z0-9_./-]*)?", text), text


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


@EACH
def test_a_run_says_what_it_gave(name: str) -> None:
    assert [one["name"] for one in read(f"{name}.yaml")["spec"]["results"]] == [
        "model_version_id",
        "commit",
        "skipped",
        "IMAGE_URL",
        "IMAGE_DIGEST",
    ]


def test_what_is_applied_starts_nothing() -> None:
    assert read("kustomization.yaml")["resources"] == [f"{name}.yaml" for name in PIPELINES]
    assert {read(f"{name}.yaml")["kind"] for name in PIPELINES} == {"Pipeline"}


@pytest.mark.parametrize("directory", ["schedule", "trigger"])
def test_what_starts_runs_is_a_kustomization_of_its_own(directory: str) -> None:
    listed = read(f"{directory}/kustomization.yaml")["resources"]
    there = {path.name for path in files() if path.parent.name == directory} - {"kustomization.yaml"}
    assert set(listed) == there


def test_the_schedule_may_start_runs_and_read_pipelines_and_nothing_more() -> None:
    assert read("schedule/role.yaml")["rules"] == [
        {"apiGroups": ["tekton.dev"], "resources": ["pipelines"], "verbs": ["get"]},
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create"]},
    ]


def test_a_webhook_is_asked_for_its_secret_first() -> None:
    (trigger,) = read("trigger/event-listener.yaml")["spec"]["triggers"]
    (given,) = trigger["interceptors"][0]["params"]
    first = given["value"].split(" && ")[0]
    assert first == "header.canonical('X-Webhook-Secret').compareSecret('secret', 'modelcar-webhook')"


@EACH
def test_compiling_twice_gives_the_same_bytes(name: str) -> None:
    again = make_files([compile_pipeline(name)])
    assert again == {path: files()[path] for path in again}


def test_a_pipeline_with_a_loop_is_left_to_kubeflow_pipelines() -> None:
    assert make_files([compile_pipeline("promote-models")]) == {}
