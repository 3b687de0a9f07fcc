"""What every compiled pipeline holds, by meaning: a golden file that was accepted by mistake does not pass here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelcar.errors import InvalidInput, InvalidReference
from modelcar_components.step import IMAGE
from modelcar_pipelines.catalog import PIPELINES, Compiled, compile_pipeline
from modelcar_pipelines.compiled_files import find_drift, list_files, write_files
from modelcar_pipelines.parameters import pipeline_parameters

COMMITTED = Path(__file__).parents[2] / "compiled"
EACH = pytest.mark.parametrize("name", PIPELINES)
SECRETS = {
    "modelcar-git": {"MODELCAR_GIT_USERNAME", "MODELCAR_GIT_TOKEN"},
    "modelcar-hub": {"HF_TOKEN"},
    "modelcar-s3": {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_S3_ENDPOINT",
        "AWS_DEFAULT_REGION",
        "AWS_S3_BUCKET",
    },
    "modelcar-model-registry": {"MODEL_REGISTRY_TOKEN"},
}


LITERALS = {"constant", "defaultValue", "command", "args"}
CREDENTIALS = re.compile(
    r"://[^/\s]*:[^/\s]*@|\b(hf|gh[pousr]|glpat)[_-][A-Za-z0-9]{16,}|-----BEGIN|\beyJ[\w-]{8,}\.|[Bb]earer [\w-]{8,}"
)
"""Passwords in addresses, tokens of Hubs and git hosts, private keys, JSON Web Tokens."""


@cache
def compiled(name: str) -> Compiled:
    return compile_pipeline(name)


def dags(name: str) -> Iterator[dict[str, Any]]:
    spec = compiled(name).file.spec
    for component in (spec["root"], *spec["components"].values()):
        if "dag" in component:
            yield component["dag"]


def tasks(name: str) -> dict[str, dict[str, Any]]:
    """Tasks that run something, by name."""
    components = compiled(name).file.spec["components"]
    return {
        task_name: task
        for dag in dags(name)
        for task_name, task in dag["tasks"].items()
        if "executorLabel" in components[task["componentRef"]["name"]]
    }


def executors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compiled(name).file.spec["deploymentSpec"]["executors"]
    return found


def on_kubernetes(name: str) -> dict[str, Any]:
    platform = compiled(name).file.platform
    assert platform is not None
    found: dict[str, Any] = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return found


def test_the_committed_files_are_what_the_source_gives() -> None:
    files = list_files([compiled(name) for name in PIPELINES])
    assert [drift.diff for drift in find_drift(files, COMMITTED)] == []


def test_nothing_else_is_committed() -> None:
    files = list_files([compiled(name) for name in PIPELINES])
    assert {path.relative_to(COMMITTED) for path in COMMITTED.rglob("*") if path.is_file()} == set(files)


@EACH
def test_compiling_twice_gives_the_same_bytes(name: str) -> None:
    assert compile_pipeline(name) == compiled(name)


@EACH
def test_every_step_runs_in_the_step_image_and_installs_nothing(name: str) -> None:
    images = {one["container"]["image"] for one in executors(name).values()}
    assert images - {"{{$.inputs.parameters['pipelinechannel--resolve-training-trainer_image']}}"} == {IMAGE}
    assert not re.search(r"pip3? install|PIP_INDEX|--index-url", compiled(name).text)


@EACH
def test_no_answer_of_yesterday_is_taken_for_todays(name: str) -> None:
    assert {task: spec["cachingOptions"] for task, spec in tasks(name).items()} == {key: {} for key in tasks(name)}


@EACH
def test_no_step_takes_an_artifact_that_a_pod_would_pull(name: str) -> None:
    components = compiled(name).file.spec["components"]
    taking = [key for key, one in components.items() if one.get("inputDefinitions", {}).get("artifacts")]
    assert taking == []


@EACH
def test_secrets_come_from_secrets_that_may_be_missing_and_values_of_variables_hold_none(name: str) -> None:
    for executor in executors(name).values():
        assert executor["container"].get("env", []) == []
    for executor in on_kubernetes(name).values():
        for secret in executor.get("secretAsEnv", []):
            assert {one["envVar"] for one in secret["keyToEnv"]} == SECRETS[secret["secretName"]]
            assert secret["optional"] is True
        for volume in executor.get("secretAsVolume", []):
            assert (volume["secretName"], volume["optional"]) == ("modelcar-registry", True)
        for settings in (*executor["configMapAsEnv"], *executor["configMapAsVolume"]):
            assert settings["optional"] is True


def literals(value: object, key: str = "") -> Iterator[str]:
    """What stands in a pipeline for everybody to read: constants, defaults, commands, arguments."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from literals(one, name if key not in LITERALS else key)
    elif isinstance(value, list):
        for one in value:
            yield from literals(one, key)
    elif key in LITERALS:
        yield str(value)


