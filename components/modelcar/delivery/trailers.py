"""Messages of our commits: sentences for people, trailers for reruns."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from modelcar.errors import InvalidInput

PROMOTION_KEY = "Promotion-Key"
IMAGE_DIGEST = "Image-Digest"
PREVIOUS_DIGEST = "Previous-Digest"

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_PROMOTION_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit says it is from, as author and committer.

    Attributes:
        name: One line without `<` and `>`.
        email: The same.
    """

    name: str = "modelcar"
    email: str = "modelcar@users.noreply.invalid"

    def __post_init__(self) -> None:
        """Check what git would cut away in silence.

        Raises:
            InvalidInput: Empty, over several lines, or with angle brackets.
        """
        for value in (self.name, self.email):
            if not value.strip() or not value.isprintable() or "<" in value or ">" in value:
                raise InvalidInput(f"{value!r} is no name or address for a commit", hint="Write one line without < >.")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read `MODELCAR_GIT_AUTHOR_NAME` and `MODELCAR_GIT_AUTHOR_EMAIL`; defaults where one is missing or empty."""
        given = {field: environ.get(f"MODELCAR_GIT_AUTHOR_{field.upper()}") for field in ("name", "email")}
        return cls(**{field: value for field, value in given.items() if value})

    def environment(self) -> dict[str, str]:
        """The variables that tell git."""
        return {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", self.name), ("EMAIL", self.email))
        }


def compose(subject: str, bullets: Sequence[str], trailers: Mapping[str, str]) -> str:
    """Write a commit message; the same arguments give the same message.

    Args:
        subject: First line.
        bullets: What was done, one line each.
        trailers: Last paragraph, in order.

    Raises:
        InvalidInput: A line break in any of them, an empty subject or value, or a key that git takes for no trailer.
    """
    for line in (subject, *bullets, *trailers.values()):
        if not line.strip() or len(line.splitlines()) != 1 or "\0" in line:
            raise InvalidInput(f"{line!r} cannot be a line of a commit message", hint="Write one line of text.")
    for key in trailers:
        if not _KEY.fullmatch(key):
            raise InvalidInput(f"{key!r} is not the name of a commit trailer", hint="Use letters, digits and -.")
    listed = "".join(f"- {bullet}\n" for bullet in bullets)
    last = "".join(f"{key}: {value.strip()}\n" for key, value in trailers.items())
    return f"{subject.strip()}\n\n{listed}\n{last}"


def check_promotion_key(key: str) -> str:
    """Return `key`, one word that a trailer can hold.

    Raises:
        InvalidInput: It is not.
    """
    if not _PROMOTION_KEY.fullmatch(key):
        raise InvalidInput(f"{key!r} is not a promotion key", hint="Use letters, digits and : . _ -.")
    return key
