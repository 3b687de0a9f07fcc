"""Models in a directory of this machine: `file:///dir`, also a mounted volume or a snapshot in a Hub cache."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from urllib.parse import quote, unquote_to_bytes

from modelcar.errors import (
    ContentMismatch,
    InvalidReference,
    SourceAccessDenied,
    SourceError,
    SourceNotFound,
)
from modelcar.snapshot import LeftOut, ModelFile, ModelSnapshot
from modelcar.sources.directory import UNFINISHED, WORKSPACE_STATE, Entry, Listing, list_directory
from modelcar.sources.patterns import Patterns, utf8_order

SCHEME = "file://"
BLOCK_BYTES = 256 << 10
"""Four layers at once, hashed twice and sent, stay in the caches of two cores (measured: a twentieth of a push)."""


class LocalSource:
    """A directory. Its files have no published digests, and it has no commits."""

    def __init__(self, uri: str, patterns: Patterns) -> None:
        """Read the URI; the directory is not touched before `snapshot`.

        Args:
            uri: `file://` and an absolute path, percent-encoded where needed.
            patterns: Which files to take.

        Raises:
            InvalidReference: The path is not absolute, or there is a host in front of it.
        """
        self._root = _parse(uri)
        self._where = SCHEME + os.fsdecode(self._root)
        self._uri = SCHEME + quote(self._root)
        self._patterns = patterns
        self._entries: dict[str, Entry] | None = None

    def snapshot(self) -> ModelSnapshot:
        """List the directory.

        Raises:
            SourceNotFound: No such directory, or no file in it is left after the patterns.
            SourceAccessDenied: Something in it cannot be read.
            UnsafeContent: A link, socket or name that cannot go into an image, or a pickle.
            InvalidReference: It is a whole Hub cache and not one snapshot.
            SourceError: A download into it is not finished.
        """
        self._look()
        listing = list_directory(self._root)
        ignored = self._raise_faults(listing)
        found = [ModelFile(entry.path, entry.size_bytes) for entry in listing.entries]
        files, left_out = self._patterns.select(found, self._where)
        self._entries = {entry.path: entry for entry in listing.entries}
        return ModelSnapshot(self._uri, None, None, files, tuple(sorted((*left_out, *ignored), key=utf8_order)))

    @contextmanager
    def open(self, file: ModelFile, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """Read a file from `offset` to its end; see `modelcar.snapshot.Source`."""
        if self._entries is None:
            self.snapshot()
        entry = (self._entries or {}).get(file.path)
        if entry is None:
            raise SourceNotFound(f"{self._where}/{file.path} is not there any more")
        if entry.size_bytes != file.size_bytes:
            raise _changed(entry)
        with _open(entry) as handle:
            # Bigger reads ahead: a third more from a cold disk, measured.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(handle.fileno(), offset, 0, os.POSIX_FADV_SEQUENTIAL)
            handle.seek(offset)
            yield _blocks(handle, entry, file.size_bytes - offset)

    @property
    def can_be_sampled(self) -> bool:
        """A file is opened anywhere; see `modelcar.snapshot.Source`."""
        return True

    def close(self) -> None:
        """Nothing is read ahead or kept open; see `modelcar.snapshot.Source`."""

    def _look(self) -> None:
        """Hold the root against what it may be.

        Raises:
            PromotionError: See `snapshot`.
        """
        try:
            mode = os.stat(self._root).st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise SourceNotFound(
                f"there is no directory {self._where}",
                hint="It must be there where this runs: this machine, or this pod.",
            ) from None
        except OSError as error:
            raise SourceAccessDenied(f"{self._where} cannot be read: {error.strerror}") from error
        if not stat.S_ISDIR(mode):
            raise SourceNotFound(f"{self._where} is not a directory", hint="Name the directory that holds the file.")
        inside = [os.path.join(self._root, name) for name in (b"blobs", b"snapshots")]
        if all(os.path.isdir(path) for path in inside):
            raise InvalidReference(
                f"{self._where} is a Hub cache with all its snapshots",
                hint=f"Name one of them: {self._where}/snapshots/COMMIT.",
            )
        if os.path.exists(os.path.join(self._root, WORKSPACE_STATE, UNFINISHED)):
            raise SourceError(
                f"the download into {self._where} is not finished", hint="Run it again; it goes on where it stopped."
            )

    def _raise_faults(self, listing: Listing) -> list[LeftOut]:
        """Raise the first thing that is in the way, unless the patterns leave it out; returns those."""
        ignored = []
        for fault in sorted(listing.faults, key=lambda fault: os.fsencode(fault.path)):
            # Nobody knows what is below a directory that cannot be read, so "not in allow" does not cover it.
            if fault.is_directory:
                reason = self._patterns.reason_to_ignore(fault.path, f"{fault.path}/")
            else:
                reason = self._patterns.reason_against(fault.path)
            if not reason:
                raise fault.error
            ignored.append(LeftOut(fault.path, 0, reason))
        return ignored


def _parse(uri: str) -> bytes:
    """The directory that a `file://` URI names."""
    written = os.fsencode(uri.removeprefix("file:").removeprefix("//").removeprefix("localhost"))
    path = unquote_to_bytes(written)
    if not uri.startswith(SCHEME) or not path.startswith(b"/") or b"\0" in path:
        absolute = os.path.abspath(written.replace(b"\0", b""))
        raise InvalidReference(
            f"{uri!r} does not name a directory by its absolute path", hint=f"Write {SCHEME}{os.fsdecode(absolute)}."
        )
    return path.rstrip(b"/") or b"/"


def _open(entry: Entry) -> FileIO:
    """Open a file without following a link or waiting for a pipe that took its place.

    Raises:
        SourceError: It cannot be opened, or is not the file that was listed.
    """
    try:
        descriptor = os.open(entry.location, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SourceNotFound(f"{entry.path} is not there any more") from None
    except PermissionError as error:
        raise SourceAccessDenied(f"{entry.path} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise SourceError(f"{entry.path} cannot be opened: {error.strerror}") from error
    handle = FileIO(descriptor)
    try:
        _compare(handle, entry)
    except ContentMismatch:
        handle.close()
        raise
    return handle


def _blocks(handle: FileIO, entry: Entry, left_bytes: int) -> Iterator[bytes]:
    """The rest of the file; each block is an object of its own, for it may wait in a send buffer."""
    while left_bytes > 0:
        try:
            block = handle.read(min(BLOCK_BYTES, left_bytes))
        except OSError as error:  # a network volume
            raise SourceError(f"{entry.path} cannot be read: {error.strerror}", retryable=True) from error
        if not block:
            break
        left_bytes -= len(block)
        yield block
    _compare(handle, entry)


def _compare(handle: FileIO, entry: Entry) -> None:
    """Hold an open file against what was listed.

    Raises:
        ContentMismatch: It is another one, or it was written to.
    """
    status = os.fstat(handle.fileno())
    now = (stat.S_ISREG(status.st_mode), status.st_size, status.st_mtime_ns)
    if now != (True, entry.size_bytes, entry.mtime_ns):
        raise _changed(entry)


def _changed(entry: Entry) -> ContentMismatch:
    return ContentMismatch(
        f"{entry.path} changed since it was listed",
        hint="Run it again when nothing writes to the directory any more.",
    )
