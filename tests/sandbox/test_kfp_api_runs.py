"""Runs of the sandbox's pipeline server really run: a process each, seen and ended through the interface."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kfp_server import Api, held, new_fifo, serve
from modelcar_sandbox.kfp import PipelineServer


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[PipelineServer, Api]]:
    with serve(tmp_path / "kfp", environment={"GREETING": " to you"}) as served:
        yield served


@pytest.fixture
def server(served: tuple[PipelineServer, Api]) -> PipelineServer:
    return served[0]


@pytest.fixture
def api(served: tuple[PipelineServer, Api]) -> Api:
    return served[1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the runs' directories are."""
    return tmp_path / "kfp" / "runs"


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    return new_fifo(tmp_path)


def ended(server: PipelineServer, api: Api, run: str) -> Any:
    server.settle()
    return api.get(f"/runs/{run}")


def states(run: Any) -> list[str]:
    return [entry["state"] for entry in run["state_history"]]


def tasks(run: Any) -> dict[str, Any]:
    return {task["display_name"]: task for task in run["run_details"]["task_details"]}


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_run_goes_through_pending_and_running_to_succeeded(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    assert (run["state"], states(run)) == ("SUCCEEDED", ["PENDING", "RUNNING", "SUCCEEDED"])
    assert "error" not in run
    assert run["finished_at"] >= run["created_at"]


def test_before_it_ends_a_run_has_not_finished(api: Api, fifo: str) -> None:
    run = api.run(api.pipeline(), do=f"hold:{fifo}")
    with held(fifo):
        assert api.get(f"/runs/{run}")["finished_at"] == "1970-01-01T00:00:00Z"


def test_a_held_run_is_running_and_so_is_its_step(server: PipelineServer, api: Api, fifo: str) -> None:
    run_id = api.run(api.pipeline(), do=f"hold:{fifo}")
    with held(fifo):
        run = api.get(f"/runs/{run_id}")
        (listed,) = api.get("/runs")["runs"]
    assert (run["state"], states(run)) == ("RUNNING", ["PENDING", "RUNNING"])
    step = tasks(run)["hello"]
    assert (step["state"], step["end_time"]) == ("RUNNING", "0001-01-01T00:00:00Z")
    assert (listed["state"], tasks(listed)["hello"]) == ("RUNNING", step)
    assert ended(server, api, run_id)["state"] == "SUCCEEDED"


def test_tasks_are_the_nodes_of_a_workflow_named_after_the_pipeline(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    found = {name: (task["state"], len(task.get("child_tasks", []))) for name, task in tasks(run).items()}
    (workflow,) = [name for name in found if name.startswith("hello-pipe-")]
    assert found == {
        workflow: ("SUCCEEDED", 1),
        "root-driver": ("SUCCEEDED", 1),
        "root": ("SUCCEEDED", 2),
        "group-driver": ("SUCCEEDED", 1),
        "group": ("SUCCEEDED", 1),
        "hello-driver": ("SUCCEEDED", 1),
        "hello": ("SUCCEEDED", 1),
        "executor": ("SUCCEEDED", 0),
        "only-if-driver": ("SUCCEEDED", 1),
        "only-if": ("SKIPPED", 0),
    }
    ids = [task["task_id"] for task in run["run_details"]["task_details"]]
    assert (ids == sorted(ids), {task["run_id"] for task in tasks(run).values()}) == (True, {run["run_id"]})


def test_a_failed_step_says_why_and_so_does_the_run(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline(), do="fail"))
    assert (run["state"], run["error"]["message"]) == ("FAILED", "group/hello failed: there is no such model")
    step = tasks(run)["hello"]
    assert (step["state"], step["error"]["message"]) == ("FAILED", "Error: there is no such model")
    assert tasks(run)["group"]["state"] == "FAILED"


def test_each_attempt_of_a_retried_step_has_a_node_of_its_own(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline(), do="fail"))
    attempts = {name: task["state"] for name, task in tasks(run).items() if name.startswith("executor(")}
    assert attempts == {"executor(0)": "FAILED", "executor(1)": "FAILED"}
    assert len(tasks(run)["executor"]["child_tasks"]) == 2


def test_a_process_that_dies_without_a_last_word_has_failed(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline(), do="die"))
    assert (run["state"], run["error"]["message"]) == ("FAILED", "The run's process ended without saying how.")
    assert tasks(run)["hello"]["state"] == "FAILED"


