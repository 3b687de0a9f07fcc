"""The sandbox's pipeline server answers as the real one was recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts_replay import Replay
from kfp_server import BASE, Api, filter_by
from modelcar_sandbox.kfp import PipelineServer
from modelcar_sandbox.service import Service

CONTRACT = "kfp-api.jsonl"


def test_every_recorded_step_holds_twice_in_one_server(tmp_path: Path) -> None:
    with PipelineServer(tmp_path, command=["true"]) as server, Service(server.app) as service:
        replays = [Replay(service.url + BASE).run(CONTRACT) for _ in range(2)]
    assert replays == [(67, [])] * 2


@pytest.fixture
def real_replay() -> Iterator[Replay]:
    endpoint = os.environ.get("REAL_KFP_ENDPOINT")
    if not endpoint:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    replay = Replay(endpoint + BASE)
    yield replay
    # The contract leaves schedules that would fire, and runs whose image nobody has.
    api = Api(endpoint)
    mine = filter_by("IS_SUBSTRING", "display_name", replay.saved["run"])
    for job in api.get("/recurringruns", filter=mine, page_size="200").get("recurringRuns", []):
        api.send("DELETE", f"/recurringruns/{job['recurring_run_id']}")
    for run in api.get("/runs", experiment_id=replay.saved["experiment"]).get("runs", []):
        api.send("DELETE", f"/runs/{run['run_id']}")
    for pipeline in api.get("/pipelines", filter=mine).get("pipelines", []):
        api.send("DELETE", f"/pipelines/{pipeline['pipeline_id']}", cascade="true")
    api.send("DELETE", f"/experiments/{replay.saved['experiment']}")
    api.close()


@pytest.mark.real
def test_the_real_server_still_answers_as_recorded(real_replay: Replay) -> None:
    assert real_replay.run(CONTRACT) == (67, [])
