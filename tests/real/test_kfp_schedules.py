"""Schedules on the real pipeline server, and what its controller makes of them.

Needs REAL_KFP_ENDPOINT; REAL_KUBECONFIG and REAL_KFP_NAMESPACE for what the controller writes into its objects, and
REAL_KFP_RUNS for runs in pods.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kfp_server import SPEC, Api
from modelcar.schedule import Scheduled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.kfp_cron import parse
from modelcar_pipelines.recurring_runs import create, delete, find_ours
from modelcar_pipelines.schedule_note import ScheduleNote
from modelcar_pipelines.schedule_plan import ScheduleRequest, announce, make_plan
from modelcar_pipelines.schedules import Surroundings, list_schedules, pause, resume, schedule, unschedule

pytestmark = pytest.mark.real

PIPELINE = SPEC.replace(
    "    parameters:\n",
    "    parameters:\n      scheduled: {defaultValue: '', isOptional: true, parameterType: STRING}\n",
).replace(
    "{command: [echo, hello], image: registry.example/never:1}",
    "{command: [sleep, '30'], image: 'docker.io/local/busybox:1'}",
)

EXACT = [
    ("0 2 * * *", "UTC"),
    ("30 4 * * *", "UTC"),
    ("*/5 * * * *", "UTC"),
    ("7-59/10 * * * *", "UTC"),
    ("0 */6 * * *", "UTC"),
    ("15 9-17 * * 1-5", "UTC"),
    ("15 9-17/2 * * MON-FRI", "UTC"),
    ("0 0,12 * * *", "UTC"),
    ("5,10,45 3,4,22 * * *", "UTC"),
    ("0 6 * * 0", "UTC"),
    ("0 6 * * 7", "UTC"),
    ("0 6 * * SAT,sun", "UTC"),
    ("0 6 * * 5-7", "UTC"),
    ("0 6 1 * *", "UTC"),
    ("0 6 1,15 * *", "UTC"),
    ("0 6 31 * *", "UTC"),
    ("0 6 30 * *", "UTC"),
    ("0 6 28-31 * *", "UTC"),
    ("0 6 13 * FRI", "UTC"),
    ("0 6 1-7 * 1", "UTC"),
    ("0 6 */2 * 3", "UTC"),
    ("0 6 */10 * *", "UTC"),
    ("0 6 15 * */2", "UTC"),
    ("0 6 1 JAN *", "UTC"),
    ("0 6 1 1,4,7,10 *", "UTC"),
    ("0 6 31 jan-jul *", "UTC"),
    ("0 6 29 2 *", "UTC"),
    ("0 6 29 FEB MON", "UTC"),
    ("0 6 * 2 *", "UTC"),
    ("59 23 31 12 *", "UTC"),
    ("@hourly", "UTC"),
    ("@daily", "UTC"),
    ("@weekly", "UTC"),
    ("@monthly", "UTC"),
    ("@yearly", "UTC"),
    ("0 2 * * *", "Asia/Tokyo"),
    ("30 7 * * MON", "Asia/Kolkata"),
    ("0 1 15 * *", "Etc/GMT-3"),
]
WIDER = [
    ("0 2 * * *", "Europe/Amsterdam"),
    ("0 1 * * MON", "Europe/Amsterdam"),
    ("0 1 1 * *", "Europe/Amsterdam"),
    ("0 1 */2 * MON", "Asia/Tokyo"),
    ("*/20 9-17 * * *", "Asia/Kolkata"),
    ("0 22 31 12 *", "America/New_York"),
    ("30 2 * * *", "Australia/Lord_Howe"),
]
SERVERS_OWN = [
    "0 2 * * *",
    "30 5/7 * * * ?",
    "*/20 4 4 * * *",
    "0 0 6 ? * WED",
    "0 0 6 *-9 * *",
    "0 0 6 */31,14 * *",
    "0 0 6 */31,14 * MON",
    "0 10-40/13 6,7 * feb-MAR thu-Sat",
    "0 0 +6 07 * *",
    "0 0 6, * * *",
    "@midnight",
    "@annually",
    "@every 36h30m",
]


@pytest.fixture(scope="module")
def endpoint() -> str:
    if "REAL_KFP_ENDPOINT" not in os.environ:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    return os.environ["REAL_KFP_ENDPOINT"]


@pytest.fixture(scope="module")
def server(endpoint: str) -> Server:
    return Server(endpoint)


@pytest.fixture(scope="module")
def pipeline(endpoint: str) -> Iterator[str]:
    """Name of a pipeline that sleeps for half a minute; it is deleted at the end, with all schedules called like it."""
    name = f"schedules-{uuid.uuid4().hex[:8]}"
    api, server = Api(endpoint), Server(endpoint)
    answer = api.upload(name, PIPELINE)
    assert answer.status_code == 200, answer.text
    pipeline = answer.json()["pipeline_id"]
    try:
        yield name
    finally:
        for one in find_ours(server):
            if one.name.startswith(name):
                delete(server, one)
        for version in api.get(f"/pipelines/{pipeline}/versions")["pipeline_versions"]:
            api.send("DELETE", f"/pipelines/{pipeline}/versions/{version['pipeline_version_id']}")
        api.send("DELETE", f"/pipelines/{pipeline}")
        api.close()


@pytest.fixture
def name(pipeline: str) -> str:
    """A name for a schedule of this test's own."""
    return f"{pipeline}-{uuid.uuid4().hex[:6]}"


