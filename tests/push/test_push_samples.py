"""A layer that only reading could compare is compared by samples first: what differs there is not hashed beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.errors import SourceError
from modelcar.plan import PlatformBase, make_plan
from modelcar.push import PushedImage, push
from modelcar.reference import ImageReference, Platform
from modelcar.samples import SAMPLE_BYTES, SAMPLES, differ
from modelcar.stored_image import fetch_image
from registry_service import Running
from wsgi_faults import Fault

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
FIRST, SECOND = "model-1.safetensors", "model-2.safetensors"
MODEL = {FIRST: shard(8 * MIB, seed=1), SECOND: shard(8 * MIB, seed=2), "config.json": b"{}"}
RETRAINED = MODEL | {SECOND: shard(8 * MIB, seed=9)}
BLOBS = r"/blobs/sha256:"


@pytest.fixture(autouse=True)
def small_layers_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcar.samples.LEAST_BYTES", 8 * MIB)


def passes(source: Files, path: str) -> int:
    """How often a file was read from its start."""
    return source.opened.count((path, 0))


def ranges(running: Running) -> list[int]:
    """How many bytes the registry sent for each sample."""
    return [asked.bytes_sent for asked in running.recorder.seen("GET", BLOBS) if "range" in asked.headers]


def test_a_shard_that_was_trained_anew_is_read_once(
    destination: Destination, push_files: PushFiles, pull: Pull
) -> None:
    push_files(Files(MODEL), destination)
    source = Files(RETRAINED, published=False)
    pushed = push_files(source, destination)
    assert [passes(source, path) for path in (FIRST, SECOND)] == [1, 1]
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(SECOND,)]
    assert pull(destination, "v1").model == RETRAINED


def test_of_the_registry_a_changed_layer_takes_one_sample_and_an_unchanged_one_all(
    running: Running, push_files: PushFiles
) -> None:
    push_files(Files(MODEL), running.repository())
    running.recorder.clear()
    push_files(Files(RETRAINED, published=False), running.repository())
    assert ranges(running) == [SAMPLE_BYTES] * (1 + SAMPLES)


def test_a_change_that_no_sample_has_is_found_by_hashing(
    destination: Destination, push_files: PushFiles, pull: Pull
) -> None:
    push_files(Files(MODEL), destination)
    changed = MODEL | {SECOND: MODEL[SECOND][:-1] + bytes([MODEL[SECOND][-1] ^ 1])}
    source = Files(changed, published=False)
    pushed = push_files(source, destination)
    assert passes(source, SECOND) == 2
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(SECOND,)]
    assert pull(destination, "v1").model == changed


def test_what_a_hub_publishes_digests_of_takes_no_sample(running: Running, push_files: PushFiles) -> None:
    push_files(Files(MODEL), running.repository())
    running.recorder.clear()
    push_files(Files(RETRAINED), running.repository())
    assert ranges(running) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answer("GET", BLOBS, 403, times=99),
        Fault.answer("GET", BLOBS, 404, times=99),
        Fault.answer("GET", BLOBS, 500, times=99),
        Fault.answer("GET", BLOBS, 200, body=bytes(SAMPLE_BYTES), times=99),
        Fault.answer("GET", BLOBS, 206, body=bytes(SAMPLE_BYTES), times=99),
        Fault.cut_answer("GET", BLOBS, SAMPLE_BYTES - 1, times=99),
    ],
    ids=["forbidden", "gone", "broken", "whole blobs only", "a part that does not say which", "cut"],
)
def test_a_registry_that_gives_no_samples_gets_only_what_changed_all_the_same(
    running: Running, push_files: PushFiles, fault: Fault
) -> None:
    push_files(Files(MODEL), running.repository())
    running.faults.add(fault)
    source = Files(RETRAINED, published=False)
    pushed = push_files(source, running.repository())
    assert running.faults.fired == 2  # each layer asks once: it is a question that may stay open
    assert [passes(source, path) for path in (FIRST, SECOND)] == [1, 2]
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(SECOND,)]


def test_a_source_that_breaks_off_in_a_sample_is_asked_again(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    push_files(Files(MODEL), running.repository())
    source = Files(RETRAINED, published=False)
    at = 8 * MIB // (2 * SAMPLES)
    source.break_off(SECOND, at, SourceError("the bucket broke off", retryable=True))
    push_files(source, running.repository())
    assert passes(source, SECOND) == 1
    assert pull(running.repository(), "v1").model == RETRAINED


def test_an_image_beside_is_sampled_where_it_is(running: Running, push_files: PushFiles) -> None:
    push_files(Files(MODEL), running.repository("team/other"))
    sibling = fetch_image(ImageReference.parse(f"{running.address}/team/other:v1"), Access(), kind="image", hint="")
    source, destination = Files(RETRAINED, published=False), running.repository()
    plan = make_plan(
        source.snapshot(),
        destination,
        platforms=[PlatformBase(Platform("linux", "amd64"), None)],
        previous=[],
        elsewhere=[sibling],
    )
    pushed = push(plan, source, destination, tags=lambda _: ["v1"])
    assert [passes(source, path) for path in (FIRST, SECOND)] == [1, 1]
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(), (SECOND,)]
    assert {asked.path.partition("/blobs/")[0] for asked in running.recorder.seen("GET", BLOBS)} == {"/v2/team/other"}


class Bytes:
    """A layer in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.asked: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._content)

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        self.asked.append((start, stop))
        yield self._content[start : stop - 1]
        yield self._content[stop - 1 : stop]


@given(
    size_bytes=st.integers(8 * MIB, 8 * MIB + 3000),
    changes=st.lists(st.integers(0, 8 * MIB - 1), max_size=3),
)
def test_that_two_layers_differ_is_said_only_of_layers_that_do(size_bytes: int, changes: list[int]) -> None:
    content = bytearray(size_bytes)
    for place in changes:
        content[place] ^= 1
    layer = Bytes(bytes(content))
    said = differ(layer, lambda start, stop: bytes(stop - start))
    seen = any(start <= place < stop for start, stop in layer.asked for place in changes)
    assert said == (bytes(content) != bytes(size_bytes) and seen)
    assert all(stop - start == SAMPLE_BYTES and stop <= size_bytes for start, stop in layer.asked)


def test_a_layer_below_the_least_is_not_asked_for() -> None:
    layer = Bytes(bytes(8 * MIB - 1))
    assert differ(layer, lambda _start, _stop: b"other") is False
    assert layer.asked == []
