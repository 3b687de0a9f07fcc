"""Uploads: to the sandbox's pipeline server, and to a real one when there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kfp_server import COMMAND, SPEC, Api
from modelcar.errors import PipelineServerError, PromotionError
from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.failures import Conflict, Refused
from modelcar_pipelines.upload import Uploaded, upload
from modelcar_pipelines.versions import find_pipeline, find_version, list_pipelines, list_versions
from modelcar_sandbox.kfp import PipelineServer, SteppedClock
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder


@dataclass
class Place:
    """A pipeline server, and a pipeline's name that nobody else has.

    Attributes:
        api: Its REST interface.
        wait: Lets seconds pass, for the server as well.
        recorder: What was sent; None when nobody can write that down.
        faults: What is to go wrong; of no effect on a real server.
    """

    api: Api
    wait: Callable[[float], None]
    recorder: Recorder | None = None
    faults: Faults | None = None
    name: str = field(default_factory=lambda: f"up-{uuid.uuid4().hex[:10]}")

    def server(self) -> Server:
        return Server(self.api.url)

    def content(self, number: int) -> Compiled:
        return Compiled(self.name, SPEC.replace("hello-pipe", self.name).replace("never:1", f"never:{number}"))

    def upload(self, number: int) -> Uploaded:
        return upload(self.server(), self.content(number), self.wait)

    def names(self, *numbers: int) -> list[str]:
        """Of the versions that these contents make."""
        return [self.content(number).content_name for number in numbers]

    def versions(self) -> list[str]:
        """Names of all versions, in order of creation; of one second, in the order in which they win."""
        found = find_pipeline(self.server(), self.name)
        assert found is not None
        return [one.name for one in reversed(list_versions(self.server(), found))]

    def latest(self) -> str:
        """Name of the version that a run takes which names none."""
        found = find_pipeline(self.server(), self.name)
        assert found is not None
        run = self.api.run(found)
        reference = self.api.get(f"/runs/{run}")["pipeline_version_reference"]
        self.api.send("DELETE", f"/runs/{run}")
        path = f"/pipelines/{found}/versions/{reference['pipeline_version_id']}"
        return str(self.api.get(path)["display_name"])

    def alone(self) -> bool:
        """Whether no other version was made in the second of the latest."""
        found = find_pipeline(self.server(), self.name)
        assert found is not None
        times = [one.created_at for one in list_versions(self.server(), found)]
        return times.count(times[0]) == 1


@contextmanager
def sandbox_place(directory: Path, clock: SteppedClock | None, wait: Callable[[float], None]) -> Iterator[Place]:
    with PipelineServer(directory, clock=clock, command=COMMAND) as server:
        recorder = Recorder(server.app)
        faults = Faults(recorder)
        with Service(faults) as service:
            api = Api(service.url)
            yield Place(api, wait, recorder, faults)
            api.close()


@contextmanager
def real_place() -> Iterator[Place]:
    endpoint = os.environ.get("REAL_KFP_ENDPOINT")
    if not endpoint:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    place = Place(Api(endpoint), time.sleep)
    yield place
    found = find_pipeline(place.server(), place.name)
    if found is not None:
        place.api.send("DELETE", f"/pipelines/{found}", cascade="true")
    place.api.close()


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The sandbox's clock moves when somebody waits."""
    clock = SteppedClock(datetime(2026, 11, 25, 21, 0, 0, 500_000, tzinfo=UTC))

    def wait(seconds: float) -> None:
        clock.advance_to(clock.now() + timedelta(seconds=seconds))

    with real_place() if request.param == "real" else sandbox_place(tmp_path / "kfp", clock, wait) as made:
        yield made


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def busy_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """For several at once: every clock is the machine's."""
    with real_place() if request.param == "real" else sandbox_place(tmp_path / "kfp", None, time.sleep) as made:
        yield made


class Watched(Server):
    """A server in which something happens before a call.

    Attributes:
        before: By the name of the called function, what happens before its next call.
    """

    def __init__(self, url: str, **before: Callable[[], object]) -> None:
        super().__init__(url)
        self.before = before

    def call(self, function: Any, *args: object, **kwargs: object) -> Any:
        self.before.pop(function.__name__, lambda: None)()
        return super().call(function, *args, **kwargs)


