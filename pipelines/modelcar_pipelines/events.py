"""What a pipeline's run tells while it runs: one frozen object for each change of a task, and one for the end.

Local runs write them to a file, a JSON object a line, which whoever started the run reads; whoever follows a run on a
server makes the same objects from what the server answers. So steps are shown in one way, wherever they run.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO


class State(StrEnum):
    """Where a task or a run is; the words are those of Kubeflow Pipelines."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class TaskEvent:
    """A task began, ended, failed and is tried again, or was left out.

    Attributes:
        at: When, with a time zone.
        task: The task's name in the pipeline.
        path: Its name below the tasks that it is nested in, `exit-handler-1/build`; one round of a loop is
            `for-loop-1/iteration-0`. No two tasks of a run have one path.
        display_name: What people read instead of `task`.
        state: FAILED, SUCCEEDED and SKIPPED are final. An attempt that failed and is followed by another is told as
            RUNNING, with its exit code and message.
        attempt: Number of the attempt, from 1.
        exit_code: Of the step's process, when it has ended; None for groups of tasks and for what did not run.
        message: Why it failed or was left out; else empty.
    """

    at: datetime
    task: str
    path: str
    display_name: str
    state: State
    attempt: int = 1
    exit_code: int | None = None
    message: str = ""


@dataclass(frozen=True)
class RunEvent:
    """The run has ended; nothing follows.

    Attributes:
        at: When, with a time zone.
        state: SUCCEEDED or FAILED.
        message: Why it failed; else empty.
    """

    at: datetime
    state: State
    message: str = ""


Event = TaskEvent | RunEvent


def now() -> datetime:
    """The time of an event that happens now."""
    return datetime.now(UTC)


def format_event(event: Event) -> str:
    """One line of JSON, without the line's end; `parse_event` gives the event back."""
    kind = "task" if isinstance(event, TaskEvent) else "run"
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"event": kind, **asdict(event), "at": at}, ensure_ascii=False)


def parse_event(line: str) -> Event:
    """The event of one line.

    Raises:
        ValueError: The line is not an event.
    """
    fields: dict[str, Any] = json.loads(line)
    kind = fields.pop("event")
    fields |= {"at": datetime.fromisoformat(fields["at"]), "state": State(fields["state"])}
    return TaskEvent(**fields) if kind == "task" else RunEvent(**fields)


class EventWriter:
    """Appends events to a file, each whole and at once, from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def write(self, event: Event) -> None:
        """Append one event."""
        with self._lock:
            self._file.write(format_event(event) + "\n")

    def close(self) -> None:
        """Close the file; nothing can be written any more."""
        self._file.close()


class EventReader:
    """Reads the events of a run from the file that they are appended to, from the first one on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._begun = b""

    def read(self) -> list[Event]:
        """The events that were written since the last call; none while the file is not there or a line is not whole."""
        if self._file is None:
            if not self._path.exists():
                return []
            self._file = self._path.open("rb")
        *lines, self._begun = (self._begun + self._file.read()).split(b"\n")
        return [parse_event(line.decode()) for line in lines]

    def close(self) -> None:
        """Close the file; the events that were read stay."""
        if self._file is not None:
            self._file.close()
            self._file = None
