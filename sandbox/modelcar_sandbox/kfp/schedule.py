"""When a recurring run is due.

Cron expressions are those of robfig/cron v1, in one time zone of the server. What is missed is made up for one by one,
or, with `no_catchup`, only the last of it.

Source: https://github.com/kubeflow/pipelines/tree/master/backend/src/crd/controller/scheduledworkflow/util
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from modelcar.errors import InvalidInput
from modelcar_pipelines.kfp_cron import parse
from modelcar_sandbox.kfp.refusal import invalid, malformed
from modelcar_sandbox.kfp.store import Record
from modelcar_sandbox.kfp.times import read_time


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a recurring run says about its times.

    Attributes:
        trigger: Its document's `trigger`; empty for one that fires once.
        created: When it was made.
        last: The time that it was due for when it fired last; None before.
        no_catchup: Whether of several missed times only the last counts.
    """

    trigger: Mapping[str, Any]
    created: datetime
    last: datetime | None
    no_catchup: bool

    def due(self, now: datetime, zone: tzinfo) -> datetime | None:
        """When it fires next, which may have passed; None for never.

        Args:
            now: Which times have been missed follows from it.
            zone: The server's.

        Returns:
            In UTC: times of one zone are compared by their wall clocks, which lie where it is set back.
        """
        if "cron_schedule" in self.trigger:
            due = self._cron_due(now, zone)
            return due and due.astimezone(UTC)
        if "periodic_schedule" in self.trigger:
            return self._periodic_due(now)
        return self.created if self.last is None else None

    def _cron_due(self, now: datetime, zone: tzinfo) -> datetime | None:
        about = self.trigger["cron_schedule"]
        cron = parse(about["cron"])
        start, end = _bound(about, "start_time"), _bound(about, "end_time")
        begin = self.last or start or self.created
        due = cron.next_after(max(begin, start) if start else begin, zone)
        if due is None or (end and end < due):
            return None
        while self.no_catchup:
            later = cron.next_after(due, zone)
            if later is None or later > now or (end and later > end):
                break
            due = later
        return due

    def _periodic_due(self, now: datetime) -> datetime | None:
        about = self.trigger["periodic_schedule"]
        interval = timedelta(seconds=int(about["interval_second"]))
        start, end = _bound(about, "start_time"), _bound(about, "end_time")
        begin = self.last or start or self.created
        due = start if start and start > begin else begin + interval
        if end and end < due:
            return None
        if self.no_catchup and now >= due + interval:
            return min(now, end) if end else now
        return due


def schedule_of(record: Record) -> Schedule:
    """The schedule of a recurring run."""
    last = record.inner.get("last")
    return Schedule(
        trigger=record.document.get("trigger", {}),
        created=read_time(record.document["created_at"]),
        last=read_time(last) if last else None,
        no_catchup=record.document.get("no_catchup", False),
    )


def check_trigger(trigger: Mapping[str, Any]) -> None:
    """Refuse a trigger that the server cannot read. One that can never fire is none of these.

    Raises:
        Refusal: 400.
    """
    match trigger:
        case {"cron_schedule": {"cron": str(expression)} as about}:
            _check_cron(expression)
        case {"periodic_schedule": {"interval_second": interval} as about}:
            if int(interval) < 1:
                raise invalid(f"Found invalid period schedule interval {interval}. Set at interval to least 1 second")
        case {"cron_schedule": _}:
            raise invalid("Schedule cron is not supported(): it is empty")
        case _:
            return
    for name in ("start_time", "end_time"):
        _check_bound(about, name)


def _check_cron(expression: str) -> None:
    try:
        parse(expression)
    except InvalidInput as error:
        raise invalid(f"Schedule cron is not supported({expression}): {error}") from error


def _check_bound(about: Mapping[str, Any], name: str) -> None:
    try:
        _bound(about, name)
    except (ValueError, TypeError) as error:
        raise malformed(f"proto: invalid google.protobuf.Timestamp value of {name}: {error}") from error


def _bound(about: Mapping[str, Any], name: str) -> datetime | None:
    return read_time(about[name]) if about.get(name) else None
