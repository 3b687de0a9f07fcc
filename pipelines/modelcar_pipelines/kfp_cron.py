"""Cron as a Kubeflow Pipelines server reads it: what it accepts, and when it fires.

The server has robfig/cron v1: six fields with the second first, or five of them, of which the first is still a second.
So `0 2 * * *` is "every hour at minute 2" to it. What people write is in `modelcar.schedule`; this module is for what
the server makes of an expression, down to how Go places a local time that the clocks skip.

Source: https://github.com/robfig/cron/blob/v1.2.0/parser.go and spec.go
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from modelcar.errors import InvalidInput
from modelcar_pipelines.kfp_cron_fields import FIELDS, Field, read_duration, read_field, refuse

YEARS_AHEAD = 5
"""How many calendar years after the present one are searched for the next fire."""

_BLANKS = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

_DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}


@dataclass(frozen=True, slots=True)
class KfpCron:
    """An expression that the server accepts.

    Attributes:
        expression: As it was written.
        fields: Second, minute, hour, day of month, month, day of week (0 is Sunday); empty for `@every`.
        every_s: Seconds from fire to fire of `@every`, at least 1; otherwise None.
    """

    expression: str
    fields: tuple[Field, ...]
    every_s: int | None = None

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """The first fire after a moment.

        A local time that the clocks skip does not come on that day; one that they repeat comes twice.

        Args:
            moment: Has a time zone.
            zone: The server's.

        Returns:
            In `zone`, with whole seconds; None when there is none until the end of the fifth calendar year after
            `moment`. A server that is asked to schedule that never stops searching.
        """
        second = moment.timestamp().__floor__()
        if self.every_s is not None:
            return datetime.fromtimestamp(second + self.every_s, zone)
        search = _Search(self.fields, second + 1, zone)
        return search.wall() if search.run() else None

    def matches_day(self, day: date) -> bool:
        """Whether it fires on a day, if it fires at all on days."""
        _, _, _, of_month, month, of_week = self.fields
        return day.month in month.values and _day_matches(of_month, of_week, day)

    def stalls_after(self, moment: datetime, zone: tzinfo) -> bool:
        """Whether the server, now or after one of the fires of the next 40 years, finds no next one.

        It then searches for ever, at the cost of a whole core, and no schedule of anybody fires any more. Years that
        are further away are left out, because 29 February itself does not come for eight years around 2100.

        Args:
            moment: When the schedule begins; has a time zone.
            zone: The server's.
        """
        if self.every_s is not None:
            return False
        if not all(field.values for field in self.fields):
            return True
        first = moment.astimezone(zone).date()
        years = [first.year]
        for year in range(first.year, first.year + 41):
            start = max(first, date(year, 1, 1))
            days = (start + timedelta(days) for days in range((date(year, 12, 31) - start).days + 1))
            # Today's fires may be over.
            if any(day > first and self.matches_day(day) for day in days):
                years.append(year)
        return any(
            later - earlier > YEARS_AHEAD for earlier, later in zip(years, [*years[1:], years[0] + 41], strict=True)
        )


def parse(expression: str) -> KfpCron:
    """Read an expression as the server does.

    Raises:
        InvalidInput: The server would refuse it (400).
    """
    if not expression:
        raise InvalidInput("the server's cron is empty", hint="It has six fields, the second first, or five.")
    if expression.startswith("@every "):
        return KfpCron(expression, (), read_duration(expression))
    text = expression
    if expression.startswith("@"):
        if expression not in _DESCRIPTORS:
            raise refuse(expression, "it knows no such name", f"It knows {', '.join(_DESCRIPTORS)} and @every.")
        text = _DESCRIPTORS[expression]
    words = [word for word in _BLANKS.split(text) if word]
    if not 5 <= len(words) <= 6:
        raise refuse(expression, f"it has {len(words)} fields", "Six are needed, the second first, or five.")
    padded = [*words, "*"][:6]
    return KfpCron(
        expression,
        tuple(read_field(expression, word, bounds) for word, bounds in zip(padded, FIELDS, strict=True)),
    )


class _Search:
    """One search for a fire: field after field moves on until it matches, and starts over when one wraps around."""

    def __init__(self, fields: tuple[Field, ...], unix_s: int, zone: tzinfo) -> None:
        self._second, self._minute, self._hour, self._day, self._month, self._weekday = fields
        self._unix_s, self._zone = unix_s, zone
        self._moved = False

    def wall(self) -> datetime:
        """Where the search stands."""
        return datetime.fromtimestamp(self._unix_s, self._zone)

    def run(self) -> bool:
        """Move to the first fire; whether there is one."""
        last_year = self.wall().year + YEARS_AHEAD
        while self.wall().year <= last_year:
            if self._to_month() and self._to_day() and self._to_hour() and self._to_minute() and self._to_second():
                return True
        return False

    def _to_month(self) -> bool:
        return self._seek(
            lambda now: now.month in self._month.values,
            lambda now: self._place(now.date().replace(day=1)),
            lambda now: self._place(_next_month(now.date()), now),
            lambda now: now.month == 1,
        )

    def _to_day(self) -> bool:
        return self._seek(
            lambda now: _day_matches(self._day, self._weekday, now),
            lambda now: self._place(now.date()),
            lambda now: self._place(now.date() + timedelta(days=1), now),
            lambda now: now.day == 1,
        )

    def _to_hour(self) -> bool:
        return self._seek(
            lambda now: now.hour in self._hour.values,
            lambda now: self._place(now.date(), now.replace(minute=0, second=0)),
            lambda _: self._unix_s + 3600,
            lambda now: now.hour == 0,
        )

    def _to_minute(self) -> bool:
        return self._seek(
            lambda now: now.minute in self._minute.values,
            # Cut off from the absolute time: it matters where an offset is no whole number of minutes.
            lambda _: self._unix_s - self._unix_s % 60,
            lambda _: self._unix_s + 60,
            lambda now: now.minute == 0,
        )

    def _to_second(self) -> bool:
        return self._seek(
            lambda now: now.second in self._second.values,
            lambda _: self._unix_s,
            lambda _: self._unix_s + 1,
            lambda now: now.second == 0,
        )

    def _seek(
        self,
        matches: Callable[[datetime], bool],
        begin: Callable[[datetime], int],
        forward: Callable[[datetime], int],
        wraps: Callable[[datetime], bool],
    ) -> bool:
        """Move on until the field matches; False when it wrapped around, and those before it have to match anew."""
        while not matches(now := self.wall()):
            if not self._moved:
                # What is smaller than this field counts from its start, once.
                self._moved = True
                self._unix_s = begin(now)
            self._unix_s = forward(self.wall())
            if wraps(self.wall()):
                return False
        return True

    def _place(self, day: date, clock: datetime | None = None) -> int:
        """The Unix time of a local time: of `day` at the clock's hour, minute and second, or at midnight.

        Go looks up the offset as if the local time were UTC, then once more; so a skipped local time lands on one side
        of the gap or the other, as here.
        """
        wall = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if clock is not None:
            wall = wall.replace(hour=clock.hour, minute=clock.minute, second=clock.second)
        unix_s = int(wall.timestamp())
        offset_s = self._offset(unix_s)
        return unix_s - (self._offset(unix_s - offset_s) if offset_s else 0)

    def _offset(self, unix_s: int) -> int:
        offset = datetime.fromtimestamp(unix_s, self._zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0


def _next_month(day: date) -> date:
    first = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return first + timedelta(days=day.day - 1)


def _day_matches(of_month: Field, of_week: Field, day: date) -> bool:
    in_month, in_week = day.day in of_month.values, day.isoweekday() % 7 in of_week.values
    return in_month and in_week if of_month.star or of_week.star else in_month or in_week
