"""What time it is for the server: the machine's time, or one that tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

LONGEST_WAIT_S = 60.0


class Timetable(Protocol):
    """What a clock drives."""

    def fire_due(self) -> None:
        """Do everything that is due by now, in order."""

    def next_time(self) -> datetime | None:
        """When the next thing after now becomes due; None when nothing will."""

    def settle(self) -> None:
        """Return when nothing that was fired is under way any more."""


class Clock(Protocol):
    """Tells the time, and calls a timetable when its time has come."""

    def now(self) -> datetime:
        """The time, in UTC."""

    def drive(self, timetable: Timetable) -> None:
        """Call the timetable from now on."""

    def wake(self) -> None:
        """The timetable has changed."""

    def stop(self) -> None:
        """Call the timetable no more."""


class RealClock:
    """The machine's time. A thread sleeps until the next thing is due, a minute at most: somebody may set the time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turn = 0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def drive(self, timetable: Timetable) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(timetable,), name="kfp-clock", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look again at once."""
        with self._changed:
            self._turn += 1
            self._changed.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self, timetable: Timetable) -> None:
        while True:
            with self._changed:
                seen, stopped = self._turn, self._stopped
            if stopped:
                return
            timetable.fire_due()
            due = timetable.next_time()
            wait_s = LONGEST_WAIT_S if due is None else min(LONGEST_WAIT_S, (due - self.now()).total_seconds())
            with self._changed:
                self._changed.wait_for(self._has_news(seen), max(0.0, wait_s))

    def _has_news(self, seen: int) -> Callable[[], bool]:
        return lambda: self._stopped or self._turn != seen


class SteppedClock:
    """A time that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        """Stand at `start`, which has a time zone."""
        self._now = start.astimezone(UTC)
        self._timetable: Timetable | None = None

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._now

    def advance_to(self, moment: datetime, *, let_runs_end: bool = True) -> None:
        """Move on, and stop on the way at each time when something is due, until that is done.

        Args:
            moment: Has a time zone and is not earlier than now.
            let_runs_end: Whether the clock stands still while a run is under way, as if runs took no time. If not, a
                recurring run that has as many runs as it may misses what becomes due, and catches up as it can.

        Raises:
            ValueError: The moment has passed.
        """
        if moment < self._now:
            raise ValueError(f"{moment} is before {self._now}")
        while self._timetable is not None:
            due = self._timetable.next_time()
            if due is None or due > moment:
                break
            self._now = due
            self._fire(let_runs_end=let_runs_end)
        self._now = moment.astimezone(UTC)
        self._fire(let_runs_end=let_runs_end)

    def drive(self, timetable: Timetable) -> None:
        """Call the timetable whenever the time is moved."""
        self._timetable = timetable

    def wake(self) -> None:
        """Nothing: what has become due by now was fired by whoever changed the timetable."""

    def stop(self) -> None:
        """Call the timetable no more."""
        self._timetable = None

    def _fire(self, *, let_runs_end: bool) -> None:
        if self._timetable is not None:
            self._timetable.fire_due()
            if let_runs_end:
                self._timetable.settle()
