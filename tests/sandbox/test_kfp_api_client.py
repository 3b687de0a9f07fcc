"""The unmodified `kfp.Client` and `kfp_server_api` work with the sandbox's pipeline server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kfp_server import FIRST_DAY, SPEC, Api, held, new_fifo, serve
from modelcar_sandbox.kfp import PipelineServer, SteppedClock

if TYPE_CHECKING:
    from kfp import Client


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(FIRST_DAY)


@pytest.fixture
def served(tmp_path: Path, clock: SteppedClock) -> Iterator[tuple[PipelineServer, Api]]:
    with serve(tmp_path / "kfp", clock) as served:
        yield served


@pytest.fixture
def server(served: tuple[PipelineServer, Api]) -> PipelineServer:
    return served[0]


@pytest.fixture
def client(served: tuple[PipelineServer, Api], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Client:
    monkeypatch.setenv("HOME", str(tmp_path))  # it looks for a configuration there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its own, at each construction
        from kfp import Client

        return Client(host=served[1].url)


@pytest.fixture
def package(tmp_path: Path) -> str:
    path = tmp_path / "hello.yaml"
    path.write_text(SPEC)
    return str(path)


def test_upload_find_and_upload_another_version(client: Client, package: str) -> None:
    pipeline = client.upload_pipeline(package, pipeline_name="hello", description="says hello")
    version = client.upload_pipeline_version(package, "v2", pipeline_name="hello")
    assert client.get_pipeline_id("hello") == pipeline.pipeline_id == version.pipeline_id
    listed = client.list_pipeline_versions(pipeline.pipeline_id, sort_by="display_name").pipeline_versions
    assert [one.display_name for one in listed] == ["hello", "v2"]
    assert listed[0].description == "says hello"
    assert client.get_pipeline_id("other") is None


def test_a_taken_name_is_a_conflict(client: Client, package: str) -> None:
    from kfp_server_api.exceptions import ApiException

    client.upload_pipeline(package, pipeline_name="hello")
    with pytest.raises(ApiException) as refused:
        client.upload_pipeline(package, pipeline_name="Hello")
    assert refused.value.status == 409


def test_run_a_version_and_wait_for_it(client: Client, package: str) -> None:
    pipeline = client.upload_pipeline(package, pipeline_name="hello")
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    experiment = client.create_experiment("mine")
    run = client.run_pipeline(
        experiment.experiment_id,
        "by hand",
        params={"count": 2},
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
    )
    ended = client.wait_for_run_completion(run.run_id, timeout=60, sleep_duration=0.05)
    assert (ended.state, ended.display_name, ended.runtime_config.parameters) == ("SUCCEEDED", "by hand", {"count": 2})
    steps = {task.display_name: task.state for task in ended.run_details.task_details}
    assert (steps["hello"], steps["only-if"]) == ("SUCCEEDED", "SKIPPED")
    assert [one.run_id for one in client.list_runs(experiment_id=experiment.experiment_id).runs] == [run.run_id]


def test_run_a_package_without_uploading_it(client: Client, package: str) -> None:
    result = client.create_run_from_pipeline_package(
        package, arguments={"do": "fail"}, run_name="once", experiment_name="new", enable_caching=False
    )
    ended = client.wait_for_run_completion(result.run_id, timeout=60, sleep_duration=0.05)
    failed = {task.display_name: task.error for task in ended.run_details.task_details if task.error}
    assert (ended.state, failed["hello"].message) == ("FAILED", "Error: there is no such model")
    assert ended.pipeline_spec["pipelineInfo"] == {"name": "hello-pipe"}
    assert client.get_experiment(experiment_name="new").experiment_id == ended.experiment_id


def test_terminate_a_run(client: Client, package: str, server: PipelineServer, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    run = client.create_run_from_pipeline_package(package, arguments={"do": f"hold:{fifo}"})
    with held(fifo):
        client.terminate_run(run.run_id)
        server.settle()
    ended = client.get_run(run.run_id)
    assert [entry.state for entry in ended.state_history] == ["PENDING", "RUNNING", "CANCELING", "FAILED"]


def test_archive_and_delete_a_run(client: Client, package: str, server: PipelineServer) -> None:
    run = client.create_run_from_pipeline_package(package, arguments={})
    server.settle()
    client.archive_run(run.run_id)
    assert client.get_run(run.run_id).storage_state == "ARCHIVED"
    client.unarchive_run(run.run_id)
    client.delete_run(run.run_id)
    assert client.list_runs().runs is None


def test_a_recurring_run_made_switched_and_deleted(client: Client, package: str, clock: SteppedClock) -> None:
    pipeline = client.upload_pipeline(package, pipeline_name="hello")
    (version,) = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions
    experiment = client.create_experiment("nights").experiment_id
    job = client.create_recurring_run(
        experiment,
        "nightly",
        cron_expression="0 0 2 * * *",
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
        no_catchup=True,
        params={"count": 3},
    )
    clock.advance_to(FIRST_DAY + timedelta(days=2))
    client.disable_recurring_run(job.recurring_run_id)
    clock.advance_to(FIRST_DAY + timedelta(days=3))
    runs = client.list_runs(experiment_id=experiment, sort_by="created_at").runs
    assert [run.created_at.day for run in runs] == [2, 3]
    assert {run.recurring_run_id for run in runs} == {job.recurring_run_id}
    assert client.get_recurring_run(job.recurring_run_id).mode == "DISABLE"
    client.enable_recurring_run(job.recurring_run_id)
    client.delete_recurring_run(job.recurring_run_id)
    assert client.list_recurring_runs(experiment_id=experiment).recurring_runs is None


def test_what_the_client_refuses_the_generated_one_can_ask_for(client: Client, package: str) -> None:
    import kfp_server_api

    pipeline = client.upload_pipeline(package, pipeline_name="hello").pipeline_id
    wanted = kfp_server_api.V2beta1RecurringRun(
        display_name="latest",
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(pipeline_id=pipeline),
        max_concurrency="1",
        mode="ENABLE",
        no_catchup=True,
        trigger=kfp_server_api.V2beta1Trigger(cron_schedule=kfp_server_api.V2beta1CronSchedule(cron="0 0 2 * * *")),
    )
    api = client._recurring_run_api
    made = api.recurring_run_service_create_recurring_run(wanted)
    assert (made.status, made.pipeline_version_reference.pipeline_version_id) == ("ENABLED", None)
    api.recurring_run_service_delete_recurring_run(made.recurring_run_id, propagation_policy="ORPHAN")
