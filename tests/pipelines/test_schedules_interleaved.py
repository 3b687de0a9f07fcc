"""Two callers whose requests reach the server in any order, one after the other, also when one of them dies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import interleaving
from interleaving import DEATHS, ORDERS, OneOfTwo, Turns
from kfp_server import SPEC, Api, serve
from modelcar_pipelines.connection import Server
from modelcar_pipelines.schedule_plan import ScheduleRequest
from modelcar_pipelines.schedules import list_schedules, pause, resume, schedule, unschedule
from modelcar_sandbox.kfp import SteppedClock

NAMES = (f"schedule-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    spec = SPEC.replace(
        "    parameters:\n",
        "    parameters:\n      scheduled: {defaultValue: '', isOptional: true, parameterType: STRING}\n",
    )
    with serve(tmp_path_factory.mktemp("kfp"), SteppedClock(datetime.now(UTC))) as (_, api):
        assert api.upload("hello", spec).status_code == 200
        yield api


def run_both(
    api: Api, calls: list[Callable[[Server], object]], order: list[int], death: tuple[int, int] | None
) -> None:
    interleaving.run_both(
        [*calls], Turns(order), death, lambda who, turns, dies_before: OneOfTwo(api.url, who, turns, dies_before)
    )


def recurring(api: Api, name: str) -> list[tuple[str, str]]:
    """Mode and cron of all recurring runs of a name."""
    found = api.get("/recurringruns", page_size="200").get("recurringRuns", [])
    return [(one["mode"], one["trigger"]["cron_schedule"]["cron"]) for one in found if one["display_name"] == name]


def at(hour: int, name: str) -> ScheduleRequest:
    return ScheduleRequest("hello", f"0 {hour} 1 1 *", name=name)


law = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@law
@given(order=ORDERS, death=DEATHS, was_there=st.booleans())
def test_two_that_schedule_the_same_end_with_one(
    api: Api, order: list[int], death: tuple[int, int] | None, was_there: bool
) -> None:
    name, server = next(NAMES), Server(api.url)
    if was_there:
        schedule(server, at(5, name))
    run_both(api, [lambda one: schedule(one, at(3, name))] * 2, order, death)
    if death is None:
        assert recurring(api, name) == [("ENABLE", "0 0 3 1 1 *")]
    schedule(server, at(3, name))
    assert recurring(api, name) == [("ENABLE", "0 0 3 1 1 *")]
    unschedule(server, name)


@law
@given(order=ORDERS, death=DEATHS, was_there=st.booleans())
def test_two_that_schedule_different_things_end_with_one_of_them(
    api: Api, order: list[int], death: tuple[int, int] | None, was_there: bool
) -> None:
    name, server = next(NAMES), Server(api.url)
    if was_there:
        schedule(server, at(5, name))
    run_both(api, [lambda one: schedule(one, at(3, name)), lambda one: schedule(one, at(4, name))], order, death)
    if death is None:
        ((mode, cron),) = recurring(api, name)
        assert (mode, cron in ("0 0 3 1 1 *", "0 0 4 1 1 *")) == ("ENABLE", True)
    schedule(server, at(6, name))
    assert recurring(api, name) == [("ENABLE", "0 0 6 1 1 *")]
    unschedule(server, name)


@law
@given(order=ORDERS, death=DEATHS, other=st.sampled_from([pause, resume, unschedule]))
def test_whatever_somebody_does_while_a_schedule_is_changed_at_most_one_is_left(
    api: Api, order: list[int], death: tuple[int, int] | None, other: Callable[[Server, str], object]
) -> None:
    name, server = next(NAMES), Server(api.url)
    schedule(server, at(5, name))
    run_both(api, [lambda one: schedule(one, at(3, name)), lambda one: other(one, name)], order, death)
    assert len([one for one in list_schedules(server) if one.name == name]) <= 1
    schedule(server, at(3, name))
    resume(server, name)
    assert recurring(api, name) == [("ENABLE", "0 0 3 1 1 *")]
    unschedule(server, name)