def test_the_first_upload_makes_the_pipeline_and_a_version_that_is_named_by_its_content(place: Place) -> None:
    done = place.upload(1)
    assert (done.created, [done.version.name]) == (True, place.names(1))
    assert place.versions() == place.names(1)
    assert find_version(place.server(), place.name) == done.version
    found = place.api.get(f"/pipelines/{done.version.pipeline_id}")
    assert (found["name"], found["display_name"]) == (place.name, place.name)


def test_what_is_the_latest_already_is_not_sent(place: Place) -> None:
    first = place.upload(1)
    if place.recorder is not None:
        place.recorder.clear()
    again = place.upload(1)
    assert (again.created, again.version) == (False, first.version)
    assert place.versions() == place.names(1)
    if place.recorder is not None:
        assert {one.method for one in place.recorder.requests} == {"GET"}


def test_an_edit_is_a_version_of_its_own(place: Place) -> None:
    place.upload(1)
    place.wait(1)
    done = place.upload(2)
    assert (done.created, [done.version.name]) == (True, place.names(2))
    assert place.versions() == place.names(1, 2)
    assert place.latest() == done.version.name


def test_an_edit_that_is_taken_back_is_put_up_again_and_runs(place: Place) -> None:
    for number in (1, 2, 1, 2, 1):
        place.upload(number)
        place.wait(1)
    one, two = place.names(1, 2)
    assert place.versions() == [one, two, f"{one}-2", f"{two}-2", f"{one}-3"]
    assert place.latest() == f"{one}-3"
    assert place.upload(1).created is False


def test_of_two_contents_in_one_second_the_later_one_is_the_latest_and_alone_in_its_second(place: Place) -> None:
    place.upload(1)
    done = place.upload(2)
    assert done.version.name in {place.names(2)[0], f"{place.names(2)[0]}-2"}
    assert find_version(place.server(), place.name) == done.version
    assert (place.latest(), place.alone()) == (done.version.name, True)
    assert place.upload(2).created is False


def test_a_tie_that_somebody_left_is_resolved(place: Place) -> None:
    """Of the same second, the server takes the version with the highest id; who knows that runs the same one."""
    pipeline = place.upload(1).version.pipeline_id
    for attempt in range(2, 12):  # a real clock may move on between the two
        place.wait(1)
        both = [place.content(number) for number in (1, 2)]
        together(
            *(partial(place.api.upload, f"{one.content_name}-{attempt}", one.text, pipelineid=pipeline) for one in both)
        )
        if not place.alone():
            break
    else:
        pytest.skip("the server is too slow for two uploads in one second")
    assert place.latest() == find_version(place.server(), place.name).name
    done = place.upload(1)
    assert (done.created, place.latest(), place.alone()) == (True, done.version.name, True)


def test_somebody_was_faster_with_the_same_content(place: Place) -> None:
    place.upload(1)
    place.wait(1)
    server = Watched(place.api.url, upload_pipeline_version=lambda: place.upload(2))
    done = upload(server, place.content(2), place.wait)
    assert done.created is False
    assert place.versions() == place.names(1, 2)


def test_somebody_was_faster_to_make_the_pipeline(place: Place) -> None:
    server = Watched(place.api.url, pipeline_service_create_pipeline=lambda: place.upload(1))
    assert upload(server, place.content(1), place.wait).created is False
    assert place.versions() == place.names(1)


def test_somebody_uploaded_the_same_name_and_then_something_else(place: Place) -> None:
    place.upload(1)
    place.wait(1)

    def both() -> None:
        place.upload(2)
        place.wait(1)
        place.upload(3)
        place.wait(1)

    done = upload(Watched(place.api.url, upload_pipeline_version=both), place.content(2), place.wait)
    assert (done.created, done.version.name) == (True, f"{place.names(2)[0]}-2")
    assert place.latest() == f"{place.names(2)[0]}-2"


def test_what_somebody_uploads_after_us_stays_the_latest(place: Place) -> None:
    place.upload(1)
    place.wait(1)
    server = Watched(place.api.url)

    def after() -> None:
        def later() -> None:
            place.wait(1)
            place.upload(3)

        server.before["pipeline_service_list_pipeline_versions"] = later

    server.before["upload_pipeline_version"] = after
    done = upload(server, place.content(2), place.wait)
    assert (done.created, [done.version.name]) == (True, place.names(2))
    assert place.versions() == place.names(1, 2, 3)
    assert place.latest() == place.names(3)[0]


