from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_files import Files, NoCheck, git_blob_id, no_check
from modelcar.errors import ContentMismatch, SourceError, UnsafeContent
from modelcar.image.content import MAX_GIT_BLOB_BYTES
from modelcar.image.layer import LayerPlan, LayerStream, file_header
from modelcar.image.packing import directories_of
from modelcar.jobs import Cancelled
from modelcar.reference import Digest


def stream_of(source: Files, cancelled: threading.Event | None = None) -> LayerStream:
    plan = LayerPlan(files=source.files, directories=directories_of(source.contents))
    return LayerStream(plan, source.open, no_check, cancelled=cancelled)


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)


def test_a_source_that_breaks_off_is_read_on_where_it_stopped() -> None:
    content = bytes(range(256)) * 8192
    source = Files({"a.bin": content})
    source.break_off("a.bin", 700_000)
    source.break_off("a.bin", 1_500_000)
    stream = stream_of(source)
    assert stream.drain() == stream_of(Files({"a.bin": content})).drain()
    assert source.opened == [("a.bin", 0), ("a.bin", 700_000), ("a.bin", 1_500_000)]
    assert (stream.bytes_read, source.bytes_read) == (len(content), len(content))


def test_a_source_that_breaks_off_at_the_very_end_is_asked_for_nothing_more() -> None:
    source = Files({"a.bin": b"abc"})
    source.break_off("a.bin", 3)
    stream = stream_of(source)
    stream.drain()
    assert (source.opened, stream.bytes_read) == ([("a.bin", 0), ("a.bin", 3)], 3)


def test_a_source_that_breaks_off_eight_times_at_one_place_is_given_up_for_good() -> None:
    source = Files({"a.bin": b"abc"})
    for _ in range(9):
        source.break_off("a.bin", 2)
    with pytest.raises(SourceError, match=r"a\.bin broke off") as caught:
        stream_of(source).drain()
    assert source.opened == [("a.bin", 0), *[("a.bin", 2)] * 7]
    assert not caught.value.retryable


def test_a_failure_that_is_final_is_not_tried_again() -> None:
    source = Files({"a.bin": b"abc"})
    source.break_off("a.bin", 2, SourceError("a.bin is gone"))
    with pytest.raises(SourceError, match=r"a\.bin is gone"):
        stream_of(source).drain()
    assert len(source.opened) == 1


@pytest.mark.parametrize(("arrives", "words"), [(b"abcd", "more than 3"), (b"ab", "only 2")])
def test_a_file_of_another_size_stops_the_layer(arrives: bytes, words: str) -> None:
    source = Files({"a.bin": b"abc"}, published=False)
    source.contents["a.bin"] = arrives
    with pytest.raises(ContentMismatch) as caught:
        stream_of(source).drain()
    assert str(caught.value) == f"a.bin has {words} bytes, but 3 were published"


def test_a_file_that_is_too_long_never_makes_the_layer_longer() -> None:
    source = Files({"a.bin": b"abc"}, published=False)
    source.contents["a.bin"] = b"abcd" * 1000
    stream = stream_of(source)
    sent: list[bytes] = []
    with pytest.raises(ContentMismatch):
        sent.extend(stream)
    assert sum(map(len, sent)) <= len(stream)


def test_other_bytes_than_the_published_sha256_stop_the_layer() -> None:
    source = Files({"a.safetensors": b"abc"})
    source.contents["a.safetensors"] = b"abd"
    with pytest.raises(ContentMismatch) as caught:
        stream_of(source).drain()
    assert str(caught.value) == (
        f"a.safetensors arrived as {Digest.of(b'abd')}, but the source published {Digest.of(b'abc')}"
    )


def test_other_bytes_than_the_published_git_blob_stop_the_layer() -> None:
    source = Files({"a.json": b"abc"})
    source.contents["a.json"] = b"abd"
    with pytest.raises(ContentMismatch) as caught:
        stream_of(source).drain()
    assert str(caught.value) == (
        f"a.json arrived as git blob {git_blob_id(b'abd')}, but the source published git blob {git_blob_id(b'abc')}"
    )


