from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import SourceError
from modelcar.jobs import Cancelled
from modelcar.snapshot import ModelFile
from modelcar.sources.ahead import SMALL_BYTES, WINDOW, ReadAhead

FILES = [ModelFile(f"{number:03d}", 3) for number in range(100)]


class Reader:
    """Gives each file its name as content.

    Attributes:
        here: Paths that were read when they were wanted.
        ahead: Paths that were read before.
    """

    def __init__(self, before: Callable[[ModelFile], None] = lambda _: None) -> None:
        self.here: list[str] = []
        self.ahead: list[str] = []
        self._before = before
        self._main = threading.current_thread()

    @contextmanager
    def __call__(self, file: ModelFile, offset: int) -> Iterator[Iterator[bytes]]:
        (self.here if threading.current_thread() is self._main else self.ahead).append(file.path)
        self._before(file)
        yield iter([file.path.encode()[offset:]])


def take(ahead: ReadAhead, file: ModelFile, offset: int = 0) -> bytes:
    with ahead.open(file, offset) as blocks:
        return b"".join(blocks)


def paths(files: list[ModelFile]) -> list[str]:
    return [file.path for file in files]


def test_files_that_are_taken_in_order_are_read_once_each_and_ahead_from_the_third_on() -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    assert [take(ahead, file).decode() for file in FILES] == paths(FILES)
    assert reader.here == paths(FILES[:2])
    assert sorted(reader.ahead) == paths(FILES[2:])


def test_eight_are_on_their_way_at_once() -> None:
    together = threading.Barrier(WINDOW, timeout=30)

    def wait_for_the_others(file: ModelFile) -> None:
        if file.path >= "010":
            together.wait()  # raises when they do not come

    files = FILES[: 10 + 5 * WINDOW]
    reader = Reader(wait_for_the_others)
    ahead = ReadAhead(reader, files)
    assert [take(ahead, file).decode() for file in files] == paths(files)
    assert len(reader.here) == 2


def test_a_file_that_is_wanted_alone_is_the_only_one_that_is_read() -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    for place in (5, 50, 7, 20):
        take(ahead, FILES[place])
    assert (reader.here, reader.ahead) == (["005", "050", "007", "020"], [])


def test_no_more_is_read_ahead_than_the_window() -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    for file in FILES[:50]:
        take(ahead, file)
    assert max(reader.ahead) <= FILES[49 + WINDOW].path


@given(st.lists(st.floats(0, WINDOW - 1), min_size=len(FILES), max_size=len(FILES)))
def test_files_that_several_take_at_once_nearly_in_order_are_read_once_each(late: list[float]) -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    order = sorted(range(len(FILES)), key=lambda place: place + late[place])
    assert [take(ahead, FILES[place]).decode() for place in order] == [FILES[place].path for place in order]
    assert sorted(reader.here + reader.ahead) == paths(FILES)


def test_what_nobody_comes_for_is_not_kept() -> None:
    ahead = ReadAhead(Reader(), FILES)
    for file in (*FILES[:5], *FILES[5::2]):
        take(ahead, file)
    assert len(ahead._fetched) <= 2 * WINDOW


def test_a_second_pass_reads_everything_again() -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    assert [take(ahead, file).decode() for file in FILES * 2] == paths(FILES * 2)
    assert sorted(reader.here + reader.ahead) == sorted(paths(FILES * 2))


def test_the_rest_of_a_file_is_read_when_it_is_wanted() -> None:
    reader = Reader()
    ahead = ReadAhead(reader, FILES)
    assert [take(ahead, file, 1) for file in FILES[:5]] == [b"00", b"01", b"02", b"03", b"04"]
    assert reader.ahead == []


def test_a_failure_is_told_to_whoever_takes_the_file_and_then_it_is_read_anew() -> None:
    broken = {"007"}

    def fail(file: ModelFile) -> None:
        if file.path in broken:
            broken.discard(file.path)
            raise SourceError("broke off", retryable=True)

    ahead = ReadAhead(Reader(fail), FILES)
    for file in FILES[:7]:
        take(ahead, file)
    with pytest.raises(SourceError, match=r"^broke off$"):
        ahead.open(FILES[7])
    assert [take(ahead, file).decode() for file in FILES[7:]] == paths(FILES[7:])


def test_large_files_are_passed_over() -> None:
    large = ModelFile("000-large", SMALL_BYTES + 1)
    reader = Reader()
    ahead = ReadAhead(reader, [FILES[0], large, *FILES[1:4]])
    for file in (FILES[0], large, *FILES[1:4]):
        take(ahead, file)
    assert (reader.here, sorted(reader.ahead)) == (["000", "000-large", "001"], ["002", "003"])


class Blocks:
    """Gives each file two blocks; `hold` is called before the first of some, by the thread that reads it."""

    def __init__(self, held: set[str], hold: Callable[[], object]) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.threads: set[threading.Thread] = set()
        self._held, self._hold = held, hold

    @contextmanager
    def __call__(self, file: ModelFile, _offset: int) -> Iterator[Iterator[bytes]]:
        self.threads.add(threading.current_thread())
        self.started.append(file.path)
        yield self._blocks(file)

    def _blocks(self, file: ModelFile) -> Iterator[bytes]:
        if file.path in self._held:
            self._hold()
        yield b"1"
        yield b"2"
        self.ended.append(file.path)

    def join(self) -> None:
        for thread in self.threads - {threading.current_thread()}:
            thread.join(30)
            assert not thread.is_alive()


def test_what_waits_is_not_read_after_the_end_and_what_is_on_its_way_stops_at_its_next_block() -> None:
    under_way, over = threading.Barrier(WINDOW + 1, timeout=30), threading.Event()
    held = paths(FILES[10 : 10 + WINDOW])
    reader = Blocks(set(held), lambda: (under_way.wait(), over.wait(30)))
    ahead = ReadAhead(reader, FILES)
    for file in FILES[:10]:
        take(ahead, file)
    under_way.wait()
    take(ahead, FILES[50])
    take(ahead, FILES[51])  # the next one waits for a thread
    ahead.close()
    over.set()
    reader.join()
    assert sorted(reader.started) == [*paths(FILES[:10]), *held, "050", "051"]
    assert sorted(reader.ended) == [*paths(FILES[:10]), "050", "051"]
    ahead.close()
    assert [take(ahead, file) for file in FILES[52:60]] == [b"12"] * 8
    assert sorted(reader.started)[-8:] == paths(FILES[52:60])


def test_nobody_gets_half_of_a_file_that_was_on_its_way_at_the_end() -> None:
    ahead = ReadAhead(Blocks({"002"}, lambda: ahead.close()), FILES)
    taken: list[bytes] = []
    with suppress(Cancelled):
        taken += [take(ahead, file) for file in FILES[:2]]
        taken.append(take(ahead, FILES[2]))
    assert taken in ([b"12"] * 2, [b"12"] * 3)
