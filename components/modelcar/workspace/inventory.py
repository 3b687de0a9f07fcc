"""What is in a workspace before a download: what is right, what can be of use, and what has to go."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from modelcar.errors import InvalidInput
from modelcar.snapshot import ModelFile, ModelSnapshot
from modelcar.sources.directory import Entry, list_directory
from modelcar.workspace.state import Finished, State


@dataclass(frozen=True, slots=True)
class Inventory:
    """The outcome; nothing is changed before `tidy`.

    Attributes:
        root: The directory.
        finished: Files of the snapshot that are in place and right, by path.
        doubtful: Files in place of which only hashing tells whether they are right, and the parts that they become.
        surplus: Files of ours that the snapshot does not have, or has in another version.
        stale_parts: Parts of such files.
        needed_bytes: Still to be written.
        removed_bytes: Of the surplus and the stale parts.
    """

    root: bytes
    finished: Mapping[str, Finished]
    doubtful: Mapping[bytes, bytes]
    surplus: Sequence[bytes]
    stale_parts: Sequence[bytes]
    needed_bytes: int
    removed_bytes: int

    def tidy(self) -> None:
        """Remove the surplus, and take doubtful files back to where they are under way."""
        for location in self.surplus:
            os.remove(location)
            self._remove_empty(os.path.dirname(location))
        for part in self.stale_parts:
            os.remove(part)
        for location, part in self.doubtful.items():
            os.replace(location, part)

    def _remove_empty(self, directory: bytes) -> None:
        with suppress(OSError):  # the first that is not empty
            while directory != self.root:
                os.rmdir(directory)
                directory = os.path.dirname(directory)


def take_inventory(root: bytes, name: str, snapshot: ModelSnapshot, state: State) -> Inventory:
    """Hold what is there against the record and the snapshot.

    Args:
        root: The directory.
        name: Its name for messages.
        snapshot: What is wanted.
        state: What earlier downloads kept.

    Raises:
        InvalidInput: There is something that no download put there.
    """
    record, listing = state.read(), list_directory(root)
    wanted = {file.path: file for file in snapshot.files}
    for fault in listing.faults:
        raise _stranger(name, fault.path)
    finished: dict[str, Finished] = {}
    doubtful: dict[bytes, bytes] = {}
    surplus: list[bytes] = []
    for entry in listing.entries:
        file, known = wanted.get(entry.path), record.get(entry.path)
        fits = known is not None and known.fits(entry.size_bytes, entry.mtime_ns)
        if file is None and not _is_ours(entry, known):
            raise _stranger(name, entry.path)
        if file is not None and known is not None and fits and known.is_version(file):
            finished[entry.path] = known
        elif file is not None and not fits and can_be_known(file):
            doubtful[entry.location] = state.part(file)
        else:
            surplus.append(entry.location)
    missing = [file for file in snapshot.files if file.path not in finished]
    of_use = {state.part(file) for file in missing if can_be_known(file)}
    stale = [part for part in state.parts() if part not in of_use]
    needed_bytes, removed_bytes = _needed_bytes(missing, doubtful, state), _size_bytes([*surplus, *stale])
    return Inventory(root, finished, doubtful, surplus, stale, needed_bytes, removed_bytes)


def _is_ours(entry: Entry, known: Finished | None) -> bool:
    """Whether a file is as a download left it: by its time, or else by its content."""
    if known is None or known.fits(entry.size_bytes, entry.mtime_ns):
        return known is not None
    if known.content.size_bytes != entry.size_bytes:
        return False
    with open(entry.location, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == known.content.sha256.hex


def can_be_known(file: ModelFile) -> bool:
    """Whether the source says what is in a file, so that what is there of it can be of use."""
    return file.sha256 is not None or file.git_blob_id is not None


def _needed_bytes(missing: Sequence[ModelFile], doubtful: Mapping[bytes, bytes], state: State) -> int:
    """What will be written: the sizes, less what is there of each."""
    there = {part: os.path.getsize(location) for location, part in doubtful.items()}
    for part in state.parts():
        there.setdefault(part, os.path.getsize(part))
    return sum(max(0, f.size_bytes - there.get(state.part(f), 0) * can_be_known(f)) for f in missing)


def _size_bytes(locations: Sequence[bytes]) -> int:
    return sum(map(os.path.getsize, locations))


def _stranger(name: str, path: str) -> InvalidInput:
    shown = path if path.isprintable() else ascii(path)
    return InvalidInput(
        f"{name} has {shown} in it, which no download put there", hint="Move it elsewhere, or name another directory."
    )