def next_triggers(ids: set[str]) -> dict[str, tuple[datetime, datetime]]:
    """When the controller says that recurring runs were made, and when they fire next."""
    from kubernetes import client, config, watch

    if "REAL_KUBECONFIG" not in os.environ:
        pytest.skip("REAL_KUBECONFIG is not set")
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    listing = client.CustomObjectsApi(api).list_namespaced_custom_object
    found: dict[str, tuple[datetime, datetime]] = {}
    group = ("kubeflow.org", "v1beta1", os.environ["REAL_KFP_NAMESPACE"], "scheduledworkflows")
    for event in watch.Watch().stream(listing, *group, timeout_seconds=60):
        about = event["object"]
        trigger = about.get("status", {}).get("trigger", {}).get("nextTriggeredTime")
        if about["metadata"]["uid"] in ids and trigger:
            made = about["metadata"]["creationTimestamp"]
            found[about["metadata"]["uid"]] = (datetime.fromisoformat(made), datetime.fromisoformat(trigger))
        if len(found) == len(ids):
            break
    api.close()
    return found


def recurring(server: Server, name: str) -> list[tuple[bool, str]]:
    return [(one.enabled, one.cron) for one in find_ours(server, name)]


def make_disabled(server: Server, pipeline: str, name: str, schedules: list[tuple[str, str]]) -> None:
    """All at once; disabled, so that none fires while the test looks."""

    def make(number: int) -> None:
        cron, zone = schedules[number]
        request = ScheduleRequest(pipeline, cron, zone, name=f"{name}-{number}")
        plan = make_plan(server, request, datetime.now(UTC))
        create(server, plan.body, ScheduleNote(plan.scheduled, plan.content, 1, on=False), enabled=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(len(schedules))))


def test_the_first_announced_time_is_when_the_controller_fires_next(server: Server, pipeline: str, name: str) -> None:
    make_disabled(server, pipeline, name, EXACT)
    made = [one for one in find_ours(server) if one.name.startswith(name)]
    triggers = next_triggers({one.recurring_run_id for one in made})
    announced, triggered = {}, {}
    for one in made:
        created, trigger = triggers[one.recurring_run_id]
        announced[one.note.scheduled] = next(announce(parse(one.cron), one.note.scheduled, created)).astimezone(UTC)
        triggered[one.note.scheduled] = trigger
    assert len(announced) >= 30
    assert announced == triggered


def test_the_controller_fires_when_its_cron_is_said_to(server: Server, pipeline: str, name: str) -> None:
    make_disabled(server, pipeline, name, WIDER)
    (template,) = find_ours(server, f"{name}-0")
    for number, cron in enumerate(SERVERS_OWN):
        body = {**template.body, "display_name": f"{name}-own-{number}", "trigger": {"cron_schedule": {"cron": cron}}}
        create(server, body, ScheduleNote(Scheduled("* * * * *", "UTC"), "own", 1, on=False), enabled=False)
    made = [one for one in find_ours(server) if one.name.startswith(name)]
    triggers = next_triggers({one.recurring_run_id for one in made})
    expected, triggered = {}, {}
    for one in made:
        created, triggered[one.cron] = triggers[one.recurring_run_id]
        expected[one.cron] = parse(one.cron).next_after(created, UTC)
    assert len(made) == len(WIDER) + len(SERVERS_OWN)
    assert expected == triggered


def test_scheduling_twice_makes_one(server: Server, pipeline: str, name: str) -> None:
    request = ScheduleRequest(pipeline, "0 2 1 1 *", "Europe/Amsterdam", name=name)
    first, second = schedule(server, request), schedule(server, request)
    assert (first.action, second.action) == ("created", "unchanged")
    assert first.schedule == second.schedule
    assert recurring(server, name) == [(True, "0 0 0,1 1 1 *")]


