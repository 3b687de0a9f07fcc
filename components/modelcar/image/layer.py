"""Deterministic tar layers, produced while they are read: no copy is kept.

A layer's bytes depend on the paths and contents of its files only: GNU tar headers with fixed owner, mode and time,
in the order given, each file padded to 512 bytes, and two zero blocks at the end. A plain tar's digest is its diff ID.

Source: https://github.com/opencontainers/image-spec/blob/main/layer.md (layers are tar archives),
https://www.gnu.org/software/tar/manual/html_node/Standard.html (blocks, base-256 sizes, long names). GNU format,
because scanners stumble over the PAX headers that files of 8 GiB and more would get.
"""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from modelcar.image.content import FileCheck, FileContent, FileStream, OpenFile, read_on
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile

ROOT = "models"
"""Where a ModelCar keeps its files, below the image's root."""

_BLOCK = 512
TRAILER = bytes(2 * _BLOCK)
"""The end of a tar."""


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer before any byte is read.

    Attributes:
        directories: Directory entries, relative to `/models`; "" is `/models` itself.
        files: Files, in the order in which they stand in the tar.
    """

    files: tuple[ModelFile, ...] = ()
    directories: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Exact size of the tar, known before the first byte is read."""
        headers = sum(len(directory_header(path)) for path in self.directories)
        entries = sum(len(file_header(f.path, f.size_bytes)) + padded(f.size_bytes) for f in self.files)
        return headers + entries + len(TRAILER)

    @property
    def title(self) -> str:
        """A few words for people: the file's path, or how many there are."""
        return title_of([file.path for file in self.files])


def title_of(paths: Sequence[str]) -> str:
    """What people call a layer with these files."""
    if not paths:
        return "directories"
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


class LayerStream:
    """One layer's bytes, read from the source when iterated; may be iterated again, and then begins anew.

    While a pass runs, each file's size, digests and content are checked against what the source published. A
    retryable failure of the source is answered by opening the file again where it broke off.

    Attributes:
        plan: What is read.
        digest: Of the tar; set when a pass is complete, None before.
        contents: One per file, in order; complete when `digest` is set.
        bytes_read: Bytes of files taken from the source, over all passes and whatever else was read of it.
    """

    def __init__(
        self,
        plan: LayerPlan,
        open_file: OpenFile,
        check_file: Callable[[ModelFile], FileCheck],
        *,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.plan = plan
        self.digest: Digest | None = None
        self.contents: tuple[FileContent, ...] = ()
        self.bytes_read = 0
        self._open_file = open_file
        self._check_file = check_file
        self._cancelled = cancelled or threading.Event()
        self._size_bytes = plan.size_bytes

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        self.digest, self.contents = None, ()
        tar = hashlib.sha256()
        contents: list[FileContent] = []
        for block in self._blocks(contents):
            tar.update(block)
            yield block
        self.contents = tuple(contents)
        self.digest = Digest(tar.hexdigest())

    def drain(self) -> Digest:
        """Read everything once for its digest only."""
        for _ in self:
            pass
        if self.digest is None:  # pragma: no cover - a complete pass sets it
            raise AssertionError(self.plan.title)
        return self.digest

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """Some of the layer once more, for whoever lost it: from `start` up to `stop`, neither checked nor hashed.

        A pass may be under way; it does not notice. What breaks off is read on, as in a pass.

        Raises:
            PromotionError: Of the source, after all attempts; not retryable then.
            Cancelled: The others are not at work any more.
        """
        end = 0
        for size_bytes, read in self._pieces():
            begin, end = end, end + size_bytes
            if begin >= stop:
                return
            first, last = max(start, begin), min(stop, end)
            if first < last:
                yield from read(first - begin, last - begin)

    def _pieces(self) -> Iterator[tuple[int, Callable[[int, int], Iterator[bytes]]]]:
        """What the layer is made of: the length of each piece, and how it is read from an offset up to another."""
        for path in self.plan.directories:
            yield _piece(directory_header(path))
        for file in self.plan.files:
            yield _piece(file_header(file.path, file.size_bytes))
            yield file.size_bytes, partial(self._reread, file)
            yield _piece(bytes(padded(file.size_bytes) - file.size_bytes))
        yield _piece(TRAILER)

    def _reread(self, file: ModelFile, start: int, stop: int) -> Iterator[bytes]:
        for block in _cut(read_on(file, start, self._open_file, self._cancelled), stop - start):
            self.bytes_read += len(block)
            yield block

    def _blocks(self, contents: list[FileContent]) -> Iterator[bytes]:
        for path in self.plan.directories:
            yield directory_header(path)
        for file in self.plan.files:
            yield file_header(file.path, file.size_bytes)
            yield from self._content(file, contents)
            if padding := padded(file.size_bytes) - file.size_bytes:
                yield bytes(padding)
        yield TRAILER

    def _content(self, file: ModelFile, contents: list[FileContent]) -> Iterator[bytes]:
        stream = FileStream(file, self._open_file, self._check_file(file), self._cancelled)
        for block in stream:
            self.bytes_read += len(block)
            yield block
        contents.append(stream.content)


def _piece(content: bytes) -> tuple[int, Callable[[int, int], Iterator[bytes]]]:
    return len(content), lambda start, stop: iter([content[start:stop]])


def _cut(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The first `count` bytes of the blocks, in blocks of which none is empty."""
    for block in blocks:
        if part := block[:count]:
            yield part
        count -= len(part)
        if not count:
            return


def file_header(path: str, size_bytes: int) -> bytes:
    """The tar header of a file below `/models`: 512 bytes, or 1536 with a name over 100 bytes.

    Raises:
        UnicodeEncodeError: The path has surrogates; sources refuse such names.
    """
    return _header(f"{ROOT}/{path}", size_bytes, tarfile.REGTYPE, 0o664)


def directory_header(path: str) -> bytes:
    """The tar header of a directory below `/models`; "" is `/models` itself."""
    return _header(f"{ROOT}/{path}".rstrip("/"), 0, tarfile.DIRTYPE, 0o775)


def _header(name: str, size_bytes: int, kind: bytes, mode: int) -> bytes:
    info = tarfile.TarInfo(name)
    # uid and gid 0 and no time are what TarInfo begins with. Group 0 may write, because OpenShift runs a pod as an
    # arbitrary user of group 0: https://docs.openshift.com/container-platform/latest/openshift_images/create-images.html
    info.size, info.type, info.mode = size_bytes, kind, mode
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def padded(size_bytes: int) -> int:
    """What a file's content takes up in a tar: whole blocks."""
    return -(-size_bytes // _BLOCK) * _BLOCK
