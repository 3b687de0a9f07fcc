"""The fields of a cron expression, as a Kubeflow Pipelines server reads them.

Source: https://github.com/robfig/cron/blob/v1.2.0/parser.go
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from modelcar.errors import InvalidInput

_NUMBER = re.compile(r"\+?0*[0-9]{1,19}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LARGEST = 2**63 - 1
"""Go's numbers and durations end here."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may stand in a field.

    Attributes:
        word: What the field is called.
        least: Its least value.
        most: Its greatest value.
        names: Names of the values from `least` on, in small letters; those of people in any case.
    """

    word: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_SECOND = Bounds("second", 0, 59)
_MINUTE = Bounds("minute", 0, 59)
_HOUR = Bounds("hour", 0, 23)
_DAY = Bounds("day of month", 1, 31)
_MONTH = Bounds("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
_WEEKDAY = Bounds("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
FIELDS = (_SECOND, _MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an expression.

    Attributes:
        values: What it matches; empty for a field of commas alone, which the server accepts.
        star: Whether a part of it begins with `*` or `?`. Two day fields without star match when either does.
    """

    values: frozenset[int]
    star: bool


def read_field(expression: str, text: str, bounds: Bounds) -> Field:
    """Read one field.

    Raises:
        InvalidInput: The server would refuse it; the message names the whole expression.
    """
    parts = [part for part in text.split(",") if part]
    values = [_read_part(expression, part, bounds) for part in parts]
    return Field(frozenset().union(*values), any(_head(part) in ("*", "?") for part in parts))


def _head(part: str) -> str:
    limits, *_ = part.split("/")
    return limits.split("-", maxsplit=1)[0]


def _read_part(expression: str, part: str, bounds: Bounds) -> range:
    """`*`, `N`, `N-M`, each also with `/STEP`; `N/STEP` goes on to the field's end."""
    limits, *steps = part.split("/")
    low, *highs = limits.split("-")
    if low in ("*", "?"):
        first, last = bounds.least, bounds.most  # what follows a hyphen is not looked at
    else:
        if len(highs) > 1:
            raise refuse(expression, f"{part} has too many hyphens")
        first = _read_number(expression, low, bounds)
        last = _read_number(expression, highs[0], bounds) if highs else first
    if len(steps) > 1:
        raise refuse(expression, f"{part} has too many slashes")
    if steps and not highs:
        last = bounds.most
    step = _read_number(expression, steps[0]) if steps else 1
    if first < bounds.least or last > bounds.most:
        raise refuse(expression, f"{part} is no {bounds.word} from {bounds.least} to {bounds.most}")
    if first > last or step == 0:
        raise refuse(expression, f"{part} is empty")
    return range(first, last + 1, step)


def _read_number(expression: str, text: str, bounds: Bounds | None = None) -> int:
    if bounds is not None and text.lower() in bounds.names:
        return bounds.names.index(text.lower()) + bounds.least
    if not _NUMBER.fullmatch(text) or int(text) > _LARGEST:
        raise refuse(expression, f"{text!r} is no number")
    return int(text)


def read_duration(expression: str) -> int:
    """Seconds of `@every 1h30m`, as Go reads a duration; below a second is cut off, but 1 at least.

    Raises:
        InvalidInput: It is no duration, or one of more than 292 years.
    """
    text = expression.removeprefix("@every ")
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    parts = _DURATION.findall(unsigned)
    if unsigned != "0" and (not parts or "".join(number + unit for number, unit in parts) != unsigned):
        raise refuse(expression, "its duration cannot be read", "A duration is written like 1h30m.")
    total_ns = sum(int(Fraction(number.rstrip(".") or "0") * _UNITS_NS[unit]) for number, unit in parts)
    if total_ns > _LARGEST:
        raise refuse(expression, "its duration is too long")
    return 1 if text.startswith("-") else max(1, total_ns // 1_000_000_000)


def refuse(expression: str, reason: str, hint: str | None = None) -> InvalidInput:
    """The error for an expression that the server answers with 400."""
    return InvalidInput(f"a Kubeflow Pipelines server refuses the cron {expression!r}: {reason}", hint=hint)
