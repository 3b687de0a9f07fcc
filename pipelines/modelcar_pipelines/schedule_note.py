"""What a schedule says about itself in its description: a server keeps that, and lets nobody change it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from modelcar.schedule import Scheduled

_MARK = "modelcar-schedule: "


@dataclass(frozen=True, slots=True)
class ScheduleNote:
    """What is needed to find a schedule, and to finish what somebody else began.

    Attributes:
        scheduled: When it fires, and where.
        content: Digest of everything that was asked for; two with the same are the same schedule.
        generation: One more than that of the schedule that it takes the place of, 1 for the first. The greatest counts.
        on: Whether it is to fire once it has taken the place of the others; a paused schedule is changed paused.
    """

    scheduled: Scheduled
    content: str
    generation: int
    on: bool

    def write(self) -> str:
        """A description: a line for people, and one for `read_note`."""
        about = {
            "scheduled": asdict(self.scheduled),
            "content": self.content,
            "generation": self.generation,
            "on": self.on,
        }
        return f"{self.scheduled.cron} in {self.scheduled.zone}\n{_MARK}{json.dumps(about)}"


def read_note(description: str | None) -> ScheduleNote | None:
    """The note in a description; None when somebody else wrote it."""
    _, mark, text = (description or "").rpartition(_MARK)
    if not mark:
        return None
    try:
        about = json.loads(text)
    except ValueError:
        return None
    match about:
        case {
            "scheduled": {"cron": str(cron), "zone": str(zone), "server_zone": str(server_zone)},
            "content": str(content),
            "generation": int(generation),
            "on": bool(on),
        }:
            return ScheduleNote(Scheduled(cron, zone, server_zone), content, generation, on)
    return None


def content_of(about: Mapping[str, object]) -> str:
    """A digest of what was asked for, 16 hex digits."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
