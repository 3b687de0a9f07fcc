"""Values, conditions and nested pipelines of a local run: they arrive as they were given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_runs import Told, run_pipeline
from modelcar_pipelines.events import State

TRICKY = "it's a \"python3\" {{$}} {{$.inputs.parameters['count']}} {{$.pipeline_job_name}} \\ \n ü"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return run_pipeline(
        "values", tmp_path_factory.mktemp("values") / "run", text=TRICKY, items=["python3", 2, {"a": 1}]
    )


def test_the_run_succeeds(told: Told) -> None:
    assert (told.run.state, told.run.message) == (State.SUCCEEDED, "")


def test_a_string_with_python3_quotes_and_placeholders_arrives_unchanged(told: Told) -> None:
    assert told.output("say") == TRICKY


def test_a_nested_pipeline_has_its_steps_below_it(told: Told) -> None:
    assert told.output("inner/say") == f"<{TRICKY}>"


def test_the_same_nested_pipeline_twice_writes_to_two_places(told: Told) -> None:
    assert told.output("inner-2/say") == "<again>"


def test_numbers_in_lists_and_objects_keep_their_kind(told: Told) -> None:
    text = f"3 of {TRICKY} and " + json.dumps(["python3", 2, {"a": 1}])
    assert told.output("show") == repr(({"a": 1, "b": [2, 2.5]}, ["python3", 2, {"a": 1}], 3, 2.5, text))


def test_an_output_inside_a_literal_is_filled_in_without_being_looked_through(told: Told) -> None:
    shown = str(told.output("show-2"))
    assert shown.startswith(repr(({"said": TRICKY}, [TRICKY], 1, 1))[:-1])


def test_the_id_of_the_run_is_filled_in(told: Told) -> None:
    order = json.loads((told.run.directory / "run.json").read_text())
    assert str(told.output("show-2")).endswith(f"'{order['run_id']}')")


def test_conditions_are_decided_on_values_with_quotes(told: Told) -> None:
    outputs = {told.output(path) for path in told.run.outputs if path.startswith("condition-")}
    assert outputs == {"flag", "not other", "long", "not it"}


def test_a_task_whose_condition_is_false_is_skipped_and_says_so(told: Told) -> None:
    [skipped] = [event for event in told.events if event.state == State.SKIPPED]
    assert skipped.message == "its condition is false: inputs.parameter_values['pipelinechannel--flag'] == false"


def test_a_loop_over_nothing_succeeds(told: Told) -> None:
    assert {event.display_name: event.state for event in told.run.tasks.values()}["no rounds"] == State.SUCCEEDED


def test_a_step_runs_whatever_image_and_packages_it_names(told: Told) -> None:
    assert told.output("say-uninstalled") == "installed nothing"


def test_display_names_are_told(told: Told) -> None:
    assert told.run.tasks["say"].display_name == "Say it"


def test_a_step_is_told_when_it_begins_and_when_it_ends(told: Told) -> None:
    assert [(event.state, event.attempt, event.exit_code) for event in told.events if event.path == "say"] == [
        (State.RUNNING, 1, None),
        (State.SUCCEEDED, 1, 0),
    ]


def test_a_steps_log_has_what_it_printed_and_no_parameters(told: Told) -> None:
    assert told.run.log("inner-2/say").read_text() == "said <again>\n"


def test_nothing_of_kfp_local_is_printed(told: Told) -> None:
    assert (told.run.directory / "engine.log").read_text() == ""


@pytest.mark.parametrize(("text", "chosen"), [("long enough", "long"), ("abc", "short")])
def test_one_of_two_branches_runs(tmp_path: Path, text: str, chosen: str) -> None:
    told = run_pipeline("branches", tmp_path / "run", text=text)
    assert [told.output(path) for path in told.run.outputs if path.startswith("condition")] == [chosen]


def test_a_parameter_of_200_kb_arrives(tmp_path: Path) -> None:
    told = run_pipeline("branches", tmp_path / "run", text="python3" * 30_000)
    assert (told.run.state, told.output("is-long")) == (State.SUCCEEDED, True)
