"""The line by which a first step says in its log that a run has nothing to do.

A run whose other steps were left out has SUCCEEDED to every server; why they were is only told here.
"""

from __future__ import annotations

import re

from modelcar.steps.running import say

_PATTERN = re.compile(r"^skipped: (?P<reason>.+)$", re.MULTILINE)


def say_skipped(reason: str) -> None:
    """Write the line to the step's log.

    Args:
        reason: One line.
    """
    say(f"skipped: {reason}")


def find_skip(log: str) -> str | None:
    """The reason that stands in a step's log; None when the step let the run go on."""
    found = _PATTERN.search(log)
    return found["reason"] if found is not None else None