def test_terminate_kills_the_process_and_all_below_it(
    server: PipelineServer, api: Api, fifo: str, directory: Path
) -> None:
    run_id = api.run(api.pipeline(), do=f"hold:{fifo}")
    with held(fifo):
        below = int((directory / run_id / "below").read_text())
        assert is_alive(below)
        assert api.post(f"/runs/{run_id}:terminate") == {}
        run = ended(server, api, run_id)
    assert states(run) == ["PENDING", "RUNNING", "CANCELING", "FAILED"]
    assert run["error"]["message"] == "The run was terminated."
    assert not is_alive(below)


def test_what_has_ended_cannot_be_terminated(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    answer = api.send("POST", f"/runs/{run['run_id']}:terminate")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert api.get(f"/runs/{run['run_id']}")["state"] == "SUCCEEDED"


def test_delete_ends_a_run_and_removes_its_directory(api: Api, fifo: str, directory: Path) -> None:
    run = api.run(api.pipeline(), do=f"hold:{fifo}")
    with held(fifo):
        assert api.send("DELETE", f"/runs/{run}").json() == {}
    assert api.send("GET", f"/runs/{run}").status_code == 404
    assert list(directory.iterdir()) == []


def test_a_run_has_the_environment_that_it_was_given_and_its_log_is_read_by_pod(
    server: PipelineServer, api: Api
) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    (pod,) = tasks(run)["hello"]["child_tasks"]
    answer = api.send("GET", f"/apis/v1alpha1/runs/{run['run_id']}/nodes/{pod['pod_name']}/log")
    assert (answer.text, answer.headers["Content-Type"]) == ("hello succeed to you", "text/plain; charset=utf-8")
    workflow, number = pod["pod_name"].rsplit("-", 1)
    full = f"{workflow}-system-container-impl-{number}"
    assert api.send("GET", f"/apis/v1alpha1/runs/{run['run_id']}/nodes/{full}/log").text == "hello succeed to you"


def test_the_log_of_another_pod_is_an_error_that_begins_with_200(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    answer = api.send("GET", f"/apis/v1alpha1/runs/{run['run_id']}/nodes/none/log")
    assert (answer.status_code, set(answer.json())) == (200, {"error_message", "error_details"})


def test_an_artifact_is_read_by_node_and_name(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    (node,) = tasks(run)["hello"]["child_tasks"]
    path = f"/runs/{run['run_id']}/nodes/{node['pod_name']}/artifacts"
    assert base64.b64decode(api.get(f"{path}/page:read")["data"]) == b"<p>hello</p>"
    for other in ("other:read", "..:read"):
        assert api.send("GET", f"{path}/{other}").status_code == 404


def test_archiving_hides_nothing_and_can_be_taken_back(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))["run_id"]
    shown = []
    for verb in ("archive", "archive", "unarchive"):
        assert api.post(f"/runs/{run}:{verb}") == {}
        shown.append(api.get("/runs")["runs"][0]["storage_state"])
    assert shown == ["ARCHIVED", "ARCHIVED", "AVAILABLE"]


def test_a_run_comes_back_out_of_an_archived_experiment_only_after_that(server: PipelineServer, api: Api) -> None:
    run = ended(server, api, api.run(api.pipeline()))
    experiment = f"/experiments/{run['experiment_id']}"
    api.post(f"{experiment}:archive")
    assert api.get(f"/runs/{run['run_id']}")["storage_state"] == "ARCHIVED"
    answer = api.send("POST", f"/runs/{run['run_id']}:unarchive")
    assert (answer.status_code, answer.json()["code"]) == (400, 9)
    api.post(f"{experiment}:unarchive")
    assert api.post(f"/runs/{run['run_id']}:unarchive") == {}


def test_the_program_reads_the_pipeline_as_it_was_uploaded(api: Api, directory: Path) -> None:
    import yaml  # type: ignore[import-untyped]

    pipeline = api.pipeline()
    run = directory / api.run(pipeline, count=3)
    (spec,) = yaml.safe_load_all((run / "pipeline.yaml").read_text())
    assert spec == api.get(f"/pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_spec"]
    about = json.loads((run / "run.json").read_text())
    assert (about["run_name"], about["parameters"], about["run_id"]) == ("a run", {"count": 3}, run.name)