def test_a_change_leaves_one_and_goes_back(server: Server, pipeline: str, name: str) -> None:
    request = ScheduleRequest(pipeline, "0 2 1 1 *", name=name)
    schedule(server, request)
    assert schedule(server, replace(request, cron="0 3 1 1 *")).action == "changed"
    assert recurring(server, name) == [(True, "0 0 3 1 1 *")]
    schedule(server, request)
    assert recurring(server, name) == [(True, "0 0 2 1 1 *")]


def test_two_processes_at_once_make_one(server: Server, pipeline: str, name: str) -> None:
    program = (
        "import sys; from modelcar_pipelines.connection import Server;"
        "from modelcar_pipelines.schedules import schedule;"
        "from modelcar_pipelines.schedule_plan import ScheduleRequest;"
        "server = Server(sys.argv[1]); print('ready', flush=True); sys.stdin.readline();"
        "schedule(server, ScheduleRequest(sys.argv[2], '0 2 1 1 *', name=sys.argv[3]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, server.url, pipeline, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    assert recurring(server, name) == [(True, "0 0 2 1 1 *")]


def test_six_callers_at_once_make_one(server: Server, pipeline: str, name: str) -> None:
    def call(hour: int) -> str:
        return schedule(Server(server.url), ScheduleRequest(pipeline, f"0 {hour} 1 1 *", name=name)).action

    with ThreadPoolExecutor(6) as pool:
        actions = list(pool.map(call, [4] * 6))
    assert len(actions) == 6
    assert recurring(server, name) == [(True, "0 0 4 1 1 *")]


def test_pause_resume_and_remove(server: Server, pipeline: str, name: str) -> None:
    schedule(server, ScheduleRequest(pipeline, "0 2 1 1 *", name=name))
    assert pause(server, name).paused
    assert [one.paused for one in list_schedules(server) if one.name == name] == [True]
    assert recurring(server, name) == [(False, "0 0 2 1 1 *")]
    assert not resume(server, name).paused
    assert recurring(server, name) == [(True, "0 0 2 1 1 *")]
    unschedule(server, name)
    assert recurring(server, name) == []


@pytest.mark.node
def test_a_run_that_is_active_goes_on_when_its_schedule_is_changed(server: Server, pipeline: str, name: str) -> None:
    if "REAL_KFP_RUNS" not in os.environ:
        pytest.skip("REAL_KFP_RUNS is not set")
    api = Api(server.url)
    every_minute = ScheduleRequest(pipeline, "* * * * *", name=name)
    first = schedule(server, every_minute).schedule
    (run,) = wait_for(lambda: runs_of(api, first.recurring_run_id, "RUNNING"))
    told: list[str] = []
    changed = schedule(server, replace(every_minute, cron="0 2 1 1 *"), Surroundings(tell=told.append))
    runs = runs_of(api, first.recurring_run_id)
    api.close()
    assert run["display_name"] in told[0]
    assert [(one["run_id"], one["state"]) for one in runs] == [(run["run_id"], "SUCCEEDED")]
    assert recurring(server, name) == [(True, "0 0 2 1 1 *")]
    assert changed.schedule.recurring_run_id != first.recurring_run_id


@pytest.mark.node
def test_what_is_resumed_does_not_make_up_for_what_it_missed(server: Server, pipeline: str, name: str) -> None:
    if "REAL_KFP_RUNS" not in os.environ:
        pytest.skip("REAL_KFP_RUNS is not set")
    every_minute = schedule(server, ScheduleRequest(pipeline, "* * * * *", name=name)).schedule
    pause(server, name)
    missed = parse(every_minute.kfp_cron).next_after(datetime.now(UTC), UTC)
    assert missed is not None
    wait_for(lambda: [True] if datetime.now(UTC) > missed else [])
    resumed = resume(server, name)
    next_trigger = next_triggers({resumed.recurring_run_id})[resumed.recurring_run_id][1]
    pause(server, name)
    assert resumed.recurring_run_id != every_minute.recurring_run_id
    assert next_trigger == resumed.next_fires[0]


def runs_of(api: Api, recurring_run_id: str, state: str | None = None) -> list[dict[str, Any]]:
    runs = api.get("/runs", page_size="100", sort_by="created_at desc").get("runs", [])
    return [
        one for one in runs if one.get("recurring_run_id") == recurring_run_id and state in (None, one.get("state"))
    ]


def wait_for(look: Callable[[], list[Any]], timeout_s: float = 150) -> list[Any]:
    """What `look` finds; it is called every second."""
    end = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(1)
    return found
