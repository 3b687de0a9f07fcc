"""Download a model into a directory, such as the volume that the steps of a pipeline share.

Afterwards the directory holds exactly the files of the snapshot (and `.modelcar`, see `modelcar.workspace.state`), so
that an image built from `file://` it, with the same patterns, is the image that is built straight from the source.

It can be killed anywhere and run again. A file is under way in a part; the part's bytes are hashed before the rest is
asked for from where they end. A file that was put in place is known by its size and time, and is neither read from the
source nor hashed again while these fit. What earlier downloads put there and the snapshot lacks is removed; what
somebody else put there is refused, and never removed.

Deviation: a file without published digests, as those of `file://`, cannot be known again, and is always read anew.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

from modelcar.errors import ContentMismatch, UnsafeContent
from modelcar.image.content import FileContent, FileStream
from modelcar.jobs import Cancelled, run_jobs
from modelcar.progress import Progress, Silence
from modelcar.snapshot import ModelFile, ModelSnapshot, Source
from modelcar.sources.content import ModelCheck
from modelcar.sources.directory import PASSED_OVER
from modelcar.workspace.inventory import can_be_known, take_inventory
from modelcar.workspace.room import Room
from modelcar.workspace.state import Finished, State, claim

CONCURRENCY = 4
BLOCK_BYTES = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A model in a directory.

    Attributes:
        directory: Absolute; holds the snapshot's files and nothing else but `.modelcar`.
        snapshot: What was downloaded.
        bytes_read: Taken from the source, second attempts included.
        bytes_reused: Of the model, that were in the directory before and were right.
        seconds: From the first look at the directory to the last file in place.
    """

    directory: Path
    snapshot: ModelSnapshot
    bytes_read: int
    bytes_reused: int
    seconds: float


def download(
    snapshot: ModelSnapshot,
    source: Source,
    directory: Path,
    *,
    allow_pickle: Sequence[str] = (),
    concurrency: int = CONCURRENCY,
    progress: Progress | None = None,
) -> Downloaded:
    """Bring a model into a directory, checked while its bytes pass, and close the source.

    Memory is bounded by a few blocks for each file under way, not by the files' sizes.

    Args:
        snapshot: What to download.
        source: Where the snapshot comes from.
        directory: Made when it is not there; else it must be empty, or one that was downloaded into before.
        allow_pickle: Patterns of pickle files that are wanted all the same.
        concurrency: Files that move at once, at least 1.
        progress: Told of each file as of a layer; None tells nobody.

    Raises:
        InvalidInput: The directory is somebody else's, or has files that are, or may not be written.
        WorkspaceError: It has not enough room, another download into it is at work, or the file system fails.
        ContentMismatch: The bytes are not what the source published.
        UnsafeContent: A check of the content failed, or a file has a name that the directory cannot hold.
        SourceError: The source failed too often.
    """
    started = time.monotonic()
    absolute = Path(os.path.abspath(directory))
    root, name = os.fsencode(absolute), str(absolute)
    _check_paths(snapshot)
    room, check = Room(root, name), ModelCheck(snapshot, allow_pickle)
    with closing(source), room.errors(), claim(root, name) as state:
        inventory = take_inventory(root, name, snapshot, state)
        room.check(inventory.needed_bytes, inventory.removed_bytes)
        state.begin()
        inventory.tidy()
        work = _Work(snapshot, source, root, state, room, check, progress or Silence())
        work.run(inventory.finished, concurrency)
        state.end()
    return Downloaded(absolute, snapshot, work.bytes_read, work.bytes_reused, time.monotonic() - started)


