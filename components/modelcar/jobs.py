"""Pieces of work that are done several at once, and that stop together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TypeVar

from modelcar.errors import PromotionError

T = TypeVar("T")

PATIENCE_S = 3.0
"""How long interrupted work waits for its threads to come back; a server may be silent for long."""


class Cancelled(PromotionError):
    """A job was stopped because another one failed; never the failure that is reported."""

    def __init__(self) -> None:
        super().__init__("stopped because another part failed")


def wait_unless(cancelled: threading.Event) -> Callable[[float], None]:
    """How a job waits between attempts: not longer than the others are at work.

    Returns:
        A function that waits so many seconds; it raises `Cancelled` once the event is set.
    """

    def wait(delay_s: float) -> None:
        if cancelled.wait(delay_s):
            raise Cancelled

    return wait


def run_jobs(jobs: Sequence[Callable[[], T]], concurrency: int, cancelled: threading.Event) -> list[T]:
    """Do all of them; the first failure stops the others.

    Args:
        jobs: Begun in this order.
        concurrency: How many at once, at least 1.
        cancelled: Set when one has failed, and at the end; the others look at it, and raise `Cancelled`.

    Returns:
        What they returned, in their order.

    Raises:
        PromotionError: The first job's failure; the others have ended by then.
        KeyboardInterrupt: After `PATIENCE_S` at most; jobs that wait longer for an answer end when they have it.
    """
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="job")
    failures: list[BaseException] = []
    futures: list[Future[T]] = []
    patience_s = None
    try:
        for job in jobs:  # in here, for the first may be interrupted before the last is submitted
            futures.append(pool.submit(_stop_others, job, cancelled, failures))
        wait_for(futures, return_when=FIRST_EXCEPTION)
        if failures:
            raise failures[0]
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        patience_s = PATIENCE_S
        raise
    finally:
        cancelled.set()
        pool.shutdown(wait=patience_s is None, cancel_futures=True)
        wait_for([future for future in futures if not future.cancelled()], timeout=patience_s)


def _stop_others(job: Callable[[], T], cancelled: threading.Event, failures: list[BaseException]) -> T:
    """Do one, unless another has failed; a failure is known before this thread, or any other, can be stopped by it."""
    if cancelled.is_set():
        raise Cancelled
    try:
        return job()
    except BaseException as error:
        if not isinstance(error, Cancelled):
            failures.append(error)
        cancelled.set()
        raise
