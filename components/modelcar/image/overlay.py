"""What a runtime sees below `/models` when an image's layers lie on each other.

Source: https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets and #whiteouts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Generic, TypeVar

from modelcar.errors import UnsafeContent
from modelcar.image.archive import DIRECTORY, Member
from modelcar.image.layer import ROOT

T = TypeVar("T")

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class _Placed(Generic[T]):
    path: tuple[str, ...]
    member: Member
    value: T


class Overlay(Generic[T]):
    """Takes layers, bottom first, and keeps what no later one hides."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, ...], tuple[Member, T]] = {}
        self._parents: set[tuple[str, ...]] = set()

    def add(self, members: Iterable[tuple[Member, T]], what: str) -> None:
        """Lay one layer on top.

        Args:
            members: Its entries, and what the caller wants to know of each in the end.
            what: The layer, for messages.

        Raises:
            UnsafeContent: A name leads out of the image.
        """
        placed = [_Placed(path, m, value) for m, value in members if (path := _path(m.name, what))]
        # A whiteout hides what lies below its layer, wherever in the layer it stands.
        for entry in placed:
            name = entry.path[-1]
            if name == _OPAQUE:
                self._hide_below(entry.path[:-1])
            elif name.startswith(_WHITEOUT):
                hidden = (*entry.path[:-1], name.removeprefix(_WHITEOUT))
                self._entries.pop(hidden, None)
                self._hide_below(hidden)
        for entry in placed:
            if entry.path[0] == ROOT and not entry.path[-1].startswith(_WHITEOUT):
                self._put(entry)

    @property
    def entries(self) -> dict[str, tuple[Member, T]]:
        """All that is not a directory, by path below `/models`, which itself is "." when it is not a directory."""
        return {str(PurePosixPath(*path[1:])): entry for path, entry in self._entries.items()}

    def _put(self, entry: _Placed[T]) -> None:
        if entry.member.kind == DIRECTORY:  # its content lies on that of the directory below; anything else it replaces
            self._entries.pop(entry.path, None)
            return
        self._hide_below(entry.path)
        self._entries[entry.path] = (entry.member, entry.value)
        self._parents.update(entry.path[:length] for length in range(1, len(entry.path)))

    def _hide_below(self, directory: tuple[str, ...]) -> None:
        if directory in self._parents or not directory:
            depth = len(directory)
            for path in [path for path in self._entries if path[:depth] == directory and len(path) > depth]:
                del self._entries[path]


def _path(name: str, what: str) -> tuple[str, ...]:
    """The parts of a name; none for the root itself.

    Raises:
        UnsafeContent: One of them is `..`.
    """
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeContent(f"{what} has the name {name!a}, which may lead out of the image")
    return parts
