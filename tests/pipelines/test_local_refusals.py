"""What a local run refuses before it starts anything: one sentence, and the way out."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from local_runs import compile_pipeline
from modelcar.errors import InvalidInput
from modelcar_pipelines import local_seams
from modelcar_pipelines.events import EventReader, RunEvent, State, TaskEvent
from modelcar_pipelines.local_components import check_local
from modelcar_pipelines.local_run import run_locally
from modelcar_pipelines.pipeline_file import read_pipeline


def ignore(event: TaskEvent) -> None:
    pass


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_pipeline("branches", tmp_path_factory.mktemp("refusals"))


@pytest.fixture
def ir(pipeline: Path) -> dict[str, Any]:
    return deepcopy(read_pipeline(pipeline).spec)


def container(ir: dict[str, Any]) -> None:
    ir["deploymentSpec"]["executors"]["exec-say"] = {"container": {"command": ["echo"], "args": ["hello"]}}


def custom_job(ir: dict[str, Any]) -> None:
    ir["deploymentSpec"]["executors"]["exec-say"] = {"customJob": {}}


def artifact(ir: dict[str, Any]) -> None:
    ir["root"]["inputDefinitions"]["artifacts"] = {"model": {"artifactType": {"schemaTitle": "system.Model"}}}


def no_default(ir: dict[str, Any]) -> None:
    ir["root"]["inputDefinitions"]["parameters"]["text"] = {"parameterType": "STRING", "isOptional": True}


def quoted_condition(ir: dict[str, Any]) -> None:
    task = ir["components"]["comp-condition-branches-1"]["dag"]["tasks"]["condition-2"]
    task["triggerPolicy"]["condition"] = "inputs.parameter_values['a'] == 'it's'"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (container, "say is no Python function but a container, and those do not run locally"),
        (custom_job, "say does not run locally"),
        (artifact, "the pipeline takes the artifact model, and a local run has none"),
        (no_default, "the parameter text has no default value, so a local run needs one"),
        (quoted_condition, "the condition \"inputs.parameter_values['a'] == 'it's'\" cannot be read"),
    ],
)
def test_what_does_not_run_locally_is_refused_by_name(ir: dict[str, Any], change: Any, sentence: str) -> None:
    change(ir)
    with pytest.raises(InvalidInput) as caught:
        check_local(ir, {})
    assert str(caught.value) == sentence
    assert caught.value.hint


def test_a_pipeline_that_runs_locally_is_not_refused(ir: dict[str, Any]) -> None:
    check_local(ir, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot read the pipeline {file}: No such file or directory"),
        ("a: [", "{file} is not YAML"),
        ("a: b", "{file} is not a compiled pipeline"),
        ("", "{file} is not a compiled pipeline"),
    ],
)
def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path, text: str | None, sentence: str) -> None:
    file = tmp_path / "p.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        run_locally(file, {}, tell=ignore)
    assert str(caught.value) == sentence.format(file=file)


def test_a_directory_with_something_in_it_is_refused_and_left_alone(pipeline: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InvalidInput, match="is not empty"):
        run_locally(pipeline, {}, directory=tmp_path, tell=ignore)
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_a_wrong_parameter_is_refused_before_the_directory_is_made(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="branches has no parameter txt"):
        run_locally(pipeline, {"txt": "a"}, directory=tmp_path / "run", tell=ignore)
    assert not (tmp_path / "run").exists()


def test_another_kfp_is_refused_by_what_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(local_seams._EXPECTED, ("logging_utils", "indented_print"), "spaces")
    with pytest.raises(InvalidInput) as caught:
        local_seams.check_kfp()
    assert str(caught.value).startswith("local runs do not know kfp 2.17.")
    assert str(caught.value).endswith(": kfp.local.logging_utils.indented_print is not what it was")


@pytest.mark.parametrize(
    ("parameters", "environment", "message"),
    [
        ({"txt": "a"}, {}, "branches has no parameter txt\nThe pipeline takes text."),
        ({}, {"MODELCAR_LOCAL_BACKOFF_FACTOR": "fast"}, "MODELCAR_LOCAL_BACKOFF_FACTOR is no number: 'fast'"),
    ],
    ids=["parameter", "environment"],
)
def test_the_child_process_tells_the_callers_fault_as_the_runs_end(
    pipeline: Path, tmp_path: Path, parameters: dict[str, str], environment: dict[str, str], message: str
) -> None:
    order = {"run_id": "1", "run_name": "r", "created_at": "2026-11-25T12:00:00Z"}
    order |= {"pipeline": str(pipeline), "parameters": parameters}  # type: ignore[dict-item]
    (tmp_path / "run.json").write_text(json.dumps(order))
    words = [sys.executable, "-m", "modelcar_pipelines.local_child", str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    reader = EventReader(tmp_path / "events.jsonl")
    [event] = reader.read()
    reader.close()
    assert isinstance(event, RunEvent)
    assert (event.state, event.message) == (State.FAILED, message)