def test_a_large_file_that_is_known_by_its_git_blob_only_is_checked_too() -> None:
    content = bytes(MAX_GIT_BLOB_BYTES + 1)
    source = Files({"vocabulary.txt": content})
    assert source.files[0].git_blob_id is not None
    source.contents["vocabulary.txt"] = b"x" + content[1:]
    with pytest.raises(ContentMismatch, match="git blob"):
        stream_of(source).drain()


def test_a_check_that_fails_stops_the_layer_before_the_bad_block_is_sent() -> None:
    class NoPickle(NoCheck):
        def update(self, block: bytes) -> None:
            if b"\x80\x04" in block:
                raise UnsafeContent("a pickle")

    source = Files({"a.bin": b"\x80\x04pickle"})
    stream = LayerStream(LayerPlan(files=source.files), source.open, lambda _: NoPickle())
    sent: list[bytes] = []
    with pytest.raises(UnsafeContent, match="a pickle"):
        sent.extend(stream)
    assert sent == [file_header("a.bin", 8)]


def test_a_cancelled_pass_stops_at_the_next_block() -> None:
    cancelled, source = threading.Event(), Files({"a.bin": bytes(1 << 20)})
    source.on_block = lambda _path, offset: cancelled.set() if offset else None
    stream = stream_of(source, cancelled)
    with pytest.raises(Cancelled):
        stream.drain()
    assert stream.bytes_read == 1 << 18


def test_a_cancelled_pass_does_not_wait_for_a_source_that_asked_for_minutes() -> None:
    cancelled, source = threading.Event(), Files({"a.bin": b"abc"})
    source.break_off("a.bin", 1, SourceError("busy", retryable=True, retry_after_s=300))
    source.on_block = lambda _path, _offset: cancelled.set()
    with pytest.raises(Cancelled):
        stream_of(source, cancelled).drain()


@given(st.data())
def test_any_part_of_a_layer_can_be_had_once_more_while_a_pass_rests(data: st.DataObject) -> None:
    contents = data.draw(
        st.dictionaries(st.sampled_from(["a", "b/c", "d" * 120]), st.binary(max_size=1500), min_size=1)
    )
    stream = stream_of(Files(contents))
    whole = b"".join(stream)
    passing = iter(stream)
    next(passing)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    again = list(stream.again(start, stop))
    assert b"".join(again) == whole[start:stop]
    assert b"" not in again
    for _ in passing:
        pass
    assert stream.digest == Digest.of(whole)


def test_what_is_had_once_more_is_asked_of_the_source_by_its_place_in_the_file() -> None:
    source = Files({"a.bin": bytes(1000), "b.bin": bytes(2000)})
    stream = stream_of(source)
    stream.drain()
    source.opened.clear()
    begin = 512 + 512 + 1024 + 512  # the directory, a.bin and the header of b.bin
    assert sum(map(len, stream.again(begin + 700, begin + 800))) == 100
    assert source.opened == [("b.bin", 700)]


def again_from(source: Files, cancelled: threading.Event | None = None) -> bytes:
    """Ten bytes of the file from its byte 700 on, once more."""
    begin = 512 + 512  # the directory and the file's header
    return b"".join(stream_of(source, cancelled).again(begin + 700, begin + 710))


def test_what_is_had_once_more_is_read_on_when_the_source_breaks_off() -> None:
    content = bytes(range(250)) * 4
    source = Files({"a.bin": content})
    source.break_off("a.bin", 700)
    source.break_off("a.bin", 700)
    assert again_from(source) == content[700:710]
    assert source.opened == [("a.bin", 700)] * 3


def test_what_cannot_be_had_once_more_is_given_up_for_good_after_eight_attempts() -> None:
    source = Files({"a.bin": bytes(1000)})
    for _ in range(9):
        source.break_off("a.bin", 700)
    with pytest.raises(SourceError, match=r"a\.bin broke off") as caught:
        again_from(source)
    assert (len(source.opened), caught.value.retryable) == (8, False)


def test_nothing_is_had_once_more_when_the_pass_is_cancelled() -> None:
    cancelled, source = threading.Event(), Files({"a.bin": bytes(1000)})
    source.break_off("a.bin", 700, SourceError("busy", retryable=True, retry_after_s=300))
    cancelled.set()
    with pytest.raises(Cancelled):
        again_from(source, cancelled)