class _Work:
    """The files of one download, several at once; the first failure stops the others.

    Attributes:
        bytes_read: Taken from the source and written so far.
        bytes_reused: Of files and parts that were there and right.
    """

    def __init__(
        self,
        snapshot: ModelSnapshot,
        source: Source,
        root: bytes,
        state: State,
        room: Room,
        check: ModelCheck,
        progress: Progress,
    ) -> None:
        self.bytes_read = self.bytes_reused = 0
        self._snapshot, self._source, self._root = snapshot, source, root
        self._state, self._room, self._check, self._progress = state, room, check, progress
        self._cancelled = threading.Event()
        self._lock = threading.Lock()

    def run(self, finished: Mapping[str, Finished], concurrency: int) -> None:
        """Bring all files in place, and check them against each other."""
        self._state.write(finished)
        jobs = [
            partial(self._keep, key, file, finished[file.path])
            if file.path in finished
            else partial(self._fetch, key, file)
            for key, file in enumerate(self._snapshot.files)
        ]
        run_jobs(jobs, concurrency, self._cancelled)
        self._check.finish()

    def _keep(self, key: int, file: ModelFile, known: Finished) -> None:
        """A file that is in place and right."""
        self._check.glance(file, _read_file(self._location(file)), is_pickle=known.content.is_pickle)
        self._count(reused_bytes=file.size_bytes)
        self._progress.layer_finished(key, file.path, file.size_bytes, reused=True)

    def _fetch(self, key: int, file: ModelFile) -> None:
        """A file that is not there, or not all of it."""
        part, location = self._state.part(file), self._location(file)
        with FileIO(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+") as handle:
            content = self._receive(key, file, handle)
            os.fsync(handle.fileno())
        # Written down first: a file without a line in the record is taken for somebody else's.
        self._state.add(Finished(content, os.stat(part).st_mtime_ns))
        os.makedirs(os.path.dirname(location), exist_ok=True)
        os.replace(part, location)
        self._progress.layer_finished(key, file.path, file.size_bytes, reused=False)

    def _receive(self, key: int, file: ModelFile, handle: FileIO) -> FileContent:
        """All of the file: what is there of it and the rest, or all of it anew when that does not fit together.

        Raises:
            ContentMismatch: The source does not give what it published; nothing of it is kept.
        """
        there_bytes = os.fstat(handle.fileno()).st_size
        if there_bytes > file.size_bytes or not can_be_known(file):
            handle.truncate(0)
        elif there_bytes:
            try:
                return self._pass(key, file, handle)
            except ContentMismatch:
                handle.truncate(0)
                log.warning("what was there of %s is not what the source publishes; it is read anew", file.path)
        try:
            return self._pass(key, file, handle)
        except ContentMismatch:
            handle.truncate(0)
            raise

    def _pass(self, key: int, file: ModelFile, handle: FileIO) -> FileContent:
        """One go over the file: hash what is there, append the rest."""
        self._progress.layer_started(key, file.path, file.size_bytes)
        stream = FileStream(file, self._source.open, self._check.file(file), self._cancelled)
        handle.seek(0)
        while block := handle.read(BLOCK_BYTES):
            if self._cancelled.is_set():
                raise Cancelled
            stream.pass_over(block)
            self._progress.bytes_moved(key, len(block))
        there_bytes = handle.tell()
        for block in stream:
            _write(handle, block)
            self._count(read_bytes=len(block))
            self._progress.bytes_moved(key, len(block))
        self._count(reused_bytes=there_bytes)
        return stream.content

    def _location(self, file: ModelFile) -> bytes:
        return os.path.join(self._root, file.path.encode())

    def _count(self, *, read_bytes: int = 0, reused_bytes: int = 0) -> None:
        with self._lock:
            self.bytes_read += read_bytes
            self._room.needed_bytes -= read_bytes
            self.bytes_reused += reused_bytes


def _check_paths(snapshot: ModelSnapshot) -> None:
    """Refuse what would be passed over when an image is built from the directory.

    Raises:
        UnsafeContent: A file is where the directory's own things are.
    """
    for file in snapshot.files:
        if file.path.partition("/")[0].encode() in PASSED_OVER:
            raise UnsafeContent(
                f"{file.path} cannot be downloaded: what is there belongs to the directory, not to the model",
                hint="Leave it out (ignore).",
            )


def _read_file(location: bytes) -> Iterator[bytes]:
    """Its blocks; it is opened when the first is asked for."""
    with open(location, "rb", buffering=0) as handle:
        while block := handle.read(BLOCK_BYTES):
            yield block


def _write(handle: FileIO, block: bytes) -> None:
    """All of a block; a disk that is nearly full takes a part of it first."""
    rest = memoryview(block)
    while rest:
        rest = rest[handle.write(rest) :]
