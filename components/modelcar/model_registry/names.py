"""Names that a Model Registry can hold and people can read; nothing there can be renamed or deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from modelcar.errors import InvalidInput

LONGEST_NAME: Final = 255
"""Characters of a column in the server's database; one more is answered with 500."""
LONGEST_CHILD_NAME: Final = LONGEST_NAME - len("2147483647:")
"""Of a version's or an artifact's name: the server keeps the parent's id in front of it in the same column."""
OWN_PREFIX: Final = "modelcar_"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_model_name(name: str) -> None:
    """Refuse a registered model's name that the server would refuse, or that people could not type again.

    Raises:
        InvalidInput: Not 1 to 255 characters, blanks around it, invisible characters, a backslash.
    """
    _check("registered model", name, LONGEST_NAME)


def check_version_name(name: str) -> None:
    """The same for a model version's name, which has 244 characters at most.

    Raises:
        InvalidInput: As for a model.
    """
    _check("model version", name, LONGEST_CHILD_NAME)


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse property names that could not be searched for, or that are this package's own.

    Raises:
        InvalidInput: A name is not 1 to 255 letters, digits and underscores, or begins with `modelcar_`.
    """
    for key in properties:
        if not _IDENTIFIER.fullmatch(key) or len(key) > LONGEST_NAME:
            raise InvalidInput(
                f"{key!r} cannot be the name of a custom property",
                hint="Write letters, digits and underscores, at most 255: other names cannot be searched for.",
            )
        if key.startswith(OWN_PREFIX):
            raise InvalidInput(f"the custom property {key!r} is not free", hint=f"{OWN_PREFIX}… is set by registering.")


def check_stored_name(kind: str, name: str, stored: str) -> None:
    """Compare what was asked for with what was found: the server's database takes `Case` for `case`, and `é` for `e`.

    Raises:
        InvalidInput: They differ.
    """
    if name != stored:
        raise InvalidInput(
            f"the Model Registry has the {kind} {stored!r}, and takes {name!r} for the same name",
            hint=f"Write {stored!r}, or choose a name that differs in more than case and accents.",
        )


def escape(name: str) -> str:
    r"""The name as a pattern that matches itself only.

    The server looks names up with SQL's LIKE: asked for `a_b` it finds `a-b`, and nothing when it has both. MySQL,
    MariaDB and PostgreSQL take a backslash before `_` or `%`.
    """
    return re.sub(r"([%_])", r"\\\1", name)


def _check(kind: str, name: str, longest: int) -> None:
    if not 1 <= len(name) <= longest:
        raise InvalidInput(f"the {kind}'s name has {len(name)} characters", hint=f"Give it 1 to {longest}.")
    if name != name.strip():
        raise InvalidInput(f"the {kind} {name!r} has blanks around its name", hint=f"Write {name.strip()!r}.")
    # A backslash is LIKE's escape, and how to escape it depends on the database.
    if not name.isprintable() or "\\" in name:
        raise InvalidInput(
            f"the {kind} {name!r} has a control character, an invisible one or a backslash in its name",
            hint="Names cannot be changed later; write one that people can read and type.",
        )
