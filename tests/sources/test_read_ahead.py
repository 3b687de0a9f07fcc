from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from modelcar.errors import SourceError
from modelcar.snapshot import ModelFile
from modelcar.sources.ahead import SMALL_BYTES, WINDOW, ReadAhead

FILES = [ModelFile(f"{number:03d}", 3) for number in range(100)]


class Fetches:
    """Gives each file its name as content, and counts."""

    def __init__(self, before: Callable[[ModelFile], None] = lambda _: None) -> None:
        self.paths: list[str] = []
        self._before = before
        self._lock = threading.Lock()

    def __call__(self, file: ModelFile) -> bytes:
        with self._lock:
            self.paths.append(file.path)
        self._before(file)
        return file.path.encode()


def test_files_that_are_taken_in_order_are_fetched_once_each_from_the_third_on() -> None:
    fetches = Fetches()
    ahead = ReadAhead(fetches, FILES)
    assert [ahead.take(file) for file in FILES[:2]] == [None, None]
    assert [ahead.take(file) for file in FILES[2:]] == [file.path.encode() for file in FILES[2:]]
    assert sorted(fetches.paths) == [file.path for file in FILES[2:]]


def test_eight_are_on_their_way_at_once() -> None:
    together = threading.Barrier(WINDOW, timeout=30)

    def wait_for_the_others(file: ModelFile) -> None:
        if file.path >= "010":
            together.wait()  # raises when they do not come

    files = FILES[: 10 + 5 * WINDOW]
    ahead = ReadAhead(Fetches(wait_for_the_others), files)
    assert [ahead.take(file) for file in files].count(None) == 2


def test_a_file_that_is_wanted_alone_is_the_only_one_that_is_read() -> None:
    fetches = Fetches()
    ahead = ReadAhead(fetches, FILES)
    assert [ahead.take(FILES[place]) for place in (5, 50, 7, 20)] == [None] * 4
    assert fetches.paths == []


def test_no_more_is_fetched_ahead_than_the_window() -> None:
    fetches = Fetches()
    ahead = ReadAhead(fetches, FILES)
    for file in FILES[:50]:
        ahead.take(file)
    assert max(fetches.paths) <= FILES[49 + WINDOW].path


def test_a_failure_is_told_to_whoever_takes_the_file_and_then_it_is_read_anew() -> None:
    def fail(file: ModelFile) -> None:
        if file.path == "007":
            raise SourceError("broke off", retryable=True)

    ahead = ReadAhead(Fetches(fail), FILES)
    for file in FILES[:7]:
        ahead.take(file)
    with pytest.raises(SourceError, match=r"^broke off$"):
        ahead.take(FILES[7])
    assert ahead.take(FILES[7]) is None
    assert ahead.take(FILES[8]) in (None, b"008")


def test_large_files_are_passed_over() -> None:
    files = [FILES[0], ModelFile("000-large", SMALL_BYTES + 1), *FILES[1:4]]
    fetches = Fetches()
    ahead = ReadAhead(fetches, files)
    taken = [ahead.take(file) for file in files]
    assert taken == [None, None, None, b"002", b"003"]
    assert sorted(fetches.paths) == ["002", "003"]
