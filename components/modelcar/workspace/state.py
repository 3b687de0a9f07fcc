"""What a download keeps in its directory besides the model: a lock, a record of finished files, and parts of others.

All of it is in `.modelcar` at the directory's top, which `modelcar.sources.directory` passes over::

    .modelcar/
        lock              held while a download is at work; the kernel lets it go with the process
        finished.jsonl    a line for each file that was put in place, the last one for a path counts
        unfinished        there from the first change until the directory holds the whole model
        parts/            files under way, by a digest of their path and published content

A directory with a `.modelcar` in it was made, or found empty, by a download: only there are files removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from modelcar.errors import InvalidInput, PromotionError, WorkspaceError
from modelcar.image.content import FileContent
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile
from modelcar.sources.directory import LOST_AND_FOUND, UNFINISHED, WORKSPACE_STATE

PARTS = b"parts"


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that was put in place.

    Attributes:
        content: As computed while it arrived.
        mtime_ns: Of the file; with the size it tells whether somebody changed it since.
    """

    content: FileContent
    mtime_ns: int

    def fits(self, size_bytes: int, mtime_ns: int) -> bool:
        """Whether a file of this size and time is the one that was put in place."""
        return (self.content.size_bytes, self.mtime_ns) == (size_bytes, mtime_ns)

    def is_version(self, file: ModelFile) -> bool:
        """Whether it is what the source publishes now; False when the source publishes no digest."""
        content = self.content
        if file.sha256 is not None:
            return (content.size_bytes, content.sha256) == (file.size_bytes, file.sha256)
        return file.git_blob_id is not None and content.git_blob_id == file.git_blob_id


class State:
    """The `.modelcar` of one directory, while its lock is held."""

    def __init__(self, root: bytes) -> None:
        """Use `claim`; it takes the lock."""
        self._directory = os.path.join(root, WORKSPACE_STATE)
        self._record = os.path.join(self._directory, b"finished.jsonl")
        self._parts = os.path.join(self._directory, PARTS)
        self._unfinished = os.path.join(self._directory, UNFINISHED)
        self._lock = threading.Lock()

    def part(self, file: ModelFile) -> bytes:
        """Where a file is while it is under way; another one for other content of the same path."""
        what = json.dumps([file.path, file.size_bytes, str(file.sha256), file.git_blob_id])
        return os.path.join(self._parts, hashlib.sha256(what.encode()).hexdigest().encode() + b".part")

    def parts(self) -> list[bytes]:
        """All that are there."""
        return [os.path.join(self._parts, name) for name in os.listdir(self._parts)]

    def begin(self) -> None:
        """From now on the directory may hold half a model, which nobody should build from."""
        with open(self._unfinished, "wb") as mark:
            os.fsync(mark.fileno())

    def end(self) -> None:
        """The directory holds the whole model."""
        os.remove(self._unfinished)

    def read(self) -> dict[str, Finished]:
        """The record, by path; what a killed download left of its last line is passed over."""
        finished: dict[str, Finished] = {}
        with suppress(FileNotFoundError), open(self._record, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with suppress(ValueError, KeyError, TypeError, PromotionError):
                    entry = _parse(json.loads(line))
                    finished[entry.content.path] = entry
        return finished

    def write(self, finished: Mapping[str, Finished]) -> None:
        """Put a new record in the place of the old one."""
        fresh = self._record + b".new"
        with open(fresh, "w", encoding="utf-8") as lines:
            lines.writelines(_format(entry) for entry in finished.values())
            lines.flush()
            os.fsync(lines.fileno())
        os.replace(fresh, self._record)

    def add(self, entry: Finished) -> None:
        """Write down a file just before it is put in place; several threads may."""
        with self._lock, open(self._record, "a", encoding="utf-8") as lines:
            lines.write(_format(entry))
            lines.flush()
            os.fsync(lines.fileno())


@contextmanager
def claim(root: bytes, name: str) -> Iterator[State]:
    """Make a directory, or take one that is empty or was downloaded into before, and hold its lock.

    Args:
        root: The directory; parents are made.
        name: Its name for messages.

    Raises:
        InvalidInput: It is no directory, or one that is not empty and was not made by a download.
        WorkspaceError: Another download into it is at work.
        OSError: The file system refuses.
    """
    directory = os.path.join(root, WORKSPACE_STATE)
    if not (os.path.isdir(directory) and not os.path.islink(directory)):
        _check_empty(root, name)
    os.makedirs(os.path.join(directory, PARTS), exist_ok=True)
    with open(os.path.join(directory, b"lock"), "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkspaceError(
                f"another download into {name} is at work", hint="Wait until it has ended, or stop it."
            ) from None
        yield State(root)


def _check_empty(root: bytes, name: str) -> None:
    """Let nothing be taken for ours that is not.

    Raises:
        InvalidInput: There is something in the directory already, or it is none.
    """
    try:
        present = set(os.listdir(root)) - {LOST_AND_FOUND}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InvalidInput(
            f"{name} is not a directory", hint="Name a directory, or one that is not there yet."
        ) from None
    if present:
        raise InvalidInput(
            f"{name} is not empty, and was not made by a download",
            hint="Name an empty directory, or one that is not there yet.",
        )


def _format(entry: Finished) -> str:
    content = entry.content
    value = {
        "path": content.path,
        "size_bytes": content.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "sha256": content.sha256.hex,
        "git_blob_id": content.git_blob_id,
        "is_pickle": content.is_pickle,
    }
    return json.dumps(value) + "\n"


def _parse(value: Any) -> Finished:
    content = FileContent(
        value["path"], value["size_bytes"], Digest(value["sha256"]), value["git_blob_id"], is_pickle=value["is_pickle"]
    )
    return Finished(content, value["mtime_ns"])
