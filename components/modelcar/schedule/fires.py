"""When a schedule fires."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from modelcar.schedule.cron import Cron

_LAST_DAY = date(9999, 12, 30)
_LONGEST_GAP = timedelta(days=41 * 366)
"""A weekday and a date that have to match both come together at least once in 40 years."""
_LENGTHS = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}


def occurrences(cron: Cron, zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """The fires after a moment, in order, each with whole minutes and in `zone`.

    A local time that the clocks skip does not come on that day. One that they repeat comes once, the first time.

    Args:
        cron: What matches.
        zone: Whose local time it matches.
        after: Excluded; has a time zone.
    """
    if never_fires(cron):
        return
    day = after.astimezone(zone).date()
    while day < _LAST_DAY:
        if cron.matches_day(day):
            for moment in _moments_of(cron, zone, day, folds=(0,)):
                # Compared in UTC: Python compares two times of one zone by the clock's face.
                if moment.astimezone(UTC) > after.astimezone(UTC):
                    yield moment
        day += timedelta(days=1)


def fires_at(cron: Cron, zone: tzinfo, moment: datetime) -> bool:
    """Whether a moment is one of `occurrences`; seconds of it are not looked at."""
    local = moment.astimezone(zone)
    return (
        local.fold == 0 and local.minute in cron.minutes and local.hour in cron.hours and cron.matches_day(local.date())
    )


def latest_match(cron: Cron, zone: tzinfo, until: datetime) -> datetime | None:
    """The last time at or before a moment when clocks showed what `cron` says, the second time of a repeated one too.

    Returns:
        In `zone`; None when there was none in 41 years.
    """
    day = until.astimezone(zone).date()
    earliest = day - _LONGEST_GAP
    while day > earliest:
        if cron.matches_day(day):
            moments = [
                moment
                for moment in _moments_of(cron, zone, day, folds=(0, 1))
                if moment.astimezone(UTC) <= until.astimezone(UTC)
            ]
            if moments:
                return max(moments, key=lambda moment: moment.astimezone(UTC))
        day -= timedelta(days=1)
    return None


def never_fires(cron: Cron) -> bool:
    """Whether there is no day that it fires on: 30 February, or the 31st of months that have 30 days."""
    return not cron.either_day and not any(day <= _LENGTHS[month] for month in cron.months for day in cron.days)


def _moments_of(cron: Cron, zone: tzinfo, day: date, folds: tuple[int, ...]) -> Iterator[datetime]:
    for hour in sorted(cron.hours):
        for minute in sorted(cron.minutes):
            for fold in folds:
                local = datetime.combine(day, time(hour, minute), zone).replace(fold=fold)
                seen = local.astimezone(UTC).astimezone(zone)
                # A skipped time reads differently on the way back; an unrepeated one has no second time.
                if seen.replace(tzinfo=None) == local.replace(tzinfo=None) and seen.fold == fold:
                    yield local
