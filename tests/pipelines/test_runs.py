"""Runs on the sandbox's pipeline server, whose processes do as the test says: started, followed, ended, explained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kfp_scripted import BROKEN, DONE, FIRST, SECOND, Scripted, begin, end, fail, serve_scripted, step
from kfp_server import held, new_fifo
from modelcar.errors import InvalidInput, PipelineServerError
from modelcar.retry import ATTEMPTS
from modelcar.steps.note import RESULT, SKIPPED, Note
from modelcar_pipelines.connection import Server
from modelcar_pipelines.events import TaskEvent
from modelcar_pipelines.failures import NotFound
from modelcar_pipelines.run_reports import fetch_report
from modelcar_pipelines.runs import (
    LOOKS_AFTER_END,
    Outcome,
    Run,
    cancel_run,
    default_run_name,
    find_run,
    follow,
    list_runs,
    look,
    start_run,
)
from modelcar_pipelines.versions import find_version
from wsgi_faults import Fault

FULL = Note("Build and push", "the registry is full", "Delete images.", 1)
WRONG = Note("Resolve", "there is no such model", None, 2)


class Place:
    """A server with one pipeline, and a client of it."""

    def __init__(self, made: Scripted) -> None:
        self.api, self.faults, self.settle = made.api, made.faults, made.server.settle
        self.server = Server(made.api.url)
        self.told: list[TaskEvent] = []

    def start(self, *do: list[object], **parameters: object) -> Run:
        return start_run(self.server, find_version(self.server, "hello"), {"do": list(do), **parameters}, "a run")

    def follow(self, run: Run, *at_wait: Callable[[], object]) -> Outcome:
        """Follow a run; at each wait the next of these happens, and then the run comes to its end."""
        things = iter(at_wait)

        def wait(_: float) -> None:
            next(things, self.settle)()

        return follow(self.server, run.run_id, self.told.append, wait=wait)

    def run(self, *do: list[object]) -> Outcome:
        return self.follow(self.start(*do))

    @property
    def lines(self) -> list[str]:
        """What was told, in order."""
        return [f"{one.display_name} {one.state}" for one in self.told]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with serve_scripted(tmp_path / "kfp") as made:
        yield Place(made)


def test_a_run_has_the_parameters_and_the_name_that_it_was_given(place: Place) -> None:
    run = place.start(DONE, text="a price in $")
    assert (run.name, run.state in {"PENDING", "RUNNING", "SUCCEEDED"}) == ("a run", True)
    stored = place.api.get(f"/runs/{run.run_id}")
    assert stored["runtime_config"]["parameters"] == {"do": [["run", "SUCCEEDED"]], "text": "a price in $"}
    assert stored["pipeline_version_reference"]["pipeline_version_id"] == run.version_id
    assert find_run(place.server, run.run_id).pipeline_id == run.pipeline_id


def test_a_run_without_a_name_is_called_after_pipeline_and_time() -> None:
    assert default_run_name("hello").startswith("hello 20")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"colour": "red"}, "hello has no parameter colour"),
        ({"text": 7}, "the parameter text takes a string, not 7"),
        ({"text": "$(HOME)"}, "the parameter text holds $( or $$, which Kubernetes replaces on the way to the step"),
        ({"do": [{"a": ["x", "a $$"]}]}, "the parameter do holds $( or $$, which Kubernetes replaces on the way to "),
    ],
)
def test_what_cannot_reach_a_step_starts_nothing(place: Place, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        start_run(place.server, find_version(place.server, "hello"), parameters, "a run")
    assert str(raised.value).startswith(message)
    assert "runs" not in place.api.get("/runs")


def test_each_step_is_told_once_when_it_begins_and_once_when_it_ends(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    with ExitStack() as holding:
        outcome = place.follow(
            place.start(
                *begin(f"{FIRST}/resolve"),
                *end(f"{FIRST}/resolve"),
                *begin(f"{FIRST}/push"),
                ["hold", fifo],
                *end(f"{FIRST}/push"),
                *begin("report"),
                *end("report"),
                DONE,
            ),
            lambda: holding.enter_context(held(fifo)),
            lambda: None,
            lambda: None,
            holding.close,
        )
    assert place.lines == [
        "Resolve RUNNING",
        "Resolve SUCCEEDED",
        "Build and push RUNNING",
        "Build and push SUCCEEDED",
        "Report RUNNING",
        "Report SUCCEEDED",
    ]
    assert [one.state for one in outcome.tasks.values()] == ["SUCCEEDED"] * 3
    assert (outcome.run.state, outcome.exit_code, outcome.failures, outcome.skipped) == ("SUCCEEDED", 0, (), "")
    assert outcome.seconds == {"resolve": 1.0, "push": 1.0, "report": 1.0}
    assert outcome.url == f"{place.api.url}/#/runs/details/{outcome.run.run_id}"
    assert outcome.run.finished_at is not None


def test_what_happened_between_two_looks_is_told_in_order(place: Place) -> None:
    run = place.start(*step(f"{FIRST}/resolve"), *step(f"{FIRST}/push"), *step("report"), DONE)
    place.settle()
    place.follow(run)
    assert [line.rpartition(" ")[0] for line in place.lines[::2]] == ["Resolve", "Build and push", "Report"]
    assert [one.at.second for one in place.told] == [0, 1, 2, 3, 4, 5]


def test_steps_of_one_second_are_told_in_the_order_of_the_pipeline(place: Place) -> None:
    place.run(
        ["task", "report", "RUNNING", 1, "", 7],
        ["task", f"{FIRST}/push", "RUNNING", 1, "", 7],
        ["task", f"{FIRST}/resolve", "RUNNING", 1, "", 7],
        BROKEN,
    )
    assert [line for line in place.lines if line.endswith("RUNNING")] == [
        "Resolve RUNNING",
        "Build and push RUNNING",
        "Report RUNNING",
    ]


def test_rounds_of_a_loop_are_counted(place: Place) -> None:
    outcome = place.run(*step(f"{FIRST}/push"), *step(f"{SECOND}/push"), DONE)
    assert place.lines == [
        "Build and push RUNNING",
        "Build and push SUCCEEDED",
        "Build and push 2 RUNNING",
        "Build and push 2 SUCCEEDED",
    ]
    assert list(outcome.tasks) == ["push", "push 2"]


def test_a_retried_step_is_one_step(place: Place) -> None:
    outcome = place.run(
        ["task", "report", "RUNNING"], ["task", "report", "RUNNING", 2], ["task", "report", "SUCCEEDED", 2], DONE
    )
    assert place.lines == ["Report RUNNING", "Report SUCCEEDED"]
    assert (outcome.exit_code, outcome.seconds) == (0, {"report": 2.0})


def test_a_step_that_is_left_out_is_told_so(place: Place) -> None:
    place.run(["task", "report", "SKIPPED"], DONE)
    assert place.lines == ["Report SKIPPED"]


@pytest.mark.parametrize(
    ("notes", "code"), [((FULL,), 1), ((WRONG,), 2), ((FULL, WRONG), 2), ((), 1)], ids=["ours", "input", "both", "none"]
)
def test_a_failed_run_has_the_notes_of_its_steps_and_an_exit_code(
    place: Place, notes: tuple[Note, ...], code: int
) -> None:
    failing: list[list[object]] = [
        ["log", f"for-loop-1/iteration-{n}/push", f"pushing\n{note}\n"] for n, note in enumerate(notes)
    ]
    outcome = place.run(*failing, *(fail(f"for-loop-1/iteration-{n}/push") for n in range(2)), BROKEN)
    assert (outcome.run.state, outcome.failures, outcome.exit_code) == ("FAILED", notes, code)
    assert place.lines[-1] == "Build and push 2 FAILED"


def test_a_note_that_two_steps_left_is_told_once(place: Place) -> None:
    logs: list[list[object]] = [["log", f"{where}/push", str(FULL)] for where in (FIRST, SECOND)]
    assert place.run(*logs, fail(f"{FIRST}/push"), fail(f"{SECOND}/push"), BROKEN).failures == (FULL,)


def test_a_log_that_is_not_kept_is_read_from_the_pod(place: Place) -> None:
    place.faults.add(Fault.answer("GET", ":read$", 404, body=b'{"error_message": "artifact not found"}', times=9))
    outcome = place.run(["log", "report", f"pushing\n{FULL}\n"], fail("report"), BROKEN)
    assert outcome.failures == (FULL,)


def test_no_log_is_no_note(place: Place) -> None:
    place.faults.add(Fault.answer("GET", ":read$", 404, times=9))
    place.faults.add(Fault.answer("GET", "/log$", 404, times=9))
    outcome = place.run(["log", "report", str(FULL)], fail("report"), BROKEN)
    assert (outcome.failures, outcome.exit_code) == ((), 1)


def test_a_run_that_had_nothing_to_do_says_why(place: Place) -> None:
    log: list[object] = ["log", "report-skipped", f"{SKIPPED}the image of hf://a/b is there and serves\n"]
    outcome = place.run(log, *step("report-skipped"), DONE)
    assert (outcome.skipped, outcome.exit_code) == ("the image of hf://a/b is there and serves", 0)


def test_a_run_says_what_its_promotion_has_come_to(place: Place) -> None:
    log: list[object] = ["log", "report-promotion", f"reading\n{RESULT}Nothing was new: no commit was made.\n"]
    outcome = place.run(log, *step("report-promotion"), DONE)
    assert (outcome.results, outcome.skipped) == (("Nothing was new: no commit was made.",), "")


def test_of_several_models_those_that_were_promoted_are_told_beside_those_that_failed(place: Place) -> None:
    first = f"{FIRST}/report-promotion"
    outcome = place.run(
        ["log", first, f"{RESULT}a.yaml on main names the new image.\n"],
        *step(first),
        ["log", f"{SECOND}/push", str(FULL)],
        fail(f"{SECOND}/push"),
        BROKEN,
    )
    assert (outcome.results, outcome.failures) == (("a.yaml on main names the new image.",), (FULL,))
    assert (outcome.exit_code, outcome.had_nothing_to_do) == (1, False)


def test_a_model_on_hold_does_not_make_a_run_of_several_one_that_had_nothing_to_do(place: Place) -> None:
    outcome = place.run(
        ["log", "report-skipped", f"{SKIPPED}promotions of a are on hold\n"],
        *step("report-skipped"),
        ["log", "report-promotion", f"{RESULT}b.yaml on main names the new image.\n"],
        *step("report-promotion"),
        DONE,
    )
    assert (outcome.skipped, outcome.had_nothing_to_do) == ("promotions of a are on hold", False)


def test_a_run_whose_version_somebody_deleted_is_told_without_its_steps(place: Place) -> None:
    run = place.start(["log", "report", str(FULL)], fail("report"), BROKEN)
    place.settle()
    place.api.send("DELETE", f"/pipelines/{run.pipeline_id}/versions/{run.version_id}").raise_for_status()
    outcome = look(place.server, run.run_id)
    assert (outcome.run.state, outcome.tasks, outcome.failures) == ("FAILED", {}, (FULL,))


def test_a_node_without_a_pod_says_nothing_and_breaks_nothing(place: Place) -> None:
    log: list[object] = ["log", "report-promotion", f"{RESULT}Nothing was new: no commit was made.\n"]
    run = place.start(log, *step("report-promotion"), DONE)
    place.settle()
    told = place.api.get(f"/runs/{run.run_id}")
    for detail in told["run_details"]["task_details"]:
        detail["child_tasks"] = [{"task_id": "none"}, *detail.get("child_tasks", [])]
    body = json.dumps(told).encode()
    place.faults.add(Fault.answer("GET", f"/runs/{run.run_id}$", 200, body=body, times=2))
    assert look(place.server, run.run_id).results == ("Nothing was new: no commit was made.",)
    assert fetch_report(place.server, run.run_id) is None
    assert place.faults.fired == 2


def test_a_log_that_cannot_be_read_leaves_a_run_without_a_result(place: Place) -> None:
    place.faults.add(Fault.answer("GET", ":read$", 404, times=9))
    place.faults.add(Fault.answer("GET", "/log$", 404, times=9))
    outcome = place.run(["log", "report-promotion", f"{RESULT}done\n"], *step("report-promotion"), DONE)
    assert (outcome.results, outcome.run.state, outcome.exit_code) == ((), "SUCCEEDED", 0)


@pytest.mark.parametrize(("how", "code"), [("SUCCEEDED", 0), ("FAILED", 2)])
def test_steps_whose_end_the_server_tells_later_than_the_runs_are_told_to_their_end(
    place: Place, how: str, code: int
) -> None:
    run = place.start(["log", "report", str(WRONG)], *begin("report"), ["task", "report", how], ["run", how])
    place.settle()
    answer_as_if_running(place, run, times=2)
    outcome = place.follow(run)
    assert place.lines == ["Report RUNNING", f"Report {how}"]
    assert (outcome.tasks["report"].state, outcome.exit_code, place.faults.fired) == (how, code, 2)


def test_a_step_that_never_ends_does_not_keep_the_wait_of_an_ended_run(place: Place) -> None:
    run = place.start(*step("report"), DONE)
    place.settle()
    answer_as_if_running(place, run, times=99)
    outcome = place.follow(run)
    assert (outcome.run.state, place.lines) == ("SUCCEEDED", ["Report RUNNING"])
    assert place.faults.fired == 1 + LOOKS_AFTER_END


def answer_as_if_running(place: Place, run: Run, times: int) -> None:
    """Let the server tell of an ended run as the real one does at first: its steps are running."""
    told = place.api.get(f"/runs/{run.run_id}")
    for detail in told["run_details"]["task_details"]:
        if detail["display_name"] == "report":
            detail["state"] = "RUNNING"
            del detail["end_time"]
    body = json.dumps(told).encode()
    place.faults.add(Fault.answer("GET", f"/runs/{run.run_id}$", 200, body=body, times=times))


def test_a_process_that_dies_is_a_failed_run(place: Place) -> None:
    outcome = place.run(["task", "report", "RUNNING"])
    assert (outcome.run.state, outcome.exit_code, place.lines) == ("FAILED", 1, ["Report RUNNING", "Report FAILED"])


def test_somebody_else_cancels_the_run_and_the_wait_ends(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    run = place.start(*begin("report"), ["hold", fifo], DONE)
    with ExitStack() as holding:
        outcome = place.follow(
            run,
            lambda: holding.enter_context(held(fifo)),
            lambda: place.api.post(f"/runs/{run.run_id}:terminate"),
        )
    assert (outcome.run.state, outcome.exit_code, outcome.failures) == ("CANCELED", 1, ())
    assert place.lines == ["Report RUNNING", "Report FAILED"]


def test_a_run_that_the_server_lost_after_its_first_step_was_not_cancelled_by_anybody(place: Place) -> None:
    run = place.start(*step("report"), BROKEN)
    place.settle()
    told = place.api.get(f"/runs/{run.run_id}")
    told["state_history"] = [{"update_time": "2026-11-26T19:17:33Z"}, *told["state_history"]]
    body = json.dumps(told).encode()
    place.faults.add(Fault.answer("GET", f"/runs/{run.run_id}$", 200, body=body))
    assert find_run(place.server, run.run_id).state == "FAILED"
    assert place.faults.fired == 1


def test_a_run_that_failed_with_a_pod_of_kubeflows_own_says_that_no_step_did_and_to_run_it_again(place: Place) -> None:
    """As a real server told of a run whose last pod to prepare a task was lost on a loaded node."""
    run = place.start(*step("report"), BROKEN)
    place.settle()
    told = place.api.get(f"/runs/{run.run_id}")
    [driver] = [one for one in told["run_details"]["task_details"] if one["display_name"] == "report-driver"]
    driver["state"] = "FAILED"
    body = json.dumps(told).encode()
    place.faults.add(Fault.answer("GET", f"/runs/{run.run_id}$", 200, body=body))
    outcome = look(place.server, run.run_id)
    message = "its pod report-driver, which prepares report, failed; that is no step of the pipeline"
    assert outcome.failures == (Note("Kubeflow", message, "Run it again: what was done is found.", 1),)


def test_a_run_is_cancelled_once(place: Place, tmp_path: Path) -> None:
    run = place.start(*begin("report"), ["hold", new_fifo(tmp_path)])
    for _ in range(2):
        cancel_run(place.server, run.run_id)
    assert find_run(place.server, run.run_id).state in {"CANCELING", "CANCELED"}
    place.settle()
    assert find_run(place.server, run.run_id).state == "CANCELED"
    cancel_run(place.server, run.run_id)


def test_a_run_that_has_ended_is_not_cancelled(place: Place) -> None:
    done = place.run(DONE).run
    cancel_run(place.server, done.run_id)
    assert find_run(place.server, done.run_id) == done


def test_a_run_that_ends_while_it_is_cancelled_is_left_as_it_ended(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    run = place.start(["hold", fifo], DONE)

    class Late(Server):
        def call(self, function: Any, *args: object, **kwargs: object) -> Any:
            if function.__name__ == "run_service_terminate_run":
                with held(fifo):
                    pass
                place.settle()
            return super().call(function, *args, **kwargs)

    cancel_run(Late(place.api.url), run.run_id)
    assert find_run(place.server, run.run_id).state == "SUCCEEDED"


@pytest.mark.parametrize("what", [find_run, cancel_run, look])
def test_a_run_that_is_not_there_is_the_callers_fault(place: Place, what: Callable[[Server, str], object]) -> None:
    with pytest.raises(NotFound, match="does not have that: ") as raised:
        what(place.server, "11111111-2222-3333-4444-555555555555")
    assert raised.value.exit_code == 2


def test_a_run_that_somebody_deletes_ends_the_wait(place: Place, tmp_path: Path) -> None:
    run = place.start(["hold", new_fifo(tmp_path)])
    with pytest.raises(NotFound):
        place.follow(run, lambda: place.api.send("DELETE", f"/runs/{run.run_id}"))


def test_a_server_that_is_away_for_a_while_is_waited_for(place: Place, tmp_path: Path) -> None:
    place.faults.add(Fault.answer("GET", "/runs/", 503, headers={"Retry-After": "0"}, nth=2, times=5))
    place.faults.add(Fault.cut_answer("GET", "/runs/", 0, nth=8))
    fifo = new_fifo(tmp_path)
    with ExitStack() as holding:
        outcome = place.follow(
            place.start(*begin("report"), ["hold", fifo], *end("report"), DONE),
            lambda: holding.enter_context(held(fifo)),
            lambda: None,
            lambda: None,
            holding.close,
        )
    assert (outcome.exit_code, place.faults.fired) == (0, 6)
    assert place.lines == ["Report RUNNING", "Report SUCCEEDED"]


def test_a_server_that_stays_away_ends_the_wait_and_not_the_run(place: Place) -> None:
    run = place.start(*step("report"), DONE)
    place.faults.add(Fault.answer("GET", "/runs/", 503, headers={"Retry-After": "0"}, times=ATTEMPTS))
    with pytest.raises(PipelineServerError) as raised:
        place.follow(run)
    assert str(raised.value) == f"the pipeline server at {place.api.url} answered 503"
    place.settle()
    assert find_run(place.server, run.run_id).state == "SUCCEEDED"


def test_a_look_shows_a_run_as_it_is(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    run = place.start(*step(f"{FIRST}/resolve"), *begin(f"{FIRST}/push"), ["hold", fifo])
    with held(fifo):
        seen = look(place.server, run.run_id)
    assert {path: one.state for path, one in seen.tasks.items()} == {"resolve": "SUCCEEDED", "push": "RUNNING"}
    assert (seen.run.state, seen.run.finished_at, seen.seconds) == ("RUNNING", None, {"resolve": 1.0})


def test_runs_are_listed_newest_first_and_not_all(place: Place) -> None:
    started = {place.start(DONE).run_id for _ in range(3)}
    assert {one.run_id for one in list_runs(place.server)} == started
    assert len(list_runs(place.server, 2)) == 2
    place.settle()
    times = [one.created_at for one in list_runs(place.server)]
    assert times == sorted(times, reverse=True)


def test_a_run_that_was_started_with_its_pipeline_is_followed_as_well(place: Place) -> None:
    spec = place.api.get(f"/pipelines/{find_version(place.server, 'hello').pipeline_id}/versions")
    body = {
        "display_name": "theirs",
        "pipeline_spec": spec["pipeline_versions"][0]["pipeline_spec"],
        "runtime_config": {"parameters": {"do": [*step("report"), DONE]}},
    }
    run = find_run(place.server, place.api.post("/runs", body)["run_id"])
    assert (run.pipeline_id, run.version_id) == ("", "")
    assert place.follow(run).exit_code == 0
    assert place.lines == ["Report RUNNING", "Report SUCCEEDED"]