class Death(Exception):
    """The caller is gone."""


def die() -> None:
    raise Death


@pytest.mark.parametrize(
    "where",
    [
        "pipeline_service_get_pipeline_by_name",
        "pipeline_service_create_pipeline",
        "pipeline_service_list_pipeline_versions",
        "upload_pipeline_version",
    ],
)
def test_an_upload_that_was_killed_is_taken_up_by_the_next(place: Place, where: str) -> None:
    with pytest.raises(Death):
        upload(Watched(place.api.url, **{where: die}), place.content(1), place.wait)
    done = place.upload(1)
    assert (done.created, [done.version.name]) == (True, place.names(1))
    assert place.versions() == place.names(1)


def test_what_the_server_refuses_is_said_in_its_words(place: Place) -> None:
    with pytest.raises(Refused, match="refuses this: "):
        upload(place.server(), Compiled(place.name, "pipelineInfo: {name: x}\nroot: {}\n"), place.wait)


def test_a_pipeline_without_versions_cannot_run(place: Place) -> None:
    with pytest.raises(Death):
        upload(Watched(place.api.url, upload_pipeline_version=die), place.content(1), place.wait)
    with pytest.raises(PromotionError) as raised:
        find_version(place.server(), place.name)
    assert str(raised.value) == f"{place.api.url} has no pipeline {place.name}"
    assert (place.name, None) in list_pipelines(place.server())


