"""A layer that only reading could compare is compared by samples first: what differs there is not hashed beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_checks import UnpackedImage
from model_files import Files, NoCheck, shard
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.errors import SourceError
from modelcar.image.layer import LayerPlan, LayerStream
from modelcar.plan import PlatformBase, make_plan
from modelcar.progress import Silence
from modelcar.push import PushedImage, push
from modelcar.reference import ImageReference, Platform
from modelcar.samples import SAMPLE_BYTES, SAMPLES, is_another
from modelcar.snapshot import ModelFile
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


def test_a_layer_is_new_only_if_it_is_none_of_those_that_earlier_images_have(
    destination: Destination, push_files: PushFiles
) -> None:
    first = push_files(Files(MODEL), destination, tags=("stable",))
    push_files(Files(RETRAINED), destination, tags=("v1",))
    for previous in (("stable", "v1"), ("v1", str(first.digest))):  # a journal that nobody may delete is one of several
        again = push_files(Files(MODEL, published=False), destination, tags=("v2",), previous=previous)
        assert again.digest == first.digest
        assert all(layer.reused for layer in again.layers)


def test_the_same_layer_of_several_images_is_sampled_once(running: Running, push_files: PushFiles) -> None:
    for tag, config in (("v1", b"{}"), ("v2", b"{ }"), ("v3", b"{  }")):
        push_files(Files(MODEL | {"config.json": config}), running.repository(), tags=(tag,))
    running.recorder.clear()
    push_files(Files(RETRAINED, published=False), running.repository(), previous=("v1", "v2", "v3"))
    assert len(ranges(running)) == SAMPLES + 1


def test_a_source_that_gives_whole_files_only_is_pushed_all_the_same(running: Running, push_files: PushFiles) -> None:
    first = push_files(Files(MODEL), running.repository())
    source = Files(MODEL, published=False)
    open_file = source.open

    def open_whole(file: ModelFile, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        if offset:
            raise SourceError("the volume gives no part of a file")
        return open_file(file)

    source.open = open_whole  # type: ignore[method-assign,assignment]
    again = push_files(source, running.repository())
    assert (again.digest, again.bytes_uploaded) == (first.digest, 0)


def test_a_source_whose_samples_may_cost_as_much_as_its_files_is_not_sampled(
    running: Running, push_files: PushFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_files(Files(MODEL), running.repository())
    running.recorder.clear()
    monkeypatch.setattr(Files, "can_be_sampled", False)
    push_files(Files(RETRAINED, published=False), running.repository())
    assert ranges(running) == []


def test_a_layer_is_told_as_begun_before_its_samples_are_taken(running: Running, push_files: PushFiles) -> None:
    push_files(Files(MODEL), running.repository())
    told: list[str] = []

    class Begun(Silence):
        def layer_started(self, key: int, title: str, size_bytes: int) -> None:  # noqa: ARG002
            told.append(f"{title} began")

    source = Files(RETRAINED, published=False)
    source.on_block = lambda path, _: told.append(f"{path} was read")
    push_files(source, running.repository(), progress=Begun())
    assert next(line for line in told if line.startswith(SECOND)) == f"{SECOND} began"


def test_a_source_that_breaks_off_in_a_sample_is_asked_again(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    push_files(Files(MODEL), running.repository())
    source = Files(RETRAINED, published=False)
    at = 8 * MIB // (2 * SAMPLES)
    source.break_off(SECOND, at, SourceError("the volume broke off", retryable=True))
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


def layer_of(content: bytes) -> LayerStream:
    """A layer of one file, in blocks that no sample begins or ends with."""
    files = Files({"model.bin": content})
    return LayerStream(LayerPlan(files=files.files), files.open, lambda _: NoCheck())


CONTENT = bytes(8 * MIB)
PLACES = [len(layer_of(CONTENT)) * (2 * number + 1) // (2 * SAMPLES) for number in range(SAMPLES)]


@given(changes=st.lists(st.one_of(st.integers(0, 8 * MIB - 1), st.sampled_from(PLACES)), max_size=3))
def test_that_a_layer_is_another_is_said_only_of_one_that_differs_where_a_sample_was_taken(changes: list[int]) -> None:
    stored = bytearray(b"".join(layer_of(CONTENT)))
    for place in changes:
        stored[place] ^= 1
    seen = any(start <= place < start + SAMPLE_BYTES for start in PLACES for place in changes if stored[place] == 1)
    assert is_another(layer_of(CONTENT), lambda start, stop: bytes(stored[start:stop])) == seen


def test_of_a_source_only_what_is_compared_counts_as_read() -> None:
    layer = layer_of(CONTENT)
    stored = b"".join(layer_of(CONTENT))
    assert not is_another(layer, lambda start, stop: stored[start:stop])
    assert layer.bytes_read == SAMPLES * SAMPLE_BYTES


def test_a_layer_below_the_least_is_not_asked_for() -> None:
    layer = layer_of(bytes(8 * MIB - 4096))

    def read(_start: int, _stop: int) -> bytes:
        raise AssertionError

    assert not is_another(layer, read)
    assert layer.bytes_read == 0
