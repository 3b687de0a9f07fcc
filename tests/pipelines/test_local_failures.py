"""What a local run does when steps fail: the same as a server, and it says which, and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_runs import Told, compile_pipeline, run_pipeline
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.local_run import run_locally

BODY = "exit-handler-1"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Told:
    place = tmp_path_factory.mktemp("failures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELCAR_LOCAL_BACKOFF_FACTOR", "0.001")
        return run_pipeline("failures", place / "run", counter=str(place / "counter"))


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return run_pipeline("loops", tmp_path_factory.mktemp("loops") / "run")


def test_the_run_says_which_step_failed_first_and_why(failed: Told) -> None:
    assert (failed.run.state, failed.run.message) == (
        State.FAILED,
        "fail: Error: no such model\nName another.",
    )


def test_a_failed_step_has_its_exit_code_and_its_own_words(failed: Told) -> None:
    event = failed.run.tasks[f"{BODY}/fail"]
    assert (event.state, event.exit_code, event.message) == (State.FAILED, 2, "Error: no such model\nName another.")


def test_a_step_without_words_is_known_by_its_last_line(failed: Told) -> None:
    assert failed.run.tasks[f"{BODY}/raise-error"].message == "RuntimeError: boom"


def test_what_follows_a_failed_step_is_skipped(failed: Told) -> None:
    event = failed.run.tasks[f"{BODY}/say"]
    assert (event.display_name, event.state, event.message) == ("Follows", State.SKIPPED, "did not succeed: fail")


def test_what_does_not_depend_on_a_failed_step_runs(failed: Told) -> None:
    assert failed.output(f"{BODY}/say-2") == "independent"


def test_what_ignores_failures_runs_with_its_own_defaults(failed: Told) -> None:
    assert failed.output(f"{BODY}/fall-back") == "fallen back"


def test_a_retried_step_is_told_attempt_by_attempt(failed: Told) -> None:
    events = [event for event in failed.events if event.path == f"{BODY}/succeed-at"]
    assert [(event.state, event.attempt, event.exit_code, event.message) for event in events] == [
        (State.RUNNING, 1, None, ""),
        (State.RUNNING, 1, 1, "attempt 1 fails\nattempt 2 of 3 in 0.03 s"),
        (State.RUNNING, 2, None, ""),
        (State.SUCCEEDED, 2, 0, ""),
    ]


def test_a_step_whose_input_is_at_fault_is_not_tried_again(failed: Told) -> None:
    events = [event for event in failed.events if event.path == f"{BODY}/fail"]
    assert [(event.state, event.attempt, event.exit_code) for event in events] == [
        (State.RUNNING, 1, None),
        (State.FAILED, 1, 2),
    ]
    assert failed.run.log(f"{BODY}/fail").read_text() == "about to fail\n"


def test_a_step_fails_when_its_attempts_are_used_up(failed: Told) -> None:
    event = failed.run.tasks[f"{BODY}/raise-error"]
    assert (event.state, event.attempt) == (State.FAILED, 2)


def test_the_log_has_all_attempts(failed: Told) -> None:
    assert failed.run.log(f"{BODY}/raise-error").read_text().count("RuntimeError: boom") == 2


def test_an_exit_task_runs_and_reads_the_status_that_a_server_gives(failed: Told) -> None:
    assert failed.output("final") == ["FAILED", BODY, None, None]
    assert failed.run.tasks["final"].state == State.SUCCEEDED


def test_a_group_fails_with_its_steps(failed: Told) -> None:
    assert failed.run.tasks[BODY].state == State.FAILED


def test_a_failing_round_of_a_loop_does_not_stop_the_others(looped: Told) -> None:
    loop = f"{BODY}/for-loop-2"
    assert {path: state for path, state in looped.states().items() if path.startswith(loop)} == {
        loop: State.FAILED,
        f"{loop}/iteration-0": State.SUCCEEDED,
        f"{loop}/iteration-0/fail-on": State.SUCCEEDED,
        f"{loop}/iteration-0/say": State.SUCCEEDED,
        f"{loop}/iteration-1": State.FAILED,
        f"{loop}/iteration-1/fail-on": State.FAILED,
        f"{loop}/iteration-1/say": State.SKIPPED,
        f"{loop}/iteration-2": State.SUCCEEDED,
        f"{loop}/iteration-2/fail-on": State.SUCCEEDED,
        f"{loop}/iteration-2/say": State.SUCCEEDED,
    }


def test_a_round_is_named_after_its_loop(looped: Told) -> None:
    assert looped.run.tasks[f"{BODY}/for-loop-2/iteration-1"].display_name == "some fail, round 2"


def test_a_loop_with_parallelism_1_runs_one_round_after_the_other(looped: Told) -> None:
    steps = [event for event in looped.events if event.task == "fail-on"]
    assert [event.path.split("/")[2] for event in steps] == [f"iteration-{n}" for n in (0, 0, 1, 1, 2, 2)]


def test_loops_within_loops_read_both_items_and_outputs_of_earlier_steps(looped: Told) -> None:
    loop = f"{BODY}/for-loop-3"
    pairs = {looped.output(path) for path in looped.run.outputs if path.startswith(loop)}
    assert pairs == {"xa", "xb", "xc", "ya", "yb", "yc", "xword", "yword"}


def test_outputs_of_rounds_are_collected_in_the_order_of_the_items(looped: Told) -> None:
    assert looped.output(f"{BODY}/join") == "xword-yword"


def test_the_first_failure_of_a_loop_is_the_runs(looped: Told) -> None:
    assert looped.run.message == "fail-on: exit code 2, and not a word"


def test_a_successful_body_is_complete_to_its_exit_task(tmp_path: Path) -> None:
    told = run_pipeline("loops", tmp_path / "run", bad="none of them", texts=["x"])
    assert (told.run.state, told.output("final")) == (State.SUCCEEDED, ["COMPLETE", BODY, None, None])


def test_as_many_rounds_run_at_once_as_the_pipeline_allows(tmp_path: Path) -> None:
    pipes = [tmp_path / name for name in "abc"]
    for pipe in pipes:
        os.mkfifo(pipe)
    begun: list[str] = []

    def release(event: TaskEvent) -> None:
        if event.task == "stand" and event.state == State.RUNNING:
            begun.append(event.path)
            if len(begun) == 3:
                for pipe in pipes:
                    pipe.write_text("go")

    file = compile_pipeline("abreast", tmp_path)
    run = run_locally(file, {"pipes": [str(pipe) for pipe in pipes]}, directory=tmp_path / "run", tell=release)
    assert run.state == State.SUCCEEDED
