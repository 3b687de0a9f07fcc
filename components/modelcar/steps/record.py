"""What a step tells the report of itself: a short line of JSON, handed on as one parameter."""

from __future__ import annotations

import json
import time
from typing import Any

_LONGEST_REASON = 350
"""In bytes; the numbers beside it have room in what can be handed on (`modelcar.steps.running`)."""


def write_record(started: float, **values: Any) -> str:
    """A record of what a step did.

    Args:
        started: `time.monotonic()` at its start.
        values: Numbers, short strings and lists of them.
    """
    return _format({**values, "seconds": round(time.monotonic() - started, 1)})


def write_skip(started: float, reason: str, **values: Any) -> str:
    """A record of a step that found nothing to do, with as much of the reason as can be handed on.

    Args:
        started: As for `write_record`.
        reason: Any text.
        values: As for `write_record`.
    """
    short = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    while len(_format(short).encode()) > _LONGEST_REASON:
        short = short[:-2].rstrip("…") + "…"
    return write_record(started, skipped=short, **values)


def _format(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def read_record(record: str) -> dict[str, Any]:
    """What a step told; nothing of a step that did not run."""
    values: dict[str, Any] = json.loads(record) if record else {}
    return values