@EACH
def test_no_parameter_is_a_secret_and_no_literal_holds_one(name: str) -> None:
    file = compiled(name).file
    found = list(literals(file.spec)) + list(literals(file.platform))
    assert len(found) > 50
    assert [text for text in found if CREDENTIALS.search(text)] == []
    for component in (file.spec["root"], *file.spec["components"].values()):
        for parameter in component.get("inputDefinitions", {}).get("parameters", {}):
            assert not re.search(r"token|password|secret|credential", parameter), parameter


@EACH
def test_only_the_steps_that_speak_to_git_see_its_password(name: str) -> None:
    seeing = {
        key.removeprefix("exec-")
        for key, executor in on_kubernetes(name).items()
        if any(secret["secretName"] == "modelcar-git" for secret in executor.get("secretAsEnv", []))
    }
    first = "resolve-training" if name == "retrain-and-promote" else "resolve-model"
    assert {re.sub(r"-\d+$", "", key) for key in seeing} == {
        first,
        "patch-inference-service",
        "report-promotion",
    }


@EACH
def test_every_step_has_a_title_a_time_limit_cpu_memory_and_a_place_to_write(name: str) -> None:
    for task in tasks(name).values():
        assert task["taskInfo"]["name"][0].isupper()
    for key, executor in executors(name).items():
        resources = executor["container"]["resources"]
        limited = {f"resource{what}{bound}" for what in ("Cpu", "Memory") for bound in ("Request", "Limit")}
        assert limited <= resources.keys(), key
    for executor in on_kubernetes(name).values():
        assert int(executor["activeDeadlineSeconds"]) >= 900
        assert [mount["mountPath"] for mount in executor["emptyDirMounts"]] == ["/tmp"]  # noqa: S108


@EACH
def test_every_step_but_the_last_is_tried_again_with_growing_pauses(name: str) -> None:
    for task, spec in tasks(name).items():
        policy = {"maxRetryCount": 2, "backoffDuration": "10s", "backoffFactor": 2.0, "backoffMaxDuration": "3600s"}
        expected = None if task in ("report-failure", "check-metrics") else policy
        assert spec.get("retryPolicy") == expected, task


@EACH
def test_a_failure_is_reported_whatever_failed(name: str) -> None:
    root = compiled(name).file.spec["root"]["dag"]["tasks"]
    assert root["report-failure"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert root["report-failure"]["dependentTasks"] == ["exit-handler-1"]


@EACH
def test_every_parameter_has_a_default_and_says_what_it_is(name: str) -> None:
    for parameter in pipeline_parameters(compiled(name).file.spec).values():
        assert parameter.optional, parameter.name
        assert parameter.default is not None, parameter.name
        assert parameter.description, parameter.name


@EACH
def test_names_are_ones_that_every_store_takes(name: str) -> None:
    label = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    assert re.fullmatch(label, name)
    assert re.fullmatch(rf"{label}(\.{label})*", f"{name}-{compiled(name).content_name}")


@EACH
def test_another_image_takes_the_place_of_this_releases_everywhere(name: str) -> None:
    other = f"registry.example/team/steps@sha256:{'a' * 64}"
    text = compile_pipeline(name, other).text
    assert IMAGE not in text
    assert text == compiled(name).text.replace(IMAGE, other)


def test_the_volume_of_runs_that_have_one_can_be_larger() -> None:
    text = compile_pipeline("promote-model-workspace", workspace_size="2Ti").text
    changed = [
        (before, after)
        for before, after in zip(compiled("promote-model-workspace").text.splitlines(), text.splitlines(), strict=True)
        if before != after
    ]
    assert changed == [("        size: 100Gi", "        size: 2Ti")]
    assert compile_pipeline("promote-model", workspace_size="2Ti") == compiled("promote-model")
    with pytest.raises(InvalidInput, match="'much' is not the size of a volume"):
        compile_pipeline("promote-model", workspace_size="much")


def test_the_version_of_a_content_is_named_by_it() -> None:
    one, other = Compiled("p", "a: 1\n"), Compiled("p", "a: 2\n")
    assert one.content_name == "0.1.0-37b128c59f1f"
    assert one.content_name != other.content_name


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("not an image", InvalidReference, "not an image"),
        ("quay.io/team/steps", InvalidInput, "quay.io/team/steps names neither tag nor digest"),
    ],
)
def test_an_image_that_no_pod_can_pull_is_refused(image: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        compile_pipeline("promote-model", image)


def test_an_unknown_pipeline_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_pipeline("promote")
    assert str(caught.value) == "there is no pipeline 'promote'"
    assert caught.value.hint == f"There are {', '.join(PIPELINES)}."


def test_files_are_written_once_and_drift_is_shown(tmp_path: Path) -> None:
    files = {Path("kfp/one.yaml"): "a: 1\n", Path("kfp/two.yaml"): "b: 1\n"}
    assert write_files(files, tmp_path) == [tmp_path / "kfp" / "one.yaml", tmp_path / "kfp" / "two.yaml"]
    assert write_files(files, tmp_path) == []
    (tmp_path / "kfp" / "two.yaml").write_text("b: 2\n")
    [drift] = find_drift(files, tmp_path)
    assert drift.path.name == "two.yaml"
    assert drift.diff.splitlines()[-2:] == ["-b: 2", "+b: 1"]
