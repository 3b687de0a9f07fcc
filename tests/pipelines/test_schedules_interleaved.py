"""Two callers whose requests reach the server in any order, one after the other, also when one of them dies."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_server import SPEC, Api, serve
from modelcar.errors import PromotionError
from modelcar_pipelines.connection import Server
from modelcar_pipelines.schedule_plan import ScheduleRequest
from modelcar_pipelines.schedules import list_schedules, pause, resume, schedule, unschedule
from modelcar_sandbox.kfp import SteppedClock

NAMES = (f"schedule-{number}" for number in itertools.count())
ORDERS = st.lists(st.integers(0, 1), max_size=30)
"""Whose request is next; callers that are not named any more go on in turn."""
DEATHS = st.none() | st.tuples(st.integers(0, 1), st.integers(0, 12))
"""Which caller dies before which of its requests."""


class Death(Exception):
    """The caller is gone."""


class Turns:
    """Lets one request through at a time, in a given order."""

    def __init__(self, order: list[int]) -> None:
        self._order = deque(order)
        self._alive = [0, 1]
        self._changed = threading.Condition()

    def take(self, who: int, call: Callable[[], Any]) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: self._next() == who, timeout=60)
            if self._order:
                self._order.popleft()
            else:
                self._alive.append(self._alive.pop(0))
            try:
                return call()
            finally:
                self._changed.notify_all()

    def leave(self, who: int) -> None:
        with self._changed:
            self._alive.remove(who)
            self._changed.notify_all()

    def _next(self) -> int:
        while self._order and self._order[0] not in self._alive:
            self._order.popleft()
        return self._order[0] if self._order else self._alive[0]


class OneOfTwo(Server):
    """A server whose calls wait for their turn."""

    def __init__(self, url: str, who: int, turns: Turns, dies_before: int | None) -> None:
        super().__init__(url)
        self._who, self._turns, self._left = who, turns, dies_before

    def call(self, function: Any, *args: object, **kwargs: object) -> Any:
        if self._left == 0:
            raise Death
        if self._left is not None:
            self._left -= 1
        return self._turns.take(self._who, lambda: super(OneOfTwo, self).call(function, *args, **kwargs))


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
    turns = Turns(order)

    def run(who: int) -> None:
        dies_before = death[1] if death is not None and death[0] == who else None
        try:
            with suppress(Death, PromotionError):
                calls[who](OneOfTwo(api.url, who, turns, dies_before))
        finally:
            turns.leave(who)

    threads = [threading.Thread(target=run, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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
