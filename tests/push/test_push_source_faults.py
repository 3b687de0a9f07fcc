"""A Hub, or a directory, that fails while it is read: the same image all the same, or one sentence and no image."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_files import shard
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.errors import ContentMismatch, PromotionError, SourceError, SourceNotFound
from modelcar.progress import Silence
from modelcar.push import PushedImage
from modelcar.reference import ImageReference, Platform
from modelcar.sources import download
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
from registry_service import Running
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MIB = 1 << 20
WEIGHTS = shard(4 * MIB + 12345, seed=3)
MODEL: dict[str, bytes | Path] = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "vocabulary.txt": random.Random(4).randbytes(300_000).hex().encode(),
}
DIGEST = "sha256:0f7a3fb7dc246a39169fae4fd9b42efdd9eb3d86cab15f800689a7237c393430"
SHARD = "^/cdn/"
SMALL = r"/resolve/.*\.txt$"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Source:
    """A Hub with one model, seen and broken from outside; its signed addresses are good for a minute of `clock`."""

    hub: Hub
    faults: Faults
    recorder: Recorder
    clock: Clock


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    hub = Hub(tmp_path / "hub")
    hub.publish("org/model", MODEL)
    clock = Clock()
    faults = Faults(create_app(hub.directory, xet=True, link_lifetime_s=60, clock=clock))
    recorder = Recorder(faults)
    with Service(recorder) as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield Source(hub, faults, recorder, clock)


class Watcher(Silence):
    """Does something once, in the middle of the weights."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action: Callable[[], object] | None = action
        self._weights: int | None = None
        self._left_bytes = MIB + 1000  # more than the layer's header and the first block

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:  # noqa: ARG002 - the protocol's
        if title == "model.safetensors":
            self._weights = key

    def bytes_moved(self, key: int, count: int) -> None:
        if key != self._weights:
            return
        self._left_bytes -= count
        if self._left_bytes < 0 and self._action is not None:
            action, self._action = self._action, None
            action()


def push(running: Running, uri: str = "hf://org/model", action: Callable[[], object] = lambda: None) -> PushedImage:
    destination = ImageReference(running.address, "team/model", "v1")
    build = prepare(BuildRequest(uri, destination, None, (Platform("linux", "amd64"),)), Access())
    return execute(build, progress=Watcher(action))


def failure(
    running: Running, uri: str = "hf://org/model", action: Callable[[], object] = lambda: None
) -> PromotionError:
    """The error of a push that must fail, and must leave nothing that has a name and no session."""
    with pytest.raises(PromotionError) as caught:
        push(running, uri, action)
    assert running.recorder.seen("PUT", "/manifests/v1") == []
    assert running.repository().find_manifest("v1") is None
    assert running.sessions_left == 0
    return caught.value


# --- what is mended


def again(status: int, path: str = SHARD, *, nth: int = 1, times: int = 1) -> Fault:
    return Fault.answer("GET", path, status, headers={"Retry-After": "0"}, nth=nth, times=times)


def cut(after_bytes: int, path: str = SHARD, *, reset: bool = False, times: int = 1) -> Fault:
    return Fault.cut_answer("GET", path, after_bytes, reset=reset, times=times)


MENDED = {
    "cut at once": [cut(0)],
    "cut in the middle": [cut(MIB + 1)],
    "reset in the middle": [cut(MIB + 1, reset=True)],
    "cut one byte before the end": [cut(len(WEIGHTS) - 1)],
    "cut seven times": [cut(100_000, times=7)],
    "a small file cut": [cut(1000, SMALL)],
    "too many requests": [again(429)],
    "too many requests for small files": [again(429, SMALL, times=3)],
    "a Hub in trouble": [again(500, "/resolve/"), again(502, "/resolve/", nth=2)],
    "a storage in trouble": [again(503, times=3)],
    "an address that has expired": [again(403)],
    "cut, and the storage in trouble when it goes on": [cut(MIB), again(503, nth=2)],
    "cut, and an expired address when it goes on": [cut(MIB), again(403, nth=2), again(401, nth=3)],
    "ranges that are ignored when it goes on": [
        cut(MIB),
        Fault.answer("GET", SHARD, 200, body=WEIGHTS, nth=2),
    ],
}


