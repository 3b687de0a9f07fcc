"""The note that a failed step leaves: which step, why, what to do, and whose fault it was.

It is the end of the step's log, and the container's termination message, which Kubernetes shows as the pod's status:
the log of a pod that is gone is gone, and KFP's launcher turns every exit code into 1.

Source: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

VARIABLE = "MODELCAR_TERMINATION_LOG"
"""Names the file for the note; by default the one that Kubernetes reads."""
_KUBERNETES_FILE = "/dev/termination-log"
_LONGEST_BYTES = 4096
"""Kubernetes keeps no more of it."""
_LAST_LINE = 'modelcar step "{step}"{of} ended with exit code {exit_code}.'
_PATTERN = re.compile(
    r"^Error: (?P<body>(?:(?!^Error: ).)*?)\n"
    r'modelcar step "(?P<step>[^"\n]+)"(?: of "(?P<of>[^"\n]+)")? ended with exit code (?P<code>\d+)\.$',
    re.MULTILINE | re.DOTALL,
)
SKIPPED = "skipped: "
"""How a line of a log begins that says why there was nothing to do."""
_SKIPPED_LINE = re.compile(rf"^{SKIPPED}(.*)$", re.MULTILINE)
RESULT = "result: "
"""How a line of a log begins that says in a sentence what a promotion has come to."""
_RESULT_LINE = re.compile(rf"^{RESULT}(.*)$", re.MULTILINE)
_HINT = "\n-> "


@dataclass(frozen=True, slots=True)
class Note:
    """Why a step failed.

    Attributes:
        step: Its title.
        message: What happened; may have several lines.
        hint: What to do; None when nobody knows.
        exit_code: 2 when the input is at fault, else 1.
        model: What it was done for, the name of the InferenceService or of the model; empty when nobody knows.
    """

    step: str
    message: str
    hint: str | None
    exit_code: int
    model: str = field(default="", compare=False)

    def __str__(self) -> str:
        hint = f"{_HINT}{self.hint}" if self.hint else ""
        of = f' of "{self.model}"' if self.model else ""
        return f"Error: {self.message}{hint}\n{_LAST_LINE.format(step=self.step, of=of, exit_code=self.exit_code)}"


def find_note(text: str) -> Note | None:
    """The last note in a log or a termination message, whatever stands around it; None when there is none."""
    found = list(_PATTERN.finditer(text))
    if not found:
        return None
    message, _, hint = found[-1]["body"].partition(_HINT)
    return Note(found[-1]["step"], message, hint or None, int(found[-1]["code"]), found[-1]["of"] or "")


def find_skip(text: str) -> str | None:
    """Why there was nothing to do, in the log of the step that reports it; None when it says nothing of that."""
    found = _SKIPPED_LINE.search(text)
    return found[1] if found is not None else None


def find_result(text: str) -> str | None:
    """What a promotion has come to, in the log of the step that reports it; None when it says nothing of that."""
    found = _RESULT_LINE.search(text)
    return found[1] if found is not None else None


def leave_note(note: Note) -> None:
    """Write the note where Kubernetes, or a local run, looks for it; nowhere when there is no such place."""
    named = os.environ.get(VARIABLE)
    path = Path(named or _KUBERNETES_FILE)
    if not named and not path.exists():
        return
    room = _LONGEST_BYTES - len(str(replace(note, message="")).encode())
    message = note.message.encode()[: max(room, 0)].decode(errors="ignore")
    try:
        path.write_text(str(replace(note, message=message)), encoding="utf-8")
    except OSError:
        return  # the log has it, too
