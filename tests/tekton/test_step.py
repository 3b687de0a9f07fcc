"""A component as a step of Tekton: inputs from variables, outputs to results, and the exit code that people expect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelcar.errors import InvalidInput, PromotionError
from modelcar.steps.note import find_note
from modelcar_tekton import __main__ as command
from modelcar_tekton import results
from modelcar_tekton.contract import FINAL_STATUS, Contract, load_component, load_source
from modelcar_tekton.step import run_step
from modelcar_tekton.values import encode

ECHO = """\
from typing import *
from kfp.dsl import *


def echo(text: str, count: int, share: float, flag: bool, items: list, thing: dict, left_out: str = "its default",
) -> NamedTuple("Outputs", [("text", str), ("count", int), ("share", float), ("flag", bool), ("items", list),
                            ("thing", dict), ("left_out", str)]):
    return (text, count, share, flag, items, thing, left_out)


def picture(model: Output[Model], page: Output[Markdown], uri: str):
    model.uri = uri
    with open(page.path, "w") as file:
        file.write("# A report")


def last(status: PipelineTaskFinalStatus) -> str:
    return f"{status.state} {status.pipeline_job_resource_name}"


def when(began: str) -> str:
    return began


def stop(code: int):
    raise SystemExit(code)


def write(count: int, text: OutputPath(str), number: OutputPath(int)):
    with open(text, "w") as file:
        file.write(f"{count} $")
    with open(number, "w") as file:
        file.write(str(count))


def forget() -> str:
    return None


def give(uri: str) -> NamedTuple("Outputs", [("text", str), ("model", Model)]):
    return ("given", Model(uri=uri))
"""
VALUES: dict[str, Any] = {
    "text": "costs $(5) $$\n",
    "count": 3,
    "share": 0.5,
    "flag": True,
    "items": ["$", 1],
    "thing": {"a": "$(b)"},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def load(function: str, place: Path) -> Contract:
    return load_source(ECHO, function, place.parent)


def run(function: str, place: Path, *timed: str, **env: str) -> dict[str, str]:
    """The results of a step with these variables."""
    run_step(load(function, place), timed, env, place)
    return {path.name: path.read_text() for path in place.iterdir()}


def variables(**values: Any) -> dict[str, str]:
    return {f"input_{name}": encode(value, name) for name, value in values.items()}


def test_values_of_every_type_come_in_and_go_out_as_they_were(place: Path) -> None:
    outputs = {**VALUES, "left_out": "its default"}
    assert run("echo", place, **variables(**VALUES)) == {name: encode(value, name) for name, value in outputs.items()}


def test_a_component_does_not_see_the_variables_of_its_inputs(place: Path) -> None:
    env = {**variables(**VALUES), "HF_ENDPOINT": "https://hub.example"}
    run_step(load("echo", place), (), env, place)
    assert [name for name in env if name.startswith("input_")] == []
    assert env["HF_ENDPOINT"] == "https://hub.example"


def test_variables_that_kubernetes_sets_for_services_are_no_inputs(place: Path) -> None:
    links = {"INPUT_GATEWAY_SERVICE_HOST": "10.96.0.7", "INPUT_GATEWAY_PORT_80_TCP": "tcp://10.96.0.7:80"}
    assert run("echo", place, **variables(**VALUES), **links)["text"] == encode(VALUES["text"], "text")


def test_a_model_that_is_an_image_is_told_to_tekton_chains_by_digest(place: Path) -> None:
    uri = f"oci://registry.example:5000/team/model@sha256:{'a' * 64}"
    assert run("picture", place, **variables(uri=uri)) == {
        "IMAGE_URL": "registry.example:5000/team/model",
        "IMAGE_DIGEST": f"sha256:{'a' * 64}",
    }


def test_a_model_may_be_returned_as_well(place: Path) -> None:
    uri = f"oci://registry.example/team/model@sha256:{'a' * 64}"
    assert run("give", place, **variables(uri=uri)) == {
        "text": "given",
        "IMAGE_URL": "registry.example/team/model",
        "IMAGE_DIGEST": f"sha256:{'a' * 64}",
    }


def test_an_output_may_be_written_to_a_file(place: Path) -> None:
    assert run("write", place, **variables(count=3)) == {"text": '"3 \\u0024"', "number": "3"}


def test_an_output_that_a_component_does_not_give_is_named(place: Path) -> None:
    with pytest.raises(PromotionError, match="the component gave no Output"):
        run("forget", place)


def test_a_model_that_is_no_image_is_not(place: Path) -> None:
    assert run("picture", place, **variables(uri="s3://bucket/model")) == {}


def test_a_page_of_text_ends_the_log(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("picture", place, **variables(uri="s3://bucket/model"))
    assert capsys.readouterr().out == "\n# A report\n"


@pytest.mark.parametrize(
    ("state", "told"),
    [("Succeeded", "SUCCEEDED"), ("Completed", "SUCCEEDED"), ("Failed", "FAILED"), ("None", "RUNNING")],
)
def test_a_step_that_runs_last_is_told_how_the_others_ended_and_of_which_run_it_is(
    place: Path, state: str, told: str
) -> None:
    assert load("last", place).parameters == {"status": FINAL_STATUS}
    env = {"input_status": state, "PIPELINE_RUN": "promote-model-x7k2p"}
    assert run("last", place, **env) == {"Output": f"{told} promote-model-x7k2p"}


def test_an_input_can_be_the_time(place: Path) -> None:
    assert run("when", place, "began")["Output"].endswith("Z")


def test_an_input_without_default_that_is_not_given_is_named(place: Path) -> None:
    given = {name: value for name, value in VALUES.items() if name != "count"}
    with pytest.raises(InvalidInput, match="the component needs the input count"):
        run("echo", place, **variables(**given))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "many"}, "the input count is 'many', and no NUMBER_INTEGER"),
        ({"text": "costs $5"}, "the input text holds a $"),
        ({"colour": "red"}, "the component has no input colour"),
    ],
)
def test_an_input_that_cannot_be_right_is_refused_before_the_component_begins(
    place: Path, values: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message.replace("$", r"\$")):
        run("echo", place, **variables(**VALUES) | {f"input_{name}": text for name, text in values.items()})


def test_the_exit_code_is_the_components(place: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        run("stop", place, **variables(code=7))
    assert raised.value.code == 7


def test_a_failed_component_leaves_its_note_as_a_result(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "input_spec": "kind: [", "input_metrics": "{}"})
    with pytest.raises(SystemExit) as raised:
        run_step(load_component("modelcar_components.check_metrics"), (), os.environ, place)
    note = find_note((place / "failure").read_text())
    assert note is not None
    assert (note.step, note.exit_code, raised.value.code) == ("Check metrics", 2, 2)


def test_the_command_names_a_component_that_the_image_lacks(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "write_failure", lambda note: results.write_failure(note, place))
    assert command.main(["modelcar_components.nothing"]) == 2
    assert capsys.readouterr().err.startswith("Error: this image has no component modelcar_components.nothing: ")
    assert find_note((place / "failure").read_text()) is not None


def test_the_command_runs_a_component_by_its_source(tmp_path: Path) -> None:
    # Where Tekton looks for results is no place that a test may write to: what the component prints is looked at.
    source = "def hello(text: str):\n    print(text[::-1])\n"
    done = subprocess.run(
        [sys.executable, "-m", "modelcar_tekton", "--source", source, "hello"],
        env={**os.environ, "input_text": encode("$olleh", "text")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "hello$\n"), done.stderr
