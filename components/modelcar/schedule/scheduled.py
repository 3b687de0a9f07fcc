"""What a scheduled run is told of its schedule, and whether it came at one of the schedule's times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelcar.errors import InvalidInput
from modelcar.schedule.cron import parse_cron
from modelcar.schedule.fires import fires_at, latest_match, occurrences
from modelcar.schedule.server import translate
from modelcar.schedule.zone import read_zone

_SKEW = timedelta(seconds=5)
"""A run may be written down by a clock that is this much behind the one that started it."""
_LATE = timedelta(minutes=10)
"""A run that was made later than this after a fire may as well belong to an earlier one that a busy server made up for,
or be a copy that a person made. It goes on: a promotion that was not needed finds nothing to do, one that is left out
is missed."""
_BACK = timedelta(days=5 * 366)
"""A schedule may be this old, and say an hour that the zone's clocks have not shown for so long."""
_TEXT = re.compile(r"(?P<cron>\S+(?: \S+){4}) (?P<zone>\S+)(?: on (?P<server_zone>\S+))?")


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule in its zone, on a server. `str()` gives the one text that runs are given as a parameter.

    Attributes:
        cron: Five fields, a blank between them.
        zone: Name of the zone that they are meant in.
        server_zone: Name of the server's.
    """

    cron: str
    zone: str
    server_zone: str = "UTC"

    def __str__(self) -> str:
        server = "" if self.server_zone == "UTC" else f" on {self.server_zone}"
        return f"{self.cron} {self.zone}{server}"


def parse_scheduled(text: str) -> Scheduled:
    """Read `0 2 * * * Europe/Amsterdam`, or `0 2 * * * Europe/Amsterdam on Asia/Tokyo`.

    Raises:
        InvalidInput: It is no such text.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"{text!r} is no schedule of a run",
            hint="It is set by `modelcar pipeline schedule`; leave it empty otherwise.",
        )
    return Scheduled(match["cron"], match["zone"], match["server_zone"] or "UTC")


def is_due(cron: str, zone: str, created_at: datetime, server_zone: str = "UTC") -> bool:
    """Whether a run that the server started may belong to one of the schedule's fires.

    Args:
        cron: Five fields.
        zone: Name of the zone that they are meant in.
        created_at: When the run was created; has a time zone.
        server_zone: Name of the server's.

    Returns:
        False when it was made in the ten minutes after a fire of the server's that is none of the schedule's: one that
        the server needed only because its clocks are not the schedule's.

    Raises:
        InvalidInput: A schedule that is none, or an unknown zone.
    """
    schedule, here, there = parse_cron(cron), read_zone(zone), read_zone(server_zone)
    server = translate(schedule, here, there, created_at, back=_BACK)
    fire = latest_match(server.cron, there, created_at + _SKEW)
    return fire is None or created_at - fire > _LATE or fires_at(schedule, here, fire)


def find_wrong_hour(scheduled: str, created_at: str) -> str | None:
    """Why a scheduled run has nothing to do, or None when it came at one of its schedule's times.

    Args:
        scheduled: What the run was given: `str()` of a `Scheduled`.
        created_at: When the run was created, RFC 3339.

    Raises:
        InvalidInput: One of them cannot be read.
    """
    schedule = parse_scheduled(scheduled)
    moment = _read_moment(created_at)
    if is_due(schedule.cron, schedule.zone, moment, schedule.server_zone):
        return None
    zone = read_zone(schedule.zone)
    following = next(occurrences(parse_cron(schedule.cron), zone, moment), None)
    return (
        f"{moment.astimezone(zone):%Y-%m-%d %H:%M} in {schedule.zone} is no time of the schedule {schedule.cron}; "
        "the server does not know that zone, and starts runs at more times than one"
        + (f" (the next that counts is {following:%Y-%m-%d %H:%M})" if following else "")
    )


def _read_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    except ValueError:
        pass
    raise InvalidInput(f"{text!r} is no time with a zone", hint="It looks like 2026-03-29T01:00:05Z.")
