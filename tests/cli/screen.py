"""What a terminal shows of a program's output."""

from __future__ import annotations

import re


class Screen:
    """As much of a terminal as rich uses."""

    def __init__(self) -> None:
        self.rows = [""]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
            if part == "\r":
                self._column = 0
            elif part == "\n":
                self._row += 1
                self.rows += [""] * (self._row + 1 - len(self.rows))
            elif part.startswith("\x1b"):
                self._control(part)
            else:
                row = self.rows[self._row].ljust(self._column)
                self.rows[self._row] = row[: self._column] + part + row[self._column + len(part) :]
                self._column += len(part)

    def _control(self, sequence: str) -> None:
        if sequence.endswith("A"):
            self._row -= int(sequence[2:-1] or 1)
        elif sequence == "\x1b[2K":
            self.rows[self._row] = ""
        else:
            assert sequence.endswith("m") or sequence in ("\x1b[?25l", "\x1b[?25h"), sequence
