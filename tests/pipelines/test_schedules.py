"""Schedules on the sandbox's pipeline server, whose clock is moved. `tests/real` has the real server's."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from kfp_server import SPEC, Api, held, new_fifo, serve
from modelcar.errors import InvalidInput, PromotionError
from modelcar.schedule import find_wrong_hour, occurrences, parse_cron, read_zone
from modelcar_pipelines.connection import Server
from modelcar_pipelines.promoted import describe_promoted
from modelcar_pipelines.recurring_runs import create, find_ours
from modelcar_pipelines.schedule_note import ScheduleNote, read_note
from modelcar_pipelines.schedule_plan import ScheduleRequest
from modelcar_pipelines.schedules import (
    Surroundings,
    list_schedules,
    pause,
    resume,
    schedule,
    unschedule,
)
from modelcar_pipelines.showing import schedule_lines
from modelcar_sandbox.kfp import SteppedClock

START = datetime(2026, 11, 25, 21, 3, tzinfo=UTC)
SCHEDULED_SPEC = SPEC.replace(
    "    parameters:\n",
    "    parameters:\n      scheduled: {defaultValue: '', isOptional: true, parameterType: STRING}\n",
)
NIGHTLY = ScheduleRequest("hello", "0 2 * * *", "Europe/Amsterdam")


class Place:
    """A pipeline server with one pipeline, a clock, and what a caller sees of both."""

    def __init__(self, api: Api, clock: SteppedClock) -> None:
        self.api, self.clock = api, clock
        self.server = Server(api.url)
        self.told: list[str] = []
        self.around = Surroundings(tell=self.told.append, wait=self._wait, clock=clock.now)
        self.at_wait: list[Any] = []

    def _wait(self, seconds: float) -> None:
        assert self.at_wait, f"nothing happens by waiting {seconds} s: {self.told}"
        self.at_wait.pop(0)()

    def all(self) -> list[dict[str, Any]]:
        """All recurring runs, as the server has them."""
        return list(self.api.get("/recurringruns", page_size="200").get("recurringRuns", []))

    def runs(self) -> list[dict[str, Any]]:
        """All runs, in order."""
        return list(self.api.get("/runs", page_size="200", sort_by="created_at").get("runs", []))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = SteppedClock(START)
    with serve(tmp_path / "kfp", clock) as (_, api):
        assert api.upload("hello", SCHEDULED_SPEC).status_code == 200
        yield Place(api, clock)


def wait_until_ended(place: Place) -> None:
    """Return when the double has no active run; it knows when its processes end."""
    place.clock.advance_to(place.clock.now())


def shown(moments: tuple[datetime, ...]) -> list[str]:
    return [f"{moment:%m-%d %H:%M %Z}" for moment in moments]


def test_a_schedule_is_told_to_the_server_in_its_own_words(place: Place) -> None:
    made = schedule(place.server, NIGHTLY, place.around)
    assert (made.action, made.schedule.kfp_cron, made.schedule.paused) == ("created", "0 0 0,1 * * *", False)
    assert shown(made.schedule.next_fires) == ["11-26 02:00 CET", "11-27 02:00 CET", "11-28 02:00 CET"]
    (found,) = place.all()
    assert found["display_name"] == "hello"
    assert found["runtime_config"]["parameters"] == {"scheduled": "0 2 * * * Europe/Amsterdam"}
    assert (found["max_concurrency"], found["no_catchup"], found["mode"]) == ("1", True, "ENABLE")
    assert "pipeline_version_id" not in found["pipeline_version_reference"]
    assert found["description"].startswith("0 2 * * * in Europe/Amsterdam\n")


def test_a_schedule_that_is_there_is_left_alone(place: Place) -> None:
    schedule(place.server, NIGHTLY, place.around)
    before = place.all()
    assert schedule(place.server, NIGHTLY, place.around).action == "unchanged"
    assert place.all() == before


@pytest.mark.parametrize(
    "other",
    [
        replace(NIGHTLY, cron="0 3 * * *"),
        replace(NIGHTLY, zone="UTC"),
        replace(NIGHTLY, parameters={"count": 2}),
        replace(NIGHTLY, version="hello"),
        replace(NIGHTLY, service_account="robot"),
        replace(NIGHTLY, server_zone="Europe/Amsterdam"),
    ],
)
def test_a_changed_schedule_takes_the_place_of_the_old_one(place: Place, other: ScheduleRequest) -> None:
    first = schedule(place.server, NIGHTLY, place.around)
    second = schedule(place.server, other, place.around)
    third = schedule(place.server, other, place.around)
    assert (second.action, third.action) == ("changed", "unchanged")
    assert first.schedule.recurring_run_id != second.schedule.recurring_run_id == third.schedule.recurring_run_id
    assert [one["mode"] for one in place.all()] == ["ENABLE"]


PROMOTION = """\
modelRegistry: {{registeredModel: {model}}}
inferenceService: {{path: serving/{model}.yaml}}
"""


def promotion_of(model: str, **changes: Any) -> ScheduleRequest:
    promotion = replace(NIGHTLY, pipeline="promotion", parameters={"spec": PROMOTION.format(model=model)})
    return replace(promotion, **changes)


@pytest.fixture
def promotions(place: Place) -> Place:
    """A place whose pipeline `promotion` takes a spec."""
    text = SCHEDULED_SPEC.replace("      scheduled:", "      spec: {parameterType: STRING}\n      scheduled:")
    assert place.api.upload("promotion", text).status_code == 200
    return place


def test_a_second_model_does_not_take_the_place_of_the_first_ones_schedule(promotions: Place) -> None:
    first = schedule(promotions.server, promotion_of("llama"), promotions.around).schedule
    with pytest.raises(InvalidInput) as caught:
        schedule(promotions.server, promotion_of("qwen"), promotions.around)
    assert str(caught.value) == (
        "the schedule promotion promotes llama (serving/llama.yaml), and qwen (serving/qwen.yaml) would take its place"
    )
    assert caught.value.hint == (
        "Give this one a name of its own with --name NAME (schedule_name= in a notebook); with --name promotion it "
        "takes the place of the other."
    )
    assert caught.value.exit_code == 2
    assert list_schedules(promotions.server, promotions.around) == [first]


def test_a_second_model_is_scheduled_under_a_name_of_its_own(promotions: Place) -> None:
    schedule(promotions.server, promotion_of("llama"), promotions.around)
    schedule(promotions.server, promotion_of("qwen", name="qwen-nightly"), promotions.around)
    standing = list_schedules(promotions.server, promotions.around)
    assert [schedule_lines(one)[0] for one in standing] == [
        "pipeline promotion promotes llama (serving/llama.yaml)",
        "pipeline promotion promotes qwen (serving/qwen.yaml)",
    ]


def test_who_gives_the_name_means_the_schedule_that_has_it(promotions: Place) -> None:
    schedule(promotions.server, promotion_of("llama"), promotions.around)
    done = schedule(promotions.server, promotion_of("qwen", name="promotion"), promotions.around)
    assert done.action == "changed"
    (standing,) = list_schedules(promotions.server, promotions.around)
    assert schedule_lines(standing)[0] == "pipeline promotion promotes qwen (serving/qwen.yaml)"


def test_two_services_of_one_model_in_one_file_do_not_take_each_others_schedule(promotions: Place) -> None:
    chat, code = (PROMOTION.format(model="llama").replace("path:", f"name: {one}, path:") for one in ("chat", "code"))
    schedule(promotions.server, promotion_of("llama", parameters={"spec": chat}), promotions.around)
    sentence = (
        "the schedule promotion promotes llama (chat in serving/llama.yaml), and llama (code in serving/llama.yaml) "
        "would take its place"
    )
    with pytest.raises(InvalidInput) as caught:
        schedule(promotions.server, promotion_of("llama", parameters={"spec": code}), promotions.around)
    assert str(caught.value) == sentence


def test_the_same_model_with_another_spec_changes_its_schedule(promotions: Place) -> None:
    schedule(promotions.server, promotion_of("llama"), promotions.around)
    more = {"spec": PROMOTION.format(model="llama") + "image: {tag: nightly}\n"}
    assert schedule(promotions.server, promotion_of("llama", parameters=more), promotions.around).action == "changed"


def test_a_schedule_that_names_no_model_is_changed_to_one_that_does(promotions: Place) -> None:
    schedule(promotions.server, promotion_of("llama", parameters={"spec": ""}), promotions.around)
    assert schedule(promotions.server, promotion_of("llama"), promotions.around).action == "changed"


def test_another_list_of_models_changes_the_schedule_of_the_list(promotions: Place) -> None:
    text = SCHEDULED_SPEC.replace("      scheduled:", "      specs: {parameterType: LIST}\n      scheduled:")
    assert promotions.api.upload("several", text).status_code == 200
    head = "apiVersion: modelcar.dev/v1alpha1\nkind: PromotionSpec\n"
    llama, qwen = (head + PROMOTION.format(model=model) for model in ("llama", "qwen"))
    nightly = replace(NIGHTLY, pipeline="several", parameters={"specs": [llama]})
    schedule(promotions.server, nightly, promotions.around)
    done = schedule(promotions.server, replace(nightly, parameters={"specs": [llama, qwen]}), promotions.around)
    assert done.action == "changed"
    assert schedule_lines(done.schedule)[0] == (
        "pipeline several promotes llama (serving/llama.yaml), qwen (serving/qwen.yaml)"
    )


def test_a_schedule_whose_pipeline_was_deleted_is_shown_with_the_pipelines_id(promotions: Place) -> None:
    made = schedule(promotions.server, promotion_of("llama"), promotions.around).schedule
    path = f"/pipelines/{made.pipeline_id}"
    for version in promotions.api.get(f"{path}/versions")["pipeline_versions"]:
        promotions.api.send("DELETE", f"{path}/versions/{version['pipeline_version_id']}").raise_for_status()
    promotions.api.send("DELETE", path).raise_for_status()
    (standing,) = list_schedules(promotions.server, promotions.around)
    assert standing.pipeline == ""
    assert schedule_lines(standing)[0] == f"pipeline {made.pipeline_id} promotes llama (serving/llama.yaml)"


@pytest.mark.parametrize(
    ("spec", "shown_as"),
    [
        ("modelRegistry: {registeredModel: 2026-13-45}", "2026-13-45"),
        ("modelRegistry: {registeredModel: null}", ""),
        ("modelRegistry: {registeredModel: [llama]}", ""),
        ("inferenceService: {path: a.yaml, name: chat, namespace: prod}", "prod/chat in a.yaml"),
        ("inferenceService: {name: chat}", "chat"),
        ("{", ""),
        ("", ""),
    ],
)
def test_a_spec_that_says_less_or_nothing_readable_is_shown_as_far_as_it_goes(spec: str, shown_as: str) -> None:
    assert describe_promoted({"spec": spec}) == shown_as


def test_a_parameter_goes_before_what_the_spec_says() -> None:
    parameters = {"spec": PROMOTION.format(model="llama"), "registered_model": "llama-canary", "namespace": "prod"}
    assert describe_promoted(parameters) == "llama-canary (prod in serving/llama.yaml)"


def test_the_same_model_at_another_time_changes_its_schedule(promotions: Place) -> None:
    schedule(promotions.server, promotion_of("llama"), promotions.around)
    done = schedule(promotions.server, promotion_of("llama", cron="0 4 * * *"), promotions.around)
    assert done.action == "changed"


def test_a_schedule_is_changed_back(place: Place) -> None:
    schedule(place.server, NIGHTLY, place.around)
    schedule(place.server, replace(NIGHTLY, cron="0 3 * * *"), place.around)
    assert schedule(place.server, NIGHTLY, place.around).action == "changed"
    assert [one.scheduled.cron for one in list_schedules(place.server, place.around)] == ["0 2 * * *"]


def test_a_pinned_version_is_kept_when_a_newer_one_comes(place: Place) -> None:
    made = schedule(place.server, replace(NIGHTLY, version="hello"), place.around).schedule
    place.clock.advance_to(START + timedelta(hours=1))
    assert place.api.upload("newer", SCHEDULED_SPEC, pipelineid=made.pipeline_id).status_code == 200
    place.clock.advance_to(START + timedelta(days=1))
    versions = {run["pipeline_version_reference"]["pipeline_version_id"] for run in place.runs()}
    assert versions == {made.version_id}


def test_a_pinned_version_has_a_name_until_somebody_deletes_it(place: Place) -> None:
    made = schedule(place.server, replace(NIGHTLY, version="hello"), place.around).schedule
    assert (made.version, bool(made.version_id)) == ("hello", True)
    place.api.send("DELETE", f"/pipelines/{made.pipeline_id}/versions/{made.version_id}").raise_for_status()
    assert list_schedules(place.server, place.around) == [replace(made, version="")]


def test_schedules_of_several_names_stand_beside_each_other(place: Place) -> None:
    schedule(place.server, NIGHTLY, place.around)
    schedule(place.server, replace(NIGHTLY, name="weekly", cron="@weekly"), place.around)
    listed = list_schedules(place.server, place.around)
    assert [(one.name, str(one.scheduled)) for one in listed] == [
        ("hello", "0 2 * * * Europe/Amsterdam"),
        ("weekly", "0 0 * * 0 Europe/Amsterdam"),
    ]


def test_recurring_runs_of_other_people_are_neither_shown_nor_touched(place: Place) -> None:
    pipeline = place.api.get("/pipelines")["pipelines"][0]["pipeline_id"]
    theirs = place.api.recurring(pipeline, display_name="hello", trigger={"cron_schedule": {"cron": "0 0 4 * * *"}})
    schedule(place.server, NIGHTLY, place.around)
    schedule(place.server, replace(NIGHTLY, cron="0 3 * * *"), place.around)
    assert len(list_schedules(place.server, place.around)) == 1
    unschedule(place.server, "hello", place.around)
    assert [one["recurring_run_id"] for one in place.all()] == [theirs]


def test_more_schedules_than_fit_on_a_page_are_listed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcar_pipelines.recurring_runs.PAGE", 3)
    note = ScheduleNote(schedule(place.server, NIGHTLY, place.around).schedule.scheduled, "x", 1, True)
    body = find_ours(place.server)[0].body
    for number in range(7):
        create(place.server, {**body, "display_name": f"n{number:03}"}, note, enabled=True)
    assert len(list_schedules(place.server, place.around)) == 8


@pytest.mark.parametrize(
    ("begin", "end"), [("2026-03-26", "2026-04-02"), ("2026-10-23", "2026-11-02")], ids=["spring", "autumn"]
)
@pytest.mark.parametrize("cron", ["0 2 * * *", "30 2,14 * * *", "0 1 1 * *"])
def test_the_announced_fires_happen_and_no_others(tmp_path: Path, begin: str, end: str, cron: str) -> None:
    clock = SteppedClock(datetime.fromisoformat(begin).replace(tzinfo=UTC))
    with serve(tmp_path / "kfp", clock) as (_, api):
        assert api.upload("hello", SCHEDULED_SPEC).status_code == 200
        place = Place(api, clock)
        schedule(place.server, replace(NIGHTLY, cron=cron), place.around)
        zone, last = read_zone("Europe/Amsterdam"), datetime.fromisoformat(end).replace(tzinfo=UTC)
        fires = takewhile(lambda fire: fire <= last, occurrences(parse_cron(cron), zone, clock.now()))
        announced = [f"{fire.astimezone(UTC):%m-%dT%H:%M}" for fire in fires]
        clock.advance_to(last)
        happened = [
            run["created_at"][5:16]
            for run in place.runs()
            # What the pipeline's first step does.
            if find_wrong_hour(run["runtime_config"]["parameters"]["scheduled"], run["created_at"]) is None
        ]
    assert happened == announced


def test_a_run_that_is_active_goes_on_when_its_schedule_is_changed(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    with ExitStack() as stack:
        place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
        stack.enter_context(held(fifo))
        (run,) = place.runs()
        disabled_meanwhile: list[str] = []

        def release() -> None:
            disabled_meanwhile.extend(one["mode"] for one in place.all())
            stack.close()
            wait_until_ended(place)

        place.at_wait = [lambda: None, release, *[lambda: wait_until_ended(place)] * 50]
        changed = schedule(place.server, replace(NIGHTLY, zone="UTC", cron="0 4 * * *"), place.around)
    assert place.told == [
        f"waiting for {run['display_name']} to end before the schedule hello is changed; nothing fires until then. "
        "If you do not wait, call again later."
    ]
    assert disabled_meanwhile == ["DISABLE", "DISABLE"]
    assert [run["state"] for run in place.runs()] == ["SUCCEEDED"]
    assert [one["recurring_run_id"] for one in place.all()] == [changed.schedule.recurring_run_id]
    assert shown(changed.schedule.next_fires)[0] == "11-26 04:00 UTC"


def test_what_a_changed_schedule_missed_while_it_waited_is_not_made_up_for(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    with ExitStack() as stack:
        place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
        stack.enter_context(held(fifo))

        def release() -> None:
            place.clock.advance_to(datetime(2026, 11, 26, 5, 13, tzinfo=UTC), let_runs_end=False)
            stack.close()
            wait_until_ended(place)

        place.at_wait = [release, *[lambda: wait_until_ended(place)] * 50]
        changed = schedule(place.server, replace(NIGHTLY, zone="UTC", cron="0 4 * * *"), place.around)
    place.clock.advance_to(datetime(2026, 11, 26, 12, 0, tzinfo=UTC))
    assert len(place.runs()) == 1
    assert [one["mode"] for one in place.all()] == ["ENABLE"]
    assert shown(changed.schedule.next_fires)[0] == "11-27 04:00 UTC"


def test_a_change_that_was_interrupted_is_shown_and_finished_by_the_next_call(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
    later = replace(NIGHTLY, zone="UTC", cron="0 4 * * *")

    def interrupt() -> None:
        raise KeyboardInterrupt

    with held(fifo):
        place.at_wait = [interrupt]
        with pytest.raises(KeyboardInterrupt):
            schedule(place.server, later, place.around)
        (listed,) = list_schedules(place.server, place.around)
        assert (listed.scheduled.cron, listed.changing, listed.paused) == ("0 4 * * *", True, False)
    wait_until_ended(place)
    place.clock.advance_to(datetime(2026, 11, 26, 2, 10, tzinfo=UTC))
    assert schedule(place.server, later, place.around).action == "unchanged"
    assert [one["mode"] for one in place.all()] == ["ENABLE"]


@pytest.mark.parametrize("step", range(5))
def test_a_caller_that_dies_between_two_requests_leaves_what_the_next_one_finishes(place: Place, step: int) -> None:
    schedule(place.server, NIGHTLY, place.around)
    other = replace(NIGHTLY, cron="0 3 * * *")
    dying = Server(place.api.url)
    left = step

    def call(function: Any, *args: object, **kwargs: object) -> Any:
        nonlocal left
        if any(word in function.__name__ for word in ("_create_", "_enable_", "_disable_", "_delete_")):
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
        return function(*args, **kwargs)

    dying.call = call  # type: ignore[method-assign]
    if step < 4:
        with pytest.raises(KeyboardInterrupt):
            schedule(dying, other, place.around)
    else:
        schedule(dying, other, place.around)
    schedule(place.server, other, place.around)
    assert [(one["mode"], one["trigger"]["cron_schedule"]["cron"]) for one in place.all()] == [
        ("ENABLE", "0 0 1,2 * * *")
    ]


def test_several_at_once_end_with_one_schedule(place: Place) -> None:
    barrier = threading.Barrier(8)
    actions: list[str] = []

    def call() -> None:
        server = Server(place.api.url)
        barrier.wait()
        actions.append(schedule(server, NIGHTLY, Surroundings(clock=place.clock.now)).action)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(actions) == 8
    assert [one["mode"] for one in place.all()] == ["ENABLE"]


def test_several_that_want_different_things_at_once_end_with_one_of_them(place: Place) -> None:
    barrier = threading.Barrier(6)

    def call(hour: int) -> None:
        server = Server(place.api.url)
        barrier.wait()
        with suppress(PromotionError):  # another caller was later
            schedule(server, replace(NIGHTLY, cron=f"0 {hour} * * *"), Surroundings(clock=place.clock.now))

    threads = [threading.Thread(target=call, args=(hour,)) for hour in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (listed,) = list_schedules(place.server, place.around)
    assert (listed.changing, [one["mode"] for one in place.all()]) == (False, ["ENABLE"])


def test_two_processes_at_once_end_with_one_schedule(place: Place) -> None:
    program = (
        "import sys; from modelcar_pipelines.connection import Server;"
        "from modelcar_pipelines.schedules import schedule;"
        "from modelcar_pipelines.schedule_plan import ScheduleRequest;"
        "server = Server(sys.argv[1]); print('ready', flush=True); sys.stdin.readline();"
        "schedule(server, ScheduleRequest('hello', '0 2 * * *', 'Europe/Amsterdam'))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program, place.api.url],
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
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert [one["mode"] for one in place.all()] == ["ENABLE"]


def test_duplicates_that_somebody_left_are_cleaned_up_and_the_oldest_stays(place: Place) -> None:
    made = schedule(place.server, NIGHTLY, place.around).schedule
    (ours,) = find_ours(place.server)
    place.clock.advance_to(START + timedelta(seconds=2))
    create(place.server, ours.body, ours.note, enabled=True)
    create(place.server, ours.body, ours.note, enabled=True)
    assert schedule(place.server, NIGHTLY, place.around).action == "unchanged"
    assert [one["recurring_run_id"] for one in place.all()] == [made.recurring_run_id]


def test_a_paused_schedule_does_not_fire_and_what_it_missed_is_not_made_up_for(place: Place) -> None:
    schedule(place.server, replace(NIGHTLY, zone="UTC"), place.around)
    paused = pause(place.server, "hello", place.around)
    assert (paused.paused, paused.next_fires) == (True, ())
    place.clock.advance_to(datetime(2026, 11, 28, 12, tzinfo=UTC))
    resumed = resume(place.server, "hello", place.around)
    place.clock.advance_to(datetime(2026, 11, 28, 23, tzinfo=UTC))
    assert place.runs() == []
    assert shown(resumed.next_fires)[0] == "11-29 02:00 UTC"
    place.clock.advance_to(datetime(2026, 11, 29, 2, 30, tzinfo=UTC))
    assert [run["created_at"] for run in place.runs()] == ["2026-11-29T02:00:00Z"]
    assert [one["mode"] for one in place.all()] == ["ENABLE"]


def test_what_is_resumed_before_it_missed_anything_stays_the_same(place: Place) -> None:
    made = schedule(place.server, NIGHTLY, place.around).schedule
    pause(place.server, "hello", place.around)
    pause(place.server, "hello", place.around)
    assert resume(place.server, "hello", place.around).recurring_run_id == made.recurring_run_id
    assert resume(place.server, "hello", place.around).paused is False


def test_a_paused_schedule_stays_paused_when_it_is_scheduled_again_or_changed(place: Place) -> None:
    schedule(place.server, NIGHTLY, place.around)
    pause(place.server, "hello", place.around)
    assert schedule(place.server, NIGHTLY, place.around).schedule.paused
    changed = schedule(place.server, replace(NIGHTLY, cron="0 3 * * *"), place.around)
    assert (changed.action, changed.schedule.paused) == ("changed", True)
    assert [one["mode"] for one in place.all()] == ["DISABLE"]
    assert resume(place.server, "hello", place.around).paused is False


def test_a_schedule_that_is_being_changed_is_paused_at_once_and_stays_so(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
    with ExitStack() as stack:
        stack.enter_context(held(fifo))

        def pause_and_release() -> None:
            assert pause(place.server, "hello", place.around).paused
            stack.close()
            wait_until_ended(place)

        place.at_wait = [pause_and_release, *[lambda: wait_until_ended(place)] * 50]
        changed = schedule(place.server, replace(NIGHTLY, zone="UTC", cron="0 4 * * *"), place.around)
    assert (changed.schedule.scheduled.cron, changed.schedule.paused) == ("0 4 * * *", True)
    assert [one["mode"] for one in place.all()] == ["DISABLE"]


def test_a_schedule_with_an_active_run_is_not_removed_unless_that_is_waited_for(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
    with ExitStack() as stack:
        stack.enter_context(held(fifo))
        (run,) = place.runs()
        with pytest.raises(PromotionError) as caught:
            unschedule(place.server, "hello", place.around)
        assert str(caught.value) == (
            f"{run['display_name']} is active, and would be ended with the schedule hello, which is as it was"
        )
        assert [one["mode"] for one in place.all()] == ["ENABLE"]

        def release() -> None:
            stack.close()
            wait_until_ended(place)

        place.at_wait = [release, *[lambda: wait_until_ended(place)] * 50]
        unschedule(place.server, "hello", place.around, wait_for_runs=True)
    assert (place.all(), [run["state"] for run in place.runs()]) == ([], ["SUCCEEDED"])


def test_a_run_that_the_server_has_just_started_and_not_shown_yet_is_waited_for(place: Place) -> None:
    schedule(place.server, replace(NIGHTLY, zone="UTC"), place.around)
    seven_later = Surroundings(clock=lambda: datetime(2026, 11, 26, 2, 0, 7, tzinfo=UTC))
    with pytest.raises(PromotionError, match="a run of hello is active"):
        unschedule(place.server, "hello", seven_later)


def test_removing_a_schedule_while_it_is_changed_ends_the_change(place: Place, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    schedule(place.server, replace(NIGHTLY, zone="UTC", parameters={"do": f"hold:{fifo}"}), place.around)
    place.clock.advance_to(datetime(2026, 11, 26, 2, 1, tzinfo=UTC), let_runs_end=False)
    with ExitStack() as stack:
        stack.enter_context(held(fifo))

        def remove() -> None:
            stack.close()
            wait_until_ended(place)
            while place.runs()[0]["state"] not in ("SUCCEEDED", "FAILED"):
                pass
            unschedule(place.server, "hello", place.around, wait_for_runs=True)

        place.at_wait = [remove]
        with pytest.raises(PromotionError, match="the schedule hello was removed by somebody else while it was made"):
            schedule(place.server, replace(NIGHTLY, zone="UTC", cron="0 4 * * *"), place.around)
    assert place.all() == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (replace(NIGHTLY, cron="0 2 30 2 *"), "0 2 30 2 * never fires: there is no such day"),
        (replace(NIGHTLY, cron="0 2 31 4,6 *"), "0 2 31 4,6 * never fires: there is no such day"),
        (replace(NIGHTLY, cron="0 2 */28 2 MON", zone="UTC"), "does not fire for more than five years at times"),
        (replace(NIGHTLY, cron="0 0 2 * * *"), "0 0 2 * * * has six fields"),
        (replace(NIGHTLY, zone="Europe/Atlantis"), "'Europe/Atlantis' is no time zone"),
        (replace(NIGHTLY, server_zone="Mars"), "'Mars' is no time zone"),
        (replace(NIGHTLY, cron="0 0 6 9 *", zone="UTC", server_zone="America/Santiago"), "would miss times of"),
        (replace(NIGHTLY, pipeline="nothing"), "has no pipeline nothing"),
        (replace(NIGHTLY, version="v9"), "hello has no version v9"),
        (replace(NIGHTLY, parameters={"colour": "red"}), "hello-pipe has no parameter colour"),
        (replace(NIGHTLY, parameters={"count": "two"}), "the parameter count takes an integer, not 'two'"),
        (replace(NIGHTLY, parameters={"scheduled": "x"}), "the parameter scheduled is set by the schedule itself"),
        (replace(NIGHTLY, parameters={"do": "$(HOME)"}), "the parameter do holds $( or $$"),
        (replace(NIGHTLY, name=" "), "' ' cannot be a schedule's name"),
        (replace(NIGHTLY, name="x" * 101), "cannot be a schedule's name"),
        (replace(NIGHTLY, name="a\nb"), "cannot be a schedule's name"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_before_anything_is_made(
    place: Place, request_: ScheduleRequest, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        schedule(place.server, request_, place.around)
    assert message in str(caught.value)
    assert place.all() == []


def test_a_pipeline_that_cannot_tell_the_wrong_hour_is_scheduled_only_where_there_is_none(place: Place) -> None:
    assert place.api.upload("plain").status_code == 200
    request = ScheduleRequest("plain", "0 2 * * *", "Europe/Amsterdam")
    with pytest.raises(InvalidInput, match="plain has no parameter scheduled"):
        schedule(place.server, request, place.around)
    made = schedule(place.server, replace(request, zone="Asia/Tokyo"), place.around).schedule
    assert (made.kfp_cron, dict(made.parameters)) == ("0 0 17 * * *", {})


@pytest.mark.parametrize("call", [pause, resume, unschedule])
def test_a_schedule_that_is_not_there_is_the_callers_fault(place: Place, call: Any) -> None:
    with pytest.raises(InvalidInput, match="there is no schedule hello") as caught:
        call(place.server, "hello", place.around)
    assert caught.value.hint == "There are none that this program has made."
    schedule(place.server, replace(NIGHTLY, name="weekly"), place.around)
    with pytest.raises(InvalidInput) as caught:
        call(place.server, "hello", place.around)
    assert caught.value.hint == "There are weekly."


@pytest.mark.parametrize(
    "description",
    [
        None,
        "",
        "ours",
        "modelcar-schedule: ",
        "modelcar-schedule: {",
        "modelcar-schedule: []",
        'modelcar-schedule: {"on": 1}',
    ],
)
def test_a_description_of_somebody_else_is_no_note(description: str | None) -> None:
    assert read_note(description) is None
