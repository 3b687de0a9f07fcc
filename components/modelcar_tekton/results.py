"""What a step hands on: Tekton's results, which all together have little room.

Source: https://tekton.dev/docs/pipelines/tasks/#emitting-results; the format of the message was read from
`pkg/result` in https://github.com/tektoncd/pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from modelcar.errors import InvalidInput
from modelcar.steps.ended import FAILURE
from modelcar.steps.note import Note

DIRECTORY: Final = Path("/tekton/results")
ROOM_BYTES: Final = 4096
"""Of a container's termination message, in which Tekton's entrypoint hands on a step's results."""
_ESCAPED: Final = frozenset("<>&\u2028\u2029")
_OVERHEAD_BYTES: Final = 256
"""What the entrypoint adds of its own: when the step began and how it ended."""


def write_results(texts: Mapping[str, str], directory: Path = DIRECTORY) -> None:
    """Write a step's results.

    Args:
        texts: By name.
        directory: Where Tekton looks for them.

    Raises:
        InvalidInput: They have no room; nothing was written. The message names the longest.
    """
    sizes = {name: _size(name, text) for name, text in texts.items()}
    total = sum(sizes.values()) + _OVERHEAD_BYTES
    if total > ROOM_BYTES:
        longest = max(sizes, key=lambda name: sizes[name])
        raise InvalidInput(
            f"the results of this step take {total} bytes, and Tekton hands on {ROOM_BYTES}; "
            f"the longest is {longest} with {sizes[longest]}",
            hint="Hand on an address or a digest instead of what is behind it.",
        )
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8", newline="")


def write_failure(note: Note, directory: Path = DIRECTORY) -> None:
    """Write why the step failed as its one result, with as much of the message as there is room for.

    Nowhere when there is no such place; the log has it, too.
    """
    if not directory.is_dir():
        return
    message = note.message
    while message and _size(FAILURE, str(replace(note, message=message))) > ROOM_BYTES - _OVERHEAD_BYTES:
        message = message[: len(message) * 3 // 4]
    text = str(replace(note, message=message))
    (directory / FAILURE).write_text(text, encoding="utf-8", newline="")


def _size(name: str, text: str) -> int:
    """Bytes that a result takes in the message, where Go writes five characters as six each."""
    written = json.dumps({"key": name, "value": text, "type": 1}, ensure_ascii=False)
    escaped = [character for character in written if character in _ESCAPED]
    return len(written.encode()) + sum(6 - len(character.encode()) for character in escaped)