@pytest.mark.parametrize("faults", MENDED.values(), ids=MENDED)
def test_a_failure_that_passes_changes_nothing(running: Running, source: Source, faults: list[Fault]) -> None:
    for fault in faults:
        source.faults.add(fault)
    pushed = push(running)
    assert source.faults.fired == sum(fault.times for fault in faults)
    assert str(pushed.digest) == DIGEST
    assert running.blob_bytes_received < pushed.size_bytes + 16384  # nothing was sent twice


CUTS = st.lists(st.tuples(st.integers(0, len(WEIGHTS) // 5), st.booleans()), min_size=1, max_size=4)
SAME_SERVERS = [HealthCheck.function_scoped_fixture]


def check_cuts(running: Running, source: Source, cuts: list[tuple[int, bool]]) -> None:
    """A push to a fresh repository, whose answers are cut one after the other at these places, with FIN or RST."""
    source.faults.clear()
    for after_bytes, reset in cuts:
        source.faults.add(cut(after_bytes, reset=reset))
    destination = ImageReference(running.address, f"team/model-{len(running.recorder.requests)}", "v1")
    build = prepare(BuildRequest("hf://org/model", destination, None, (Platform("linux", "amd64"),)), Access())
    assert str(execute(build).digest) == DIGEST


@settings(max_examples=12, suppress_health_check=SAME_SERVERS)
@given(cuts=CUTS)
def test_wherever_it_is_cut_it_goes_on_there(running: Running, source: Source, cuts: list[tuple[int, bool]]) -> None:
    check_cuts(running, source, cuts)


@pytest.mark.long
@settings(max_examples=200, suppress_health_check=SAME_SERVERS)
@given(cuts=CUTS)
def test_wherever_it_is_cut_two_hundred_times_over_it_goes_on_there(
    running: Running, source: Source, cuts: list[tuple[int, bool]]
) -> None:
    check_cuts(running, source, cuts)


def test_an_address_that_expires_while_it_is_read_is_asked_for_anew(running: Running, source: Source) -> None:
    def expire() -> None:
        source.clock.now += 61

    source.faults.add(cut(2 * MIB))
    assert str(push(running, action=expire).digest) == DIGEST
    first, second = source.recorder.seen("GET", SHARD)
    assert first.query != second.query
    assert "range" in second.headers


class Stalled:
    """A Hub that is silent once, when weights are asked for, until it is let go: at the start or in the middle."""

    def __init__(self, app: WSGIApplication, *, midway: bool) -> None:
        self._app, self._midway, self._go, self.stalls = app, midway, threading.Event(), 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/cdn/") or self.stalls:
            return self._app(environ, start_response)
        self.stalls += 1
        if not self._midway:
            self._go.wait(60)
        answer = self._app(environ, start_response)
        return self._half(answer) if self._midway else answer

    def _half(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        with closing(answer):  # type: ignore[type-var]  # what sends a file can be closed
            block = next(iter(answer))
            yield block[: len(block) // 2]
            self._go.wait(60)

    def let_go(self) -> None:
        self._go.set()


@pytest.mark.parametrize("midway", [True, False])
def test_a_peer_that_says_nothing_any_more_is_left_and_asked_anew(
    running: Running, source: Source, monkeypatch: pytest.MonkeyPatch, midway: bool
) -> None:
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.3)
    stalled = Stalled(create_app(source.hub.directory), midway=midway)
    with Service(stalled) as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        pushed = push(running)
        stalled.let_go()
    assert (stalled.stalls, str(pushed.digest)) == (1, DIGEST)


def test_a_branch_that_moves_while_it_is_read_changes_nothing(running: Running, source: Source) -> None:
    source.faults.add(cut(MIB))  # so that it is asked for again after the move
    pushed = push(running, action=lambda: source.hub.publish("org/model", {"model.safetensors": shard(5 * MIB)}))
    assert str(pushed.digest) == DIGEST


# --- what is told

WRONG = bytes([WEIGHTS[0]]) + WEIGHTS[1:-1] + bytes([WEIGHTS[-1] ^ 1])
FINAL = {
    "another byte": (
        Fault.answer("GET", SHARD, 200, body=WRONG),
        ContentMismatch,
        "model.safetensors arrived as sha256:",
    ),
    "another byte of a small file": (
        Fault.answer("GET", SMALL, 200, body=bytes(600_000)),
        ContentMismatch,
        "vocabulary.txt arrived as git blob ",
    ),
    "a byte too many": (
        Fault.answer("GET", SHARD, 200, body=WEIGHTS + b"x"),
        ContentMismatch,
        f"model.safetensors of org/model has {len(WEIGHTS) + 1} bytes, but {len(WEIGHTS)} were published",
    ),
    "a byte too few": (
        Fault.answer("GET", SHARD, 200, body=WEIGHTS[:-1]),
        ContentMismatch,
        f"model.safetensors of org/model has {len(WEIGHTS) - 1} bytes, but {len(WEIGHTS)} were published",
    ),
    "another part": (
        Fault.answer("GET", SHARD, 206, body=WEIGHTS[5:], headers={"Content-Range": f"bytes 5-{len(WEIGHTS) - 1}/*"}),
        SourceError,
        "answers with another part of model.safetensors of org/model than asked for",
    ),
    "a web page": (
        Fault.answer("GET", SHARD, 200, body=b"<html>log in</html>", headers={"Content-Type": "text/html"}),
        ContentMismatch,
        "model.safetensors of org/model has 19 bytes",
    ),
    "a storage that stays down": (
        again(503, times=999),
        SourceError,
        "answered 503 when asked for model.safetensors of org/model",
    ),
    "an address that is never accepted": (
        again(403, times=999),
        SourceError,
        "does not accept the signed address of model.safetensors of org/model; it may have expired",
    ),
    "always too many requests": (again(429, "/resolve/", times=999), SourceError, "asks to wait: too many requests"),
    "cut for ever at one place": (cut(0, times=999), SourceError, "cannot be reached: "),
    "a commit that is gone": (
        Fault.answer("GET", "/resolve/", 404, headers={"X-Error-Code": "RevisionNotFound"}, times=999),
        SourceNotFound,
        "the model org/model has no revision 'main'",
    ),
}


@pytest.mark.parametrize(("fault", "kind", "words"), FINAL.values(), ids=FINAL)
def test_a_failure_that_stays_is_one_sentence_and_no_image(
    running: Running, source: Source, fault: Fault, kind: type[PromotionError], words: str
) -> None:
    source.faults.add(fault)
    error = failure(running)
    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)


# --- directories


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    for path, content in MODEL.items():
        assert isinstance(content, bytes)
        (directory / path).write_bytes(content)
    return directory


def test_a_directory_gives_the_same_image_as_the_hub(running: Running, directory: Path) -> None:
    assert str(push(running, directory.as_uri()).digest) == DIGEST


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, len(WEIGHTS) - 1)


def rewrite(path: Path) -> None:
    """Other bytes in place, as many as before."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(WRONG[-1:])
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [grow, shrink, rewrite])
def test_a_file_that_changes_while_it_is_read_leaves_no_image(
    running: Running, directory: Path, change: Callable[[Path], None]
) -> None:
    path = directory / "model.safetensors"
    error = failure(running, directory.as_uri(), lambda: change(path))
    assert (type(error), str(error)) == (ContentMismatch, "model.safetensors changed since it was listed")


def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_old_end(running: Running, directory: Path) -> None:
    new = directory.parent / "new"
    new.write_bytes(WRONG)
    path = directory / "model.safetensors"
    pushed = push(running, directory.as_uri(), lambda: os.replace(new, path))
    assert str(pushed.digest) == DIGEST
