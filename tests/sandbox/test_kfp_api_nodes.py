"""Names that the real server gave, and that follow from others: the sandbox gives the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelcar_pipelines.events import Event, RunEvent, State, TaskEvent
from modelcar_sandbox.kfp.nodes import node_id, step_path, task_details
from modelcar_sandbox.kfp.runs import run_name

WORKFLOW = "exp-fail-9hnkb"
AT = datetime(2026, 11, 25, 20, 42, 13, 999999, tzinfo=UTC)
RUN = {"run_id": "59a72710-907d-4871-a937-89302e7d2955", "state": "RUNNING", "finished_at": "1970-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("exp-fail-9hnkb.root-driver", 626661265),
        ("exp-fail-9hnkb.root", 2601859228),
        ("exp-fail-9hnkb.root.exit-handler-1.failing.executor", 1908227286),
    ],
)
def test_a_nodes_id_is_its_workflows_name_and_the_hash_of_its_place(place: str, number: int) -> None:
    assert node_id(WORKFLOW, place) == f"exp-fail-9hnkb-{number}"


def test_a_run_of_a_schedule_is_named_after_its_object_its_number_and_their_hash() -> None:
    assert run_name("dbl-latest-cronsznr5", 1) == "dbl-latest-cronsznr5-1-254897660"


@pytest.mark.parametrize("identifier", ["exp-fail-9hnkb-1908227286", "exp-fail-9hnkb-system-container-impl-1908227286"])
def test_a_step_is_found_by_node_and_by_pod(identifier: str) -> None:
    paths = ["exit-handler-1", "exit-handler-1/failing"]
    assert step_path(WORKFLOW, paths, identifier) == "exit-handler-1/failing"
    assert step_path(WORKFLOW, paths, f"{identifier}0") is None


def test_before_a_run_has_told_anything_it_has_no_tasks() -> None:
    assert task_details(RUN, WORKFLOW, AT, []) == []


def test_a_step_that_still_runs_when_its_run_is_over_has_failed() -> None:
    events: list[Event] = [TaskEvent(AT, "show", "show", "Show", State.RUNNING), RunEvent(AT, State.FAILED, "killed")]
    over = {**RUN, "state": "FAILED", "finished_at": "2026-11-25T20:43:00Z"}
    states = [
        {one["display_name"]: one["state"] for one in task_details(run, WORKFLOW, AT, events)} for run in (RUN, over)
    ]
    assert [(told["show"], told["root"]) for told in states] == [("RUNNING", "RUNNING"), ("FAILED", "FAILED")]


def test_a_task_detail_has_what_the_real_one_has() -> None:
    events: list[Event] = [TaskEvent(AT, "show", "show", "Show it", s) for s in (State.RUNNING, State.SUCCEEDED)]
    (detail,) = [one for one in task_details(RUN, WORKFLOW, AT, events) if one["display_name"] == "show"]
    assert detail == {
        "run_id": RUN["run_id"],
        "task_id": detail["task_id"],
        "display_name": "show",
        "create_time": "2026-11-25T20:42:13Z",
        "start_time": "2026-11-25T20:42:13Z",
        "end_time": "2026-11-25T20:42:13Z",
        "state": "SUCCEEDED",
        "state_history": [
            {"update_time": "2026-11-25T20:42:13Z", "state": "RUNNING"},
            {"update_time": "2026-11-25T20:42:13Z", "state": "SUCCEEDED"},
        ],
        "child_tasks": [{"pod_name": node_id(WORKFLOW, "exp-fail-9hnkb.root.show.executor")}],
    }
