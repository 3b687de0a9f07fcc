"""What a doctor tells: one thing that was looked at, how it is, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sign(StrEnum):
    """How a thing is."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        group: Under which title it stands.
        subject: What was looked at.
        sign: How it is.
        text: What there is to say, on one line.
        way_out: What can be done, on one line; empty where nothing has to be.
        note: Whether all is well with it all the same, such as with an optional Secret that is missing.
    """

    group: str
    subject: str
    sign: Sign
    text: str
    way_out: str = ""
    note: bool = False

    @property
    def well(self) -> bool:
        """Whether nothing has to be done; what cannot be told is not held against anybody."""
        return self.note or self.sign in (Sign.OK, Sign.CANNOT_TELL)
