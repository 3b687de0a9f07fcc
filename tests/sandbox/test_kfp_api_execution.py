"""The sandbox's pipeline server executes compiled pipelines, by the program of local runs, and tells of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from kfp_server import BASE, Api
from local_runs import compile_pipeline
from modelcar_sandbox.kfp import PipelineServer
from modelcar_sandbox.service import Service


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PipelineServer, Api]]:
    quick = {"MODELCAR_LOCAL_BACKOFF_FACTOR": "0"}
    server = PipelineServer(tmp_path_factory.mktemp("kfp"), environment=quick)
    with server, Service(server.app) as service:
        api = Api(service.url)
        yield server, api
        api.close()


def run(served: tuple[PipelineServer, Api], directory: Path, name: str, **parameters: object) -> Any:
    """Upload one of the small pipelines, run it, and what is told of it when it has ended."""
    server, api = served
    package = compile_pipeline(name, directory)
    with package.open("rb") as file:
        url = f"{api.url}{BASE}/pipelines/upload"
        made = requests.post(url, params={"name": name}, files={"uploadfile": file}, timeout=60).json()
    identifier = api.run(made["pipeline_id"], **parameters)
    server.settle()
    return api.get(f"/runs/{identifier}")


def details(told: Any) -> dict[str, Any]:
    return {task["display_name"]: task for task in told["run_details"]["task_details"]}


def test_steps_run_and_leave_logs_and_artifacts(served: tuple[PipelineServer, Api], tmp_path: Path) -> None:
    told = run(served, tmp_path, "files", text="hello from a run")
    assert told["state"] == "SUCCEEDED", told.get("error")
    node = details(told)["write-page"]["child_tasks"][0]["pod_name"]
    page = served[1].get(f"/runs/{told['run_id']}/nodes/{node}/artifacts/page:read")
    assert b"hello from a run" in base64.b64decode(page["data"])
    log = served[1].send("GET", f"/apis/v1alpha1/runs/{told['run_id']}/nodes/{node}/log")
    assert log.status_code == 200


def test_what_is_left_out_is_skipped(served: tuple[PipelineServer, Api], tmp_path: Path) -> None:
    told = run(served, tmp_path, "branches", text="long enough")
    assert told["state"] == "SUCCEEDED", told.get("error")
    assert "SKIPPED" in {task["state"] for task in details(told).values()}


def test_a_step_that_fails_fails_the_run_and_says_why(served: tuple[PipelineServer, Api], tmp_path: Path) -> None:
    told = run(served, tmp_path, "failures", counter=str(tmp_path / "counter"))
    steps = details(told)
    assert (told["state"], bool(told["error"]["message"])) == ("FAILED", True)
    assert (steps["fail"]["state"], steps["fail"]["error"]["message"]) == (
        "FAILED",
        "Error: no such model\nName another.",
    )
    assert {name: steps[name]["state"] for name in ("succeed-at", "final", "raise-error")} == {
        "succeed-at": "SUCCEEDED",
        "final": "SUCCEEDED",
        "raise-error": "FAILED",
    }
    assert {"executor(0)", "executor(1)"} <= set(steps)


def test_the_rounds_of_a_loop_are_groups(served: tuple[PipelineServer, Api], tmp_path: Path) -> None:
    told = run(served, tmp_path, "loops", bad="b", texts=["x"])
    states: dict[str, list[str]] = {}
    for task in told["run_details"]["task_details"]:
        states.setdefault(task["display_name"], []).append(task["state"])
    assert told["state"] == "FAILED"
    assert {name: sorted(states[name]) for name in ("fail-on", "iteration-1", "final")} == {
        "fail-on": ["FAILED", "SUCCEEDED", "SUCCEEDED"],
        "iteration-1": ["FAILED", "SUCCEEDED"],
        "final": ["SUCCEEDED"],
    }
