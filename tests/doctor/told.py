"""What `modelcar doctor` printed, without the blanks that align it."""

from __future__ import annotations

import re


def lines(text: str, subject: str) -> list[str]:
    """The one line about a subject, and the way out below it where there is one."""
    found = [" ".join(line.split()) for line in text.splitlines()]
    [at] = [at for at, line in enumerate(found) if re.match(rf"(ok|missing|broken|cannot tell) {subject} ", line)]
    return [found[at], *([found[at + 1]] if found[at + 1].startswith("-> ") else [])]
