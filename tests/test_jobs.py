from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from modelcar.errors import SourceError
from modelcar.jobs import Cancelled, run_jobs


@pytest.fixture
def many_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("many_switches")
def test_the_failure_that_is_told_is_never_that_of_a_job_which_it_stopped() -> None:
    for _ in range(500):
        cancelled = threading.Event()

        def fail() -> None:
            raise SourceError("the disk is broken")

        def stop(event: threading.Event = cancelled) -> None:
            assert event.wait(30)
            raise Cancelled

        with pytest.raises(SourceError, match="the disk is broken"):
            run_jobs([stop, stop, fail], 3, cancelled)


def test_after_a_failure_no_job_is_begun() -> None:
    begun: list[int] = []

    def fail() -> None:
        raise SourceError("no")

    for _ in range(50):
        with pytest.raises(SourceError):
            run_jobs([fail, lambda: begun.append(1)], 1, threading.Event())
    assert begun == []


def test_what_jobs_return_is_in_their_order() -> None:
    assert run_jobs([lambda n=n: n for n in range(9)], 4, threading.Event()) == list(range(9))  # type: ignore[misc]


def test_an_interrupt_while_jobs_are_still_submitted_stops_those_that_have_begun() -> None:
    cancelled, begun = threading.Event(), threading.Event()

    def stopped() -> None:
        begun.set()
        assert cancelled.wait(30)
        raise Cancelled

    class Interrupted(list[Callable[[], None]]):
        def __iter__(self) -> Iterator[Callable[[], None]]:
            yield stopped
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs(Interrupted(), 2, cancelled)
    assert cancelled.is_set()
