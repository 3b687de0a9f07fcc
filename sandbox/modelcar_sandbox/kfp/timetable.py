"""Fires recurring runs when they are due, in order, as many at once as each of them allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo

from modelcar_sandbox.kfp.clock import Clock
from modelcar_sandbox.kfp.refusal import Refusal
from modelcar_sandbox.kfp.run_states import FINAL
from modelcar_sandbox.kfp.schedule import schedule_of
from modelcar_sandbox.kfp.store import Kind, Record, Store
from modelcar_sandbox.kfp.times import write_time


class RecurringRuns:
    """All recurring runs as a clock drives them. Safe for threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        zone: tzinfo,
        fire: Callable[[Record, datetime], None],
        settle: Callable[[], None],
    ) -> None:
        """Fire nothing yet.

        Args:
            store: Where they are.
            clock: Tells what is due.
            zone: In which cron expressions are read.
            fire: Makes and starts a run of a recurring run for a time that it was due; its `inner["index"]` numbers it.
            settle: Returns when no run is under way.
        """
        self._store = store
        self._clock = clock
        self._zone = zone
        self._fire = fire
        self._settle = settle
        self._firing = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is fired meanwhile."""
        with self._firing:
            yield

    def fire_due(self) -> None:
        """Fire everything that is due by now, the earliest first.

        A recurring run with as many active runs as it may have waits. One whose run cannot be made (its pipeline has no
        version any more) is tried again the next time that anything happens.
        """
        broken: set[str] = set()
        with self._firing:
            while due := min(self._ready(broken), key=lambda one: (one[0], one[1].id), default=None):
                at, record = due
                try:
                    self._fire_one(record, at)
                except Refusal:
                    broken.add(record.id)

    def next_time(self) -> datetime | None:
        """When the next recurring run becomes due after now."""
        now = self._clock.now()
        return min((due for due, _ in self._enabled(now) if due > now), default=None)

    def settle(self) -> None:
        """Return when no run is under way."""
        self._settle()

    def _ready(self, broken: set[str]) -> Iterator[tuple[datetime, Record]]:
        now = self._clock.now()
        for due, record in self._enabled(now):
            if due <= now and record.id not in broken:
                active = [run for run in self._store.all(Kind.RUN, record.id) if _is_active(run)]
                if len(active) < int(record.document["max_concurrency"]):
                    yield due, record

    def _enabled(self, now: datetime) -> Iterator[tuple[datetime, Record]]:
        for record in self._store.all(Kind.RECURRING_RUN):
            if record.document["mode"] == "ENABLE":
                due = schedule_of(record).due(now, self._zone)
                if due is not None:
                    yield due, record

    def _fire_one(self, record: Record, due: datetime) -> None:
        record.inner["index"] += 1
        self._fire(record, due)

        def note(stored: Record) -> None:
            stored.inner.update(last=write_time(due), index=record.inner["index"])

        self._store.change(Kind.RECURRING_RUN, record.id, note)


def _is_active(run: Record) -> bool:
    return run.document["state"] not in FINAL and not run.inner.get("abandoned")
