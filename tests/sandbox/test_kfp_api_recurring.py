"""Recurring runs of the sandbox's pipeline server fire on a clock that the tests move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kfp_server import FIRST_DAY, Api, held, new_fifo, serve
from modelcar_sandbox.kfp import PipelineServer, RealClock, SteppedClock

DAILY = {"cron_schedule": {"cron": "0 0 2 * * *"}}
HOURLY = {"periodic_schedule": {"interval_second": "3600"}}


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
def api(served: tuple[PipelineServer, Api]) -> Api:
    return served[1]


def fires(api: Api, job: str | None = None) -> list[str]:
    """When runs of a recurring run were made, without the year and the seconds."""
    runs = api.get("/runs", page_size="200", sort_by="created_at").get("runs", [])
    return [run["created_at"][5:16] for run in runs if job is None or run.get("recurring_run_id") == job]


def runs_of(api: Api, job: str) -> list[Any]:
    return [run for run in api.get("/runs", page_size="200").get("runs", []) if run.get("recurring_run_id") == job]


def test_a_daily_one_fires_each_night_over_a_months_end(api: Api, clock: SteppedClock) -> None:
    job = api.recurring(api.pipeline(), trigger=DAILY)
    clock.advance_to(datetime(2026, 3, 30, 12, tzinfo=UTC))
    before = len(fires(api, job))
    clock.advance_to(datetime(2026, 4, 2, 1, 59, 59, tzinfo=UTC))
    assert (before, fires(api, job)[before:]) == (29, ["03-31T02:00", "04-01T02:00"])
    assert {run["state"] for run in runs_of(api, job)} == {"SUCCEEDED"}


@pytest.mark.parametrize(
    ("start", "cron", "expected"),
    [
        # On 29 March 2:30 does not come in Amsterdam; on 25 October it comes twice.
        ("2026-03-27", "0 30 2 * * *", ["03-27T01:30", "03-28T01:30", "03-30T00:30"]),
        ("2026-10-24", "0 30 2 * * *", ["10-24T00:30", "10-25T00:30", "10-25T01:30", "10-26T01:30"]),
        ("2026-10-24", "0 0 12 * * *", ["10-24T10:00", "10-25T11:00", "10-26T11:00"]),
    ],
)
def test_the_servers_zone_has_its_daylight_saving(tmp_path: Path, start: str, cron: str, expected: list[str]) -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    clock = SteppedClock(datetime.fromisoformat(start).replace(tzinfo=zone))
    with serve(tmp_path, clock, zone=zone) as (_, api):
        api.recurring(api.pipeline(), trigger={"cron_schedule": {"cron": cron}})
        clock.advance_to(clock.now() + timedelta(hours=3 * 24 + 14))
        assert fires(api)[: len(expected)] == expected


def test_an_interval_counts_from_when_it_was_made(api: Api, clock: SteppedClock) -> None:
    api.recurring(api.pipeline(), trigger=HOURLY)
    clock.advance_to(FIRST_DAY + timedelta(hours=2, minutes=59))
    assert fires(api) == ["03-01T13:00", "03-01T14:00"]


def test_start_and_end_bound_a_schedule(api: Api, clock: SteppedClock) -> None:
    bounds = {"start_time": "2026-03-04T00:00:00Z", "end_time": "2026-03-06T02:00:00Z"}
    api.recurring(api.pipeline(), trigger={"cron_schedule": {**DAILY["cron_schedule"], **bounds}})
    hours = {"start_time": "2026-03-04T10:30:00Z", "end_time": "2026-03-04T12:00:00Z", "interval_second": "3600"}
    api.recurring(api.pipeline("other"), trigger={"periodic_schedule": hours})
    clock.advance_to(datetime(2026, 3, 10, tzinfo=UTC))
    assert fires(api) == ["03-04T02:00", "03-04T11:30", "03-05T02:00", "03-06T02:00"]


def test_several_fire_in_the_order_in_which_they_are_due(api: Api, clock: SteppedClock) -> None:
    pipeline = api.pipeline()
    jobs = [
        api.recurring(pipeline, trigger={"cron_schedule": {"cron": f"0 {minute} 13 * * *"}}) for minute in (30, 10, 20)
    ]
    clock.advance_to(FIRST_DAY + timedelta(hours=2))
    runs = api.get("/runs", sort_by="created_at")["runs"]
    assert [jobs.index(run["recurring_run_id"]) for run in runs] == [1, 2, 0]


def test_one_without_trigger_fires_once_and_at_once(server: PipelineServer, api: Api, clock: SteppedClock) -> None:
    job = api.recurring(api.pipeline(), display_name="Once, é!")
    server.settle()
    clock.advance_to(FIRST_DAY + timedelta(days=3))
    (run,) = runs_of(api, job)
    assert run["created_at"] == "2026-03-01T12:00:00Z"
    assert api.get(f"/recurringruns/{job}")["trigger"] == {}
    assert run["display_name"].startswith("once")


def test_runs_are_named_after_their_schedule_and_numbered(api: Api, clock: SteppedClock) -> None:
    job = api.recurring(api.pipeline(), display_name="Nightly_Promotion of ALL models", trigger=HOURLY)
    clock.advance_to(FIRST_DAY + timedelta(hours=2))
    names = [run["display_name"].split("-") for run in runs_of(api, job)]
    assert [(len(name), name[0][:25], len(name[0]), name[1]) for name in names] == [
        (3, "nightlypromotionofallmode", 30, "1"),
        (3, "nightlypromotionofallmode", 30, "2"),
    ]


def test_a_run_has_its_schedules_parameters_and_experiment(api: Api, clock: SteppedClock) -> None:
    experiment = api.post("/experiments", {"display_name": "nights"})["experiment_id"]
    config = {"parameters": {"count": 7}}
    job = api.recurring(api.pipeline(), trigger=DAILY, experiment_id=experiment, runtime_config=config)
    clock.advance_to(FIRST_DAY + timedelta(days=1))
    (run,) = runs_of(api, job)
    assert (run["experiment_id"], run["runtime_config"]) == (experiment, config)
    assert api.get(f"/experiments/{experiment}")["last_run_created_at"] == "2026-03-02T02:00:00Z"


def test_without_a_version_each_run_takes_the_latest_of_then(api: Api, clock: SteppedClock) -> None:
    pipeline = api.pipeline()
    first = api.get(f"/pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    latest = api.recurring(pipeline, trigger=DAILY)
    both = {"pipeline_id": pipeline, "pipeline_version_id": first}
    pinned = api.recurring(pipeline, trigger=DAILY, pipeline_version_reference=both)
    clock.advance_to(FIRST_DAY + timedelta(days=1))
    second = api.upload("v2", pipelineid=pipeline).json()["pipeline_version_id"]
    clock.advance_to(FIRST_DAY + timedelta(days=2))
    versions = [
        [run["pipeline_version_reference"]["pipeline_version_id"] for run in runs_of(api, job)]
        for job in (latest, pinned)
    ]
    assert versions == [[first, second], [first, first]]


def test_a_pinned_one_fires_on_when_its_version_is_deleted(api: Api, clock: SteppedClock) -> None:
    pipeline = api.pipeline()
    version = api.get(f"/pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    both = {"pipeline_id": pipeline, "pipeline_version_id": version}
    job = api.recurring(pipeline, trigger=DAILY, pipeline_version_reference=both)
    api.send("DELETE", f"/pipelines/{pipeline}/versions/{version}")
    clock.advance_to(FIRST_DAY + timedelta(days=1))
    assert [run["state"] for run in runs_of(api, job)] == ["SUCCEEDED"]


def test_one_whose_pipeline_has_no_version_holds_up_no_other(api: Api, clock: SteppedClock) -> None:
    empty, other = api.pipeline(), api.pipeline("other")
    broken, sound = (api.recurring(pipeline, trigger=DAILY) for pipeline in (empty, other))
    (version,) = api.get(f"/pipelines/{empty}/versions")["pipeline_versions"]
    api.send("DELETE", f"/pipelines/{empty}/versions/{version['pipeline_version_id']}")
    clock.advance_to(FIRST_DAY + timedelta(days=2))
    assert (fires(api, broken), len(fires(api, sound))) == ([], 2)


def test_a_due_fire_waits_until_a_run_has_ended_and_missed_ones_follow(
    tmp_path: Path, server: PipelineServer, api: Api, clock: SteppedClock
) -> None:
    fifo = new_fifo(tmp_path, runs=3)
    job = api.recurring(api.pipeline(), trigger=HOURLY, runtime_config={"parameters": {"do": f"hold:{fifo}"}})
    clock.advance_to(FIRST_DAY + timedelta(hours=3), let_runs_end=False)
    counts = []
    for number in "123":
        with held(fifo.replace("%", number)):
            counts.append(len(runs_of(api, job)))
    server.settle()
    assert (counts, len(runs_of(api, job))) == ([1, 2, 3], 3)


def test_without_catchup_only_the_last_missed_one_follows(
    tmp_path: Path, server: PipelineServer, api: Api, clock: SteppedClock
) -> None:
    fifo = new_fifo(tmp_path, runs=2)
    config = {"parameters": {"do": f"hold:{fifo}"}}
    job = api.recurring(api.pipeline(), trigger=DAILY, runtime_config=config, no_catchup=True)
    clock.advance_to(FIRST_DAY + timedelta(days=4), let_runs_end=False)
    for number in "12":
        with held(fifo.replace("%", number)):
            pass
    server.settle()
    assert fires(api, job) == ["03-02T02:00", "03-05T12:00"]


def test_as_many_run_at_once_as_it_allows(tmp_path: Path, api: Api, clock: SteppedClock) -> None:
    fifo = new_fifo(tmp_path)
    config = {"parameters": {"do": f"hold:{fifo}"}}
    job = api.recurring(api.pipeline(), trigger=HOURLY, runtime_config=config, max_concurrency="2")
    clock.advance_to(FIRST_DAY + timedelta(hours=5), let_runs_end=False)
    assert len(runs_of(api, job)) == 2


@pytest.mark.parametrize(
    ("no_catchup", "expected"),
    [(False, ["03-01T13:00", "03-01T16:30", "03-01T16:30"]), (True, ["03-01T13:00", "03-01T16:30"])],
)
def test_what_a_disabled_one_missed_is_made_up_for_as_it_says(
    server: PipelineServer, api: Api, clock: SteppedClock, no_catchup: bool, expected: list[str]
) -> None:
    job = api.recurring(api.pipeline(), trigger=HOURLY, no_catchup=no_catchup)
    clock.advance_to(FIRST_DAY + timedelta(hours=1))
    assert api.post(f"/recurringruns/{job}:disable") == {}
    clock.advance_to(FIRST_DAY + timedelta(hours=4, minutes=30))
    assert fires(api, job) == ["03-01T13:00"]
    assert api.post(f"/recurringruns/{job}:enable") == {}
    server.settle()
    assert fires(api, job)[: len(expected)] == expected


def test_a_deleted_one_fires_no_more_and_takes_its_runs_with_it(
    tmp_path: Path, server: PipelineServer, api: Api, clock: SteppedClock
) -> None:
    fifo = new_fifo(tmp_path)
    job = api.recurring(api.pipeline(), trigger=DAILY, runtime_config={"parameters": {"do": f"hold:{fifo}"}})
    clock.advance_to(FIRST_DAY + timedelta(days=1), let_runs_end=False)
    with held(fifo):
        assert api.send("DELETE", f"/recurringruns/{job}").json() == {}
        server.settle()
    clock.advance_to(FIRST_DAY + timedelta(days=3))
    assert [(run["state"], run["finished_at"][:4]) for run in runs_of(api, job)] == [("RUNNING", "1970")]


def test_one_that_is_deleted_as_an_orphans_parent_leaves_its_runs_alone(
    tmp_path: Path, server: PipelineServer, api: Api, clock: SteppedClock
) -> None:
    fifo = new_fifo(tmp_path)
    job = api.recurring(api.pipeline(), trigger=DAILY, runtime_config={"parameters": {"do": f"hold:{fifo}"}})
    clock.advance_to(FIRST_DAY + timedelta(days=1), let_runs_end=False)
    with held(fifo):
        api.send("DELETE", f"/recurringruns/{job}", propagation_policy="ORPHAN")
    server.settle()
    assert [run["state"] for run in runs_of(api, job)] == ["SUCCEEDED"]


def test_two_of_one_name_are_two(api: Api, clock: SteppedClock) -> None:
    pipeline = api.pipeline()
    jobs = {api.recurring(pipeline, trigger=DAILY) for _ in range(2)}
    clock.advance_to(FIRST_DAY + timedelta(days=1))
    assert [len(fires(api, job)) for job in jobs] == [1, 1]


def test_archiving_an_experiment_disables_its_schedules(api: Api, clock: SteppedClock) -> None:
    experiment = api.post("/experiments", {"display_name": "nights"})["experiment_id"]
    job = api.recurring(api.pipeline(), trigger=DAILY, experiment_id=experiment)
    api.post(f"/experiments/{experiment}:archive")
    clock.advance_to(FIRST_DAY + timedelta(days=2))
    assert (api.get(f"/recurringruns/{job}")["mode"], fires(api)) == ("DISABLE", [])


def test_one_that_can_never_fire_is_taken_and_never_fires(api: Api, clock: SteppedClock) -> None:
    api.recurring(api.pipeline(), trigger={"cron_schedule": {"cron": "0 0 2 30 2 *"}})
    clock.advance_to(FIRST_DAY + timedelta(days=400))
    assert fires(api) == []


def test_missed_times_are_made_up_for_after_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path, SteppedClock(FIRST_DAY)) as (_, api):
        job = api.recurring(api.pipeline(), trigger=DAILY)
    later = SteppedClock(FIRST_DAY + timedelta(days=3))
    with serve(tmp_path, later) as (_, api):
        later.advance_to(FIRST_DAY + timedelta(days=3, seconds=1))
        assert len(fires(api, job)) == 3


def test_a_clock_goes_forward_only() -> None:
    clock = SteppedClock(FIRST_DAY)
    with pytest.raises(ValueError, match="before"):
        clock.advance_to(FIRST_DAY - timedelta(seconds=1))


def test_the_machines_clock_calls_when_something_is_due_and_when_woken() -> None:
    class Due:
        def __init__(self) -> None:
            self.times: list[datetime] = []
            self.fired = [threading.Event(), threading.Event(), threading.Event()]

        def fire_due(self) -> None:
            self.times.append(datetime.now(UTC))
            self.fired[min(len(self.times), 3) - 1].set()

        def next_time(self) -> datetime | None:
            return self.times[0] + timedelta(seconds=0.2) if len(self.times) == 1 else None

        def settle(self) -> None:
            """Nothing is under way."""

    due, clock = Due(), RealClock()
    with ExitStack() as running:
        running.callback(clock.stop)
        clock.drive(due)
        assert due.fired[1].wait(30)
        clock.wake()
        assert due.fired[2].wait(30)
    first, second = due.times[:2]
    assert second - first >= timedelta(seconds=0.2)


def test_the_machines_clock_fires_a_schedule_of_every_second(tmp_path: Path) -> None:
    with serve(tmp_path) as (server, api):
        fifo = new_fifo(tmp_path)
        every = {"periodic_schedule": {"interval_second": "1"}}
        config = {"parameters": {"do": f"hold:{fifo}"}}
        job = api.recurring(api.pipeline(), trigger=every, runtime_config=config)
        with held(fifo):
            assert len(runs_of(api, job)) == 1
            api.post(f"/recurringruns/{job}:disable")
        server.settle()
