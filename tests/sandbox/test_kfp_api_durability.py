"""What the sandbox's pipeline server has answered stays: after a restart, after a kill, and when many ask at once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import requests

from kfp_server import COMMAND, Api, held, new_fifo, serve

SERVE = """
import sys, threading
from pathlib import Path
from modelcar_sandbox.kfp import PipelineServer
from modelcar_sandbox.service import Service

server = PipelineServer(Path(sys.argv[1]), command=sys.argv[2:])
with server, Service(server.app) as service:
    print(service.url, flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], Api]]]:
    """Starts a process that serves a directory; it is ended when the test is over."""
    started: list[tuple[subprocess.Popen[str], Api]] = []

    def run() -> tuple[subprocess.Popen[str], Api]:
        command = [sys.executable, "-c", SERVE, str(tmp_path / "kfp"), *COMMAND]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        started.append((process, Api(process.stdout.readline().strip())))
        return started[-1]

    yield run
    for process, api in started:
        api.close()
        process.kill()
        process.communicate()


def everything(api: Api) -> dict[str, Any]:
    lists = {path: api.get(f"/{path}") for path in ("pipelines", "experiments", "runs", "recurringruns")}
    (pipeline,) = lists["pipelines"]["pipelines"]
    return {**lists, "versions": api.get(f"/pipelines/{pipeline['pipeline_id']}/versions")}


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path) as (server, api):
        pipeline = api.pipeline()
        api.post("/experiments", {"display_name": "mine"})
        api.recurring(pipeline, trigger={"cron_schedule": {"cron": "0 0 2 * * *"}}, mode="DISABLE")
        api.run(pipeline)
        api.run(pipeline, do="fail")
        server.settle()
        before = everything(api)
    with serve(tmp_path) as (_, api):
        assert everything(api) == before
        assert api.upload("Hello").status_code == 409


def test_a_run_under_way_ends_with_the_server_and_has_failed(tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    with serve(tmp_path / "kfp") as (server, api):
        run = api.run(api.pipeline(), do=f"hold:{fifo}")
        with held(fifo):
            server.stop()
            told = api.get(f"/runs/{run}")
    assert (told["state"], told["error"]["message"]) == (
        "FAILED",
        "The server stopped while the run was under way.",
    )
    with serve(tmp_path / "kfp") as (_, api):
        assert api.get(f"/runs/{run}") == told


def test_a_killed_servers_run_is_killed_by_the_next_one_and_has_failed(
    tmp_path: Path, start: Callable[[], tuple[subprocess.Popen[str], Api]]
) -> None:
    fifo = new_fifo(tmp_path)
    process, api = start()
    run = api.run(api.pipeline(), do=f"hold:{fifo}")
    with held(fifo):
        below = int((tmp_path / "kfp" / "runs" / run / "below").read_text())
        process.kill()
        process.wait()
        assert Path(f"/proc/{below}").exists()
        _, api = start()
        assert "Z" in state_of(below)
    told = api.get(f"/runs/{run}")
    assert [entry["state"] for entry in told["state_history"]] == ["PENDING", "RUNNING", "FAILED"]
    steps = {task["display_name"]: task["state"] for task in told["run_details"]["task_details"]}
    assert steps["hello"] == "FAILED"


def state_of(process: int) -> str:
    """Its state as Linux shows it; Z, too, when nothing is left of it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return "Z"


def simultaneously(calls: Sequence[Callable[[], requests.Response]]) -> Counter[int]:
    barrier = Barrier(len(calls))

    def call(each: Callable[[], requests.Response]) -> int:
        barrier.wait()
        return each().status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(call, calls))


ONE_WINS = Counter({409: 9, 200: 1})


def test_of_ten_simultaneous_uploads_of_a_name_one_wins_and_makes_one_version(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        names = ["race", "Race", "RACE", "rÁce", "race"] * 2
        assert simultaneously([partial(api.upload, name) for name in names]) == ONE_WINS
        (pipeline,) = api.get("/pipelines")["pipelines"]
        assert api.get(f"/pipelines/{pipeline['pipeline_id']}/versions")["total_size"] == 1


def test_of_ten_simultaneous_versions_of_a_name_one_wins(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        first, second = api.pipeline("first"), api.pipeline("second")
        assert simultaneously([partial(api.upload, "v2", pipelineid=first)] * 10) == ONE_WINS
        assert api.upload("v2", pipelineid=second).status_code == 200


def test_of_ten_simultaneous_experiments_of_a_name_one_wins(tmp_path: Path) -> None:
    def create(url: str) -> requests.Response:
        return requests.post(f"{url}/apis/v2beta1/experiments", json={"display_name": "race"}, timeout=60)

    with serve(tmp_path) as (_, api):
        assert simultaneously([partial(create, api.url)] * 10) == ONE_WINS


def test_of_ten_simultaneous_terminations_one_is_heard(tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    with serve(tmp_path / "kfp") as (server, api):
        run = api.run(api.pipeline(), do=f"hold:{fifo}")
        url = f"{api.url}/apis/v2beta1/runs/{run}:terminate"
        with held(fifo):
            assert simultaneously([partial(requests.post, url, timeout=60)] * 10) == Counter({400: 9, 200: 1})
            server.settle()
        assert len(api.get(f"/runs/{run}")["state_history"]) == 4


def test_ten_runs_at_once_all_end(tmp_path: Path) -> None:
    with serve(tmp_path) as (server, api):
        pipeline = api.pipeline()
        with ThreadPoolExecutor(10) as pool:
            runs = set(pool.map(lambda number: Api(api.url).run(pipeline, count=number), range(10)))
        server.settle()
        states = {run["run_id"]: run["state"] for run in api.get("/runs")["runs"]}
    assert states == dict.fromkeys(runs, "SUCCEEDED")
