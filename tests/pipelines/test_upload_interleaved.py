"""Two uploads whose requests reach the server in any order and at any time, also when one of them dies."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import interleaving
from interleaving import DEATHS, OneOfTwo, Turns
from kfp_server import SPEC, Api, serve
from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.upload import Uploaded, upload
from modelcar_pipelines.versions import Version, find_pipeline, list_versions
from modelcar_sandbox.kfp import SteppedClock

NAMES = (f"upload-{number}" for number in itertools.count())
ORDERS = st.lists(st.integers(0, 1), max_size=18)
"""Whose request is next. Then one comes to its end and then the other: nobody is kept from the server for ever."""
TICKS = st.lists(st.sampled_from([0.0, 0.3, 1.0]), max_size=18)
"""How much time passes before each request, in seconds; then none."""
BEFORE = st.sampled_from([[], [5], [5, 1], [1, 5], [1, 2, 5], [1]])
"""Contents that were uploaded long ago."""


@dataclass
class Place:
    """A server with a clock."""

    api: Api
    clock: SteppedClock

    def pass_by(self, seconds: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(seconds=seconds))


class Timed(OneOfTwo):
    """A server that time passes before each request of; who waits comes back when his time has come."""

    def __init__(self, place: Place, who: int, turns: Turns, dies_before: int | None, ticks: Iterator[float]) -> None:
        super().__init__(place.api.url, who, turns, dies_before)
        self._place, self._ticks = place, ticks
        self._wakes = place.clock.now()

    def send(self, function: Any, *args: object, **kwargs: object) -> Any:
        self._place.clock.advance_to(max(self._place.clock.now(), self._wakes))
        self._place.pass_by(next(self._ticks, 0.0))
        return super().send(function, *args, **kwargs)

    def wait(self, seconds: float) -> None:
        self._wakes = self._place.clock.now() + timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clock = SteppedClock(datetime(2026, 11, 25, 21, 0, tzinfo=UTC))
    with serve(tmp_path_factory.mktemp("kfp"), clock) as (_, api):
        yield Place(api, clock)


def content(name: str, number: int) -> Compiled:
    return Compiled(name, SPEC.replace("never:1", f"never:{number}"))


def fill(place: Place, name: str, numbers: list[int]) -> None:
    for number in numbers:
        upload(Server(place.api.url), content(name, number), place.pass_by)
        place.pass_by(1)


def upload_both(
    place: Place,
    contents: list[Compiled],
    order: list[int],
    ticks: list[float],
    death: tuple[int, int] | None,
) -> dict[int, Uploaded]:
    """What became of each that did not die."""
    left = iter(ticks)
    done: dict[int, Uploaded] = {}

    def of(compiled: Compiled) -> Callable[[OneOfTwo], object]:
        def call(server: OneOfTwo) -> None:
            assert isinstance(server, Timed)
            done[server.who] = upload(server, compiled, server.wait)

        return call

    interleaving.run_both(
        [of(one) for one in contents],
        Turns(order, in_turn=False),
        death,
        lambda who, turns, dies_before: Timed(place, who, turns, dies_before, left),
    )
    return done


def versions(place: Place, name: str) -> list[Version]:
    server = Server(place.api.url)
    found = find_pipeline(server, name)
    return list_versions(server, found) if found is not None else []


def newest(place: Place, name: str) -> list[str]:
    """The versions of the latest second."""
    found = versions(place, name)
    return [one.name for one in found if one.created_at == found[0].created_at]


law = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@law
@given(order=ORDERS, ticks=TICKS, death=DEATHS, before=BEFORE)
def test_two_that_upload_the_same_end_with_one_version(
    place: Place, order: list[int], ticks: list[float], death: tuple[int, int] | None, before: list[int]
) -> None:
    name = next(NAMES)
    fill(place, name, before)
    count = len(versions(place, name))
    done = upload_both(place, [content(name, 1)] * 2, order, ticks, death)
    again = upload(Server(place.api.url), content(name, 1), place.pass_by)
    assert (bool(done), again.created) == (True, False)
    assert newest(place, name) == [again.version.name]
    assert len(versions(place, name)) == count + (before[-1:] != [1])


@law
@given(order=ORDERS, ticks=TICKS, death=DEATHS, before=BEFORE)
def test_of_two_that_upload_different_contents_one_has_the_latest_alone_in_its_second(
    place: Place, order: list[int], ticks: list[float], death: tuple[int, int] | None, before: list[int]
) -> None:
    name = next(NAMES)
    fill(place, name, before)
    done = upload_both(place, [content(name, 1), content(name, 2)], order, ticks, death)
    if death is None:
        assert len(done) == 2
        (latest,) = newest(place, name)
        assert latest in {one.version.name for one in done.values()}
    for number in (3, 1):
        again = upload(Server(place.api.url), content(name, number), place.pass_by)
        assert newest(place, name) == [again.version.name]
        assert again.version.name.startswith(content(name, number).content_name)
        assert upload(Server(place.api.url), content(name, number), place.pass_by).created is False
