"""Lists in pages: how they are sorted and where the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from modelcar_sandbox.collation import number
from modelcar_sandbox.model_registry.properties import integer
from modelcar_sandbox.model_registry.refusal import bad_request

if TYPE_CHECKING:
    from modelcar_sandbox.model_registry.entities import Entity

_COLUMNS: Final = {"CREATE_TIME": "created_ms", "LAST_UPDATE_TIME": "updated_ms"}
LONGEST_TOKEN: Final = 1024


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for, and in which order.

    Attributes:
        size: Entries of a page; 0 or less for all.
        column: That sorts; the id decides among equals.
        descending: Newest or highest first.
        after: Value and id of the last entry of the page before.
    """

    size: int = 0
    column: str = "id"
    descending: bool = False
    after: tuple[float, int] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        items: In order.
        next_token: Where the next page begins; empty at the end.
        size: The page size asked for.
    """

    items: tuple[Entity, ...]
    next_token: str
    size: int

    def as_json(self) -> dict[str, Any]:
        """The answer's form."""
        return {
            "items": [item.as_json() for item in self.items],
            "nextPageToken": self.next_token,
            "pageSize": self.size,
            "size": len(self.items),
        }


def read_window(query: Mapping[str, str]) -> Window:
    """Read what a list's URL asks for; an unknown order is no error, it sorts by id.

    Args:
        query: The URL's parameters.

    Returns:
        The window; ascending unless `sortOrder` is DESC.

    Raises:
        Refusal: 400 for a page size that is no number and a token that is none of ours.
    """
    return Window(
        size=integer(query.get("pageSize") or "0", "pageSize"),
        column=_COLUMNS.get(query.get("orderBy", ""), "id"),
        descending=query.get("sortOrder") == "DESC",
        after=_read_token(query["nextPageToken"]) if query.get("nextPageToken") else None,
    )


def write_token(last: Entity, column: str) -> str:
    """The token of the page that begins after an entry."""
    value = getattr(last, column)
    return base64.b64encode(f"{last.id}:{value}".encode()).decode()


def _read_token(token: str) -> tuple[float, int]:
    try:
        text = base64.b64decode(token, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"invalid nextPageToken: {error}") from error
    last, colon, value = text.partition(":")
    if not colon or len(token) > LONGEST_TOKEN:
        raise bad_request("invalid nextPageToken: invalid cursor format")
    return number(value), integer(last, "nextPageToken")
