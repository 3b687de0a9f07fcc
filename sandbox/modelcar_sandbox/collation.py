"""How the server's database compares text: without case, accents and, except in LIKE, trailing blanks.

A letter weighs as much as its base letter in upper case: `é`, `e` and `E` are equal, and so are `ß` and `s`. Which
letters count as equal differs among MySQL's collations; this is the reading that most of them share for Latin text.

Source: https://dev.mysql.com/doc/refman/8.4/en/charset-collation-effect.html
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_ANY: Final = object()
_ONE: Final = object()
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


@lru_cache(maxsize=8192)
def _weight(char: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", char))
    # Hangul and the like decompose into letters, not into a letter and its marks: they stay whole.
    plain = base if all(unicodedata.combining(mark) for mark in marks) else char
    return plain.upper()[0]


def weights(text: str) -> str:
    """Text as it is compared, one character for each of its own."""
    return "".join(map(_weight, text))


def fold(text: str) -> str:
    """Two texts are equal to the database when their folds are equal."""
    return weights(text.rstrip(" "))


def resembles(text: str, pattern: str) -> bool:
    """Whether SQL's `text LIKE pattern` holds: `%` is any text, `_` one character, a backslash takes the next as it is.

    Takes at most the product of both lengths in steps, whatever the pattern.
    """
    subject, parts = weights(text), _parts(pattern)
    at = part = 0
    resume: tuple[int, int] | None = None
    while at < len(subject):
        if part < len(parts) and parts[part] is _ANY:
            resume = (at, part)
            part += 1
        elif part < len(parts) and (parts[part] is _ONE or parts[part] == subject[at]):
            at, part = at + 1, part + 1
        elif resume:
            resume = (resume[0] + 1, resume[1])
            at, part = resume[0], resume[1] + 1
        else:
            return False
    return all(rest is _ANY for rest in parts[part:])


def _parts(pattern: str) -> list[object]:
    parts: list[object] = []
    chars = iter(pattern)
    for char in chars:
        if char == "\\":
            parts.append(_weight(next(chars, "\\")))
        else:
            parts.append({"%": _ANY, "_": _ONE}.get(char) or _weight(char))
    return parts


def number(value: object) -> float:
    """A value where the database wants a number: the number that a text begins with, else 0."""
    if isinstance(value, (int, float)):
        return value
    found = _NUMBER.match(str(value))
    return float(found[1]) if found else 0.0
