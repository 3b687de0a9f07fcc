"""A schedule in one time zone, as told to a server that lives in another.

The server is told one expression, in its own local time. Where that cannot say exactly when the schedule fires, it says
more: every fire of the schedule is one of the server's, and the run that comes at another time ends itself (see
`modelcar.schedule.scheduled`). It has to say more

- when the zones' clocks are not always equally far apart (daylight saving): both hours are said, or all of them;
- when some of a day's fires are on another day for the server, and the day matters;
- when the last day of a month has to be said, which has no number;
- when a shift by half an hour gives hours of their own to some minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from modelcar.schedule.cron import Cron
from modelcar.schedule.zone import offset_minutes, weeks_between

_DAY_MINUTES = 24 * 60
_AHEAD = timedelta(days=5 * 366)
"""How far ahead zones are asked for their offsets. What governments decide later cannot be known."""
_CALENDAR = tuple(date(2024, 1, 1) + timedelta(days) for days in range(28 * 365 + 7))
"""28 years: every date on every weekday."""
_TWO_YEARS = _CALENDAR[: 366 + 365]

_EVERY_MINUTE, _EVERY_HOUR = frozenset(range(60)), frozenset(range(24))
_EVERY_DAY, _EVERY_MONTH, _EVERY_WEEKDAY = frozenset(range(1, 32)), frozenset(range(1, 13)), frozenset(range(7))


@dataclass(frozen=True, slots=True)
class ServerCron:
    """What a server is told.

    Attributes:
        cron: What it matches in the server's local time; its text is the last five of the six fields.
        exact: Whether it fires at no other times than the schedule.
    """

    cron: Cron
    exact: bool

    @property
    def expression(self) -> str:
        """Six fields, the second first."""
        return f"0 {self.cron.text}"


def translate(
    cron: Cron, zone: tzinfo, server_zone: tzinfo, since: datetime, *, back: timedelta = timedelta()
) -> ServerCron:
    """Say a schedule in a server's local time.

    Args:
        cron: The schedule; fires at times.
        zone: Whose local time the schedule is in.
        server_zone: The server's.
        since: What the zones' clocks do from here on is looked at, for five years; has a time zone.
        back: And what they did so long before.

    Returns:
        Every fire of the schedule is one of it.
    """
    moments = weeks_between(since - back, since + _AHEAD)
    offsets = {(offset_minutes(moment, zone), offset_minutes(moment, server_zone)) for moment in moments}
    times = {
        divmod(hour * 60 + minute + there - here, _DAY_MINUTES)
        for here, there in offsets
        for hour in cron.hours
        for minute in cron.minutes
    }
    shifts = {days for days, _ in times}
    hours, minutes = {minute // 60 for _, minute in times}, {minute % 60 for _, minute in times}
    server = _join(minutes, hours, *_server_days(cron, shifts))
    exact = (
        len(offsets) == 1
        and len(hours) * len(minutes) == len(times)
        and all(_same_days(server, cron, shift) for shift in shifts)
    )
    return ServerCron(server, exact)


def _server_days(cron: Cron, shifts: Iterable[int]) -> tuple[set[int], set[int], set[int], bool]:
    """Days of the month, months and weekdays that hold every day on which the server has to fire; and `either_day`.

    Args:
        cron: The schedule.
        shifts: How many days the server is ahead, of each fire.
    """
    days: set[int] = set()
    months: set[int] = set()
    weekdays: set[int] = set()
    for shift in shifts:
        for day in _TWO_YEARS:
            if day.month in cron.months:
                there = day + timedelta(shift)
                by_day = day.day in cron.days
                if by_day:
                    days.add(there.day)
                if by_day or cron.either_day:
                    months.add(there.month)
        weekdays |= {(weekday + shift) % 7 for weekday in cron.weekdays}
    if cron.days == _EVERY_DAY and not cron.either_day:
        days = set(_EVERY_DAY)
    return days, months, weekdays, cron.either_day


def _join(
    minutes: set[int], hours: set[int], days: set[int], months: set[int], weekdays: set[int], either: bool
) -> Cron:
    """The fields as one expression. A `*` in a day field is how it says that both have to match."""
    if either and (days == _EVERY_DAY or weekdays == _EVERY_WEEKDAY):
        days, weekdays, either = set(_EVERY_DAY), set(_EVERY_WEEKDAY), False
    starless = not either and days != _EVERY_DAY and weekdays != _EVERY_WEEKDAY
    # `*/31` is the first day of the month with a star to it, `*/7` Sunday.
    on_sunday = starless and 1 not in days and 0 in weekdays
    if starless and not on_sunday:
        days = days | {1}
    texts = (
        _write(minutes, _EVERY_MINUTE),
        _write(hours, _EVERY_HOUR),
        _write(days, _EVERY_DAY, first="*/31" if starless and not on_sunday else ""),
        _write(months, _EVERY_MONTH),
        _write(weekdays, _EVERY_WEEKDAY, first="*/7" if on_sunday else ""),
    )
    return Cron(
        text=" ".join(texts),
        minutes=frozenset(minutes),
        hours=frozenset(hours),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(weekdays),
        either_day=either,
    )


def _write(values: Iterable[int], every: frozenset[int], first: str = "") -> str:
    """`*` for all, else numbers and ranges; `first` in the place of the least number if it is given."""
    numbers = sorted(values)
    if len(numbers) == len(every):
        return "*"
    if first:
        return ",".join([first, *([_write(numbers[1:], every)] if numbers[1:] else [])])
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _same_days(server: Cron, cron: Cron, shift: int) -> bool:
    """Whether the server fires on exactly the days of the schedule, `shift` days later."""
    if shift == 0 and (server.days, server.months, server.weekdays) == (cron.days, cron.months, cron.weekdays):
        return True
    return all(server.matches_day(day) == cron.matches_day(day - timedelta(shift)) for day in _CALENDAR)
