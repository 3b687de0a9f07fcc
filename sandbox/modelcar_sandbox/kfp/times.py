"""Times as the server writes them: RFC 3339 in UTC with whole seconds, and special ones for "not yet"."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

NEVER: Final = "1970-01-01T00:00:00Z"
NOT_ENDED: Final = "0001-01-01T00:00:00Z"


def write_time(moment: datetime) -> str:
    """`2026-11-25T20:46:04Z`; what is below a second is cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: str) -> datetime:
    """The moment of an RFC 3339 text, in UTC.

    Raises:
        ValueError: It is no time, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.astimezone(UTC)
