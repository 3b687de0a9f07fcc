"""The five fields that people write: minute, hour, day of month, month, day of week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from modelcar.errors import InvalidInput

FIVE = "A schedule has five fields: minute, hour, day of month, month, day of week; every night at two is 0 2 * * *."


@dataclass(frozen=True, slots=True)
class _Bounds:
    word: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_MINUTE = _Bounds("minute", 0, 59)
_HOUR = _Bounds("hour", 0, 23)
_DAY = _Bounds("day of month", 1, 31)
_MONTH = _Bounds("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"))
_WEEKDAY = _Bounds("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))
_BOUNDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)

NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Names that stand for five fields."""

_PART = re.compile(r"(\*|[0-9]+|[A-Z]+)(?:-([0-9]+|[A-Z]+))?(?:/([0-9]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cron:
    """Minutes of local time, on days.

    Attributes:
        text: The five fields, a blank between them, as they were written.
        minutes: 0 to 59.
        hours: 0 to 23.
        days: Days of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 0 (Sunday) to 6.
        either_day: Whether a day matches by its day of the month *or* its weekday. That is so when neither field has
            a `*` in it, as everywhere in cron; otherwise a day has to match both.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def matches_day(self, day: date) -> bool:
        """Whether it fires on a day."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        by_day = of_month or of_week if self.either_day else of_month and of_week
        return by_day and day.month in self.months


def parse_cron(text: str) -> Cron:
    """Read a schedule.

    Args:
        text: Five fields, or one of `NAMES`. A field is a list (`,`) of numbers, ranges (`1-5`) and `*`, the latter two
            also with a step (`*/15`); months and weekdays may be called by the first three letters of their English
            names; Sunday is 0 and 7.

    Raises:
        InvalidInput: Anything else; the message names the field and what is wrong with it.
    """
    fields = NAMES.get(text.strip().lower(), text).split()
    _check_shape(text, fields)
    values = [_read_field(field, bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    return Cron(
        text=" ".join(fields),
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day="*" not in fields[2] and "*" not in fields[4],
    )


def _check_shape(text: str, fields: list[str]) -> None:
    if not fields:
        raise InvalidInput("the schedule is empty", hint=FIVE)
    first = fields[0]
    if first.startswith("@"):
        raise InvalidInput(
            f"{text.strip()} is no schedule that can be used here", hint=f"Known are {', '.join(NAMES)}."
        )
    if "=" in first:
        raise InvalidInput(
            f"a schedule has no settings in it: {first}", hint="The time zone is given beside it (--timezone)."
        )
    if len(fields) == 6:
        raise InvalidInput(f"{text.strip()} has six fields", hint=f"Leave out the seconds. {FIVE}")
    if len(fields) != 5:
        raise InvalidInput(f"{text.strip()} has {len(fields)} field{'s' * (len(fields) != 1)}", hint=FIVE)


def _read_field(field: str, bounds: _Bounds) -> frozenset[int]:
    return frozenset[int]().union(*(_read_part(part, bounds) for part in field.split(",")))


def _read_part(part: str, bounds: _Bounds) -> range:
    match = _PART.fullmatch(part.upper())
    if match is None or (match[1] == "*" and match[2] is not None):
        raise _unknown(part, bounds)
    low, high, step = match.groups()
    if low == "*":
        first, last = bounds.least, bounds.most
    else:
        first = _read_value(low, part, bounds)
        last = first if high is None else _read_value(high, part, bounds, first)
    if first > last:
        raise InvalidInput(
            f"{part} goes backwards in the field {bounds.word}",
            hint=f"Write it as two: {first}-{bounds.most},{bounds.least}-{last}.",
        )
    if step is not None and high is None and low != "*":
        raise InvalidInput(
            f"{part} is a step without a range in the field {bounds.word}", hint=f"Write {low}-{bounds.most}/{step}."
        )
    if step is not None and int(step) == 0:
        raise InvalidInput(f"{part} has a step of 0 in the field {bounds.word}", hint="Steps begin with 1.")
    return range(first, last + 1, 1 if step is None else int(step))


def _read_value(text: str, part: str, bounds: _Bounds, first: int = 0) -> int:
    """The number of a number or name; Sunday at the end of a range is the day after Saturday."""
    if text in bounds.names:
        return 7 if text == "SUN" and first > 0 else bounds.names.index(text) + bounds.least
    if not text.isdigit():
        raise _unknown(part, bounds)
    if len(text) > 4 or not bounds.least <= int(text) <= bounds.most:
        raise InvalidInput(
            f"{text} is no {bounds.word}", hint=f"The field {bounds.word} takes {bounds.least} to {bounds.most}."
        )
    return int(text)


def _unknown(part: str, bounds: _Bounds) -> InvalidInput:
    """The error for what is no number, range, step or name."""
    names = f", names from {bounds.names[0]} to {bounds.names[-1]}" if bounds.names else ""
    return InvalidInput(
        f"{part!r} cannot be read in the field {bounds.word}",
        hint=f"It takes numbers from {bounds.least} to {bounds.most}{names}, ranges (a-b), steps (*/n), lists (a,b) "
        "and *; ?, L, W and # of other crons are not known.",
    )