def test_the_latest_is_found_without_reading_all_versions(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcar_pipelines.versions.PAGE", 2)
    done = []
    for number in (1, 2, 3):
        place.wait(1)  # each in a second of its own
        done.append(place.upload(number))
    assert place.versions() == place.names(1, 2, 3)
    if place.recorder is not None:
        place.recorder.clear()
    assert find_version(place.server(), place.name) == done[-1].version
    assert (place.name, done[-1].version) in list_pipelines(place.server())
    if place.recorder is not None:
        asked = place.recorder.seen("GET", "/versions$")
        assert len([one for one in asked if done[-1].version.pipeline_id in one.path]) == 2


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return that all begin at once."""
    begin = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        begin.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_ten_at_once_make_one_version_of_one_content(busy_place: Place) -> None:
    done = together(*[lambda: busy_place.upload(1)] * 10)
    assert {one.version.name for one in done} == set(busy_place.names(1))
    assert sorted(one.created for one in done) == [False] * 9 + [True]
    assert busy_place.versions() == busy_place.names(1)


def test_of_ten_contents_at_once_one_is_the_latest_and_alone_in_its_second(busy_place: Place) -> None:
    done = together(*[lambda number=number: busy_place.upload(number) for number in range(10)])
    assert all(one.created for one in done)
    latest = busy_place.latest()
    assert latest in {one.version.name for one in done}
    assert busy_place.alone()
    assert latest == find_version(busy_place.server(), busy_place.name).name


WORKER = """
import json, sys
from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.upload import upload
Server("http://127.0.0.1:1")  # imports all that it needs
print("ready", flush=True)
for line in sys.stdin:
    url, name, text = json.loads(line)
    done = upload(Server(url), Compiled(name, text))
    print(json.dumps([done.created, done.version.name]), flush=True)
"""


@pytest.fixture(scope="module")
def workers() -> Iterator[list[subprocess.Popen[str]]]:
    """Two processes that upload."""
    with ExitStack() as running:
        begun = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(2)
        ]
        for one in begun:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        yield begun
        for one in begun:
            assert one.stdin is not None
            one.stdin.close()


def by_processes(workers: list[subprocess.Popen[str]], place: Place, *numbers: int) -> list[tuple[bool, str]]:
    """Have each upload one content, both at once."""
    for one, number in zip(workers, numbers, strict=True):
        assert one.stdin is not None
        one.stdin.write(json.dumps([place.api.url, place.name, place.content(number).text]) + "\n")
        one.stdin.flush()
    return [tuple(json.loads(one.stdout.readline())) for one in workers if one.stdout is not None]


def test_two_processes_make_one_version_of_one_content(busy_place: Place, workers: list[subprocess.Popen[str]]) -> None:
    done = by_processes(workers, busy_place, 1, 1)
    (name,) = busy_place.names(1)
    assert sorted(done) == [(False, name), (True, name)]
    assert busy_place.versions() == [name]


def test_of_two_processes_with_different_contents_one_has_the_latest(
    busy_place: Place, workers: list[subprocess.Popen[str]]
) -> None:
    done = by_processes(workers, busy_place, 1, 2)
    assert all(created for created, _ in done)
    assert busy_place.latest() in {name for _, name in done}
    assert busy_place.alone()


def test_a_lost_answer_is_told_and_the_next_upload_finds_what_was_made(tmp_path: Path) -> None:
    with sandbox_place(tmp_path, None, time.sleep) as place:
        assert place.faults is not None
        place.faults.add(Fault.cut_answer("POST", "/upload_version$", 0))
        with pytest.raises(PipelineServerError) as raised:
            place.upload(1)
        assert raised.value.hint == "It may have happened all the same: look before you do it again."
        assert place.upload(1).created is False
        assert place.versions() == place.names(1)


def test_a_server_that_restarts_is_waited_for(tmp_path: Path) -> None:
    with sandbox_place(tmp_path, None, time.sleep) as place:
        assert place.faults is not None
        at_once = {"Retry-After": "0"}
        place.faults.add(Fault.answer("GET", "/pipelines/names/", 503, headers=at_once))
        place.faults.add(Fault.answer("GET", "/versions$", 502, headers=at_once, times=3))
        assert place.upload(1).created is True
        assert place.faults.fired == 4


def test_who_is_never_alone_is_told_so(tmp_path: Path) -> None:
    """The clock stands still whoever waits."""
    with sandbox_place(tmp_path, SteppedClock(datetime.now(UTC)), lambda _: None) as place:
        place.upload(1)
        with pytest.raises(PromotionError) as raised:
            place.upload(2)
        assert str(raised.value) == f"{place.name} could not be made the latest version in 10 attempts"
        assert raised.value.hint == "Somebody else uploads it all the time; run it again later."


class SetClock(SteppedClock):
    """One that may be set back, as a second server with another clock would have it."""

    def set(self, moment: datetime) -> None:
        self._now = moment


@pytest.mark.parametrize("lag_s", [1, 29])
def test_a_clock_that_was_set_back_a_little_is_waited_for(tmp_path: Path, lag_s: int) -> None:
    start = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
    clock = SetClock(start)
    with sandbox_place(tmp_path, clock, lambda s: clock.set(clock.now() + timedelta(seconds=s))) as place:
        place.upload(1)
        clock.set(start - timedelta(seconds=lag_s))
        done = place.upload(2)
        assert place.latest() == done.version.name == f"{place.names(2)[0]}-2"


def test_a_clock_that_is_far_behind_is_named(tmp_path: Path) -> None:
    start = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)
    clock = SetClock(start)
    with sandbox_place(tmp_path, clock, lambda _: None) as place:
        place.upload(1)
        clock.set(start - timedelta(hours=1))
        with pytest.raises(PromotionError) as raised:
            place.upload(2)
    assert str(raised.value) == (
        f"the server's clock is 3600 s behind version {place.names(1)[0]}, which stays the latest until then"
    )
    assert raised.value.hint == "Set the clock, or delete that version if no schedule needs it, and upload again."


def test_more_versions_than_fit_a_page_are_all_known(tmp_path: Path) -> None:
    clock = SteppedClock(datetime(2026, 11, 25, 21, 0, tzinfo=UTC))

    def wait(seconds: float) -> None:
        clock.advance_to(clock.now() + timedelta(seconds=seconds))

    with sandbox_place(tmp_path, clock, wait) as place:
        first = place.upload(1)
        for number in range(110):
            wait(1)
            place.api.upload(f"theirs-{number}", pipelineid=first.version.pipeline_id)
        wait(1)
        assert place.upload(1).version.name == f"{first.version.name}-2"


def test_a_conflict_of_another_kind_is_told(tmp_path: Path) -> None:
    """The name of a pipeline that cannot be looked up is taken."""
    with sandbox_place(tmp_path, None, time.sleep) as place:
        assert place.faults is not None
        gone = b'{"code": 5, "message": "not found", "details": []}'
        place.faults.add(Fault.answer("GET", "/pipelines/names/", 404, body=gone, times=2))
        place.api.pipeline(place.name)
        with pytest.raises(Conflict, match="has one of that name already"):
            place.upload(1)
