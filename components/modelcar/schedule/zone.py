"""Time zones by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from modelcar.errors import InvalidInput


def read_zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database.

    Raises:
        InvalidInput: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    # A name can also be refused as a path, or be a directory of the database (`Europe`).
    except (KeyError, ValueError, OSError):
        raise InvalidInput(
            f"{name!r} is no time zone",
            hint="Give a name like Europe/Amsterdam or UTC; a fixed offset of two hours east is Etc/GMT-2.",
        ) from None


def offset_minutes(moment: datetime, zone: tzinfo) -> int:
    """How far the zone's clocks are ahead of UTC at a moment, in minutes."""
    offset = moment.astimezone(zone).utcoffset() or timedelta()
    return round(offset / timedelta(minutes=1))


def weeks_between(begin: datetime, end: datetime) -> list[datetime]:
    """Moments from `begin` on in UTC, a week apart: often enough to see every offset that lasts (Ramadan has four)."""
    start = begin.astimezone(UTC)
    return [start + timedelta(weeks=number) for number in range((end - begin).days // 7 + 1)]
