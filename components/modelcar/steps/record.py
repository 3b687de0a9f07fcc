"""What a step tells the report of itself: a short line of JSON, handed on as one parameter."""

from __future__ import annotations

import json
import time
from typing import Any


def write_record(started: float, **values: Any) -> str:
    """A record of what a step did.

    Args:
        started: `time.monotonic()` at its start.
        values: Numbers, short strings and lists of them.
    """
    return json.dumps({**values, "seconds": round(time.monotonic() - started, 1)}, separators=(",", ":"))


def read_record(record: str) -> dict[str, Any]:
    """What a step told; nothing of a step that did not run."""
    values: dict[str, Any] = json.loads(record) if record else {}
    return values
