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
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from modelcar.errors import ContentMismatch, PromotionError
from modelcar.jobs import Cancelled, wait_unless
from modelcar.reference import Digest
from modelcar.retry import Attempts
from modelcar.snapshot import ModelFile

ROOT = "models"
"""Where a ModelCar keeps its files, below the image's root."""

MAX_GIT_BLOB_BYTES = 16 << 20
"""Files up to this size get their git blob id computed: a Hub keeps larger ones as LFS objects, known by sha256."""

_BLOCK = 512
_TRAILER = bytes(2 * _BLOCK)

OpenFile = Callable[[ModelFile, int], AbstractContextManager[Iterator[bytes]]]


class FileCheck(Protocol):
    """Looks at a file's bytes as they pass."""

    @property
    def is_pickle(self) -> bool:
        """Whether the content is a pickle, one that was allowed; known after `finish`."""

    def update(self, block: bytes, /) -> None:
        """Take the next block; raises UnsafeContent to stop the push."""

    def finish(self) -> None:
        """Called after the last block; raises UnsafeContent or ContentMismatch to stop the push."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What one file of a layer holds, always computed here from the bytes.

    Attributes:
        path: Relative to `/models`.
        size_bytes: Length of the content.
        sha256: Of the content.
        git_blob_id: As git names it, for files up to `MAX_GIT_BLOB_BYTES`; None above.
        is_pickle: Whether the content is a pickle: whoever allowed it once has not allowed it for ever.
    """

    path: str
    size_bytes: int
    sha256: Digest
    git_blob_id: str | None
    is_pickle: bool = False


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
        return headers + entries + len(_TRAILER)

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
        bytes_read: Bytes taken from the source, over all passes.
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

    def _blocks(self, contents: list[FileContent]) -> Iterator[bytes]:
        for path in self.plan.directories:
            yield directory_header(path)
        for file in self.plan.files:
            yield file_header(file.path, file.size_bytes)
            yield from self._content(file, contents)
            if padding := padded(file.size_bytes) - file.size_bytes:
                yield bytes(padding)
        yield _TRAILER

    def _content(self, file: ModelFile, contents: list[FileContent]) -> Iterator[bytes]:
        stream = FileStream(file, self._open_file, self._check_file(file), self._cancelled)
        for block in stream:
            self.bytes_read += len(block)
            yield block
        contents.append(stream.content)


class FileStream:
    """One file's bytes, read from the source when iterated, once, and checked while they pass.

    A retryable failure of the source is answered by opening the file again where it broke off. What somebody has
    already of its beginning is passed over first and need not be read, but is checked like the rest.
    """

    def __init__(self, file: ModelFile, open_file: OpenFile, check: FileCheck, cancelled: threading.Event) -> None:
        self._file, self._open_file, self._check, self._cancelled = file, open_file, check, cancelled
        self._sha256, self._blob = hashlib.sha256(), _git_blob(file)
        self._offset = 0
        self._content: FileContent | None = None

    @property
    def content(self) -> FileContent:
        """What the file holds; known when all of it has passed, was complete and was what the source published."""
        if self._content is None:
            raise ValueError(f"{self._file.path} has not passed")
        return self._content

    def pass_over(self, block: bytes) -> None:
        """Take the next bytes of the file's beginning from somewhere else.

        Raises:
            UnsafeContent: The file must not go into an image.
        """
        self._offset += len(block)
        self._update(block)

    def __iter__(self) -> Iterator[bytes]:
        for block in self._read():
            self._update(block)
            yield block
        self._check.finish()
        digest, blob_id = Digest(self._sha256.hexdigest()), self._blob.hexdigest() if self._blob is not None else None
        _compare(self._file, digest, blob_id)
        size_bytes = self._file.size_bytes
        named = blob_id if size_bytes <= MAX_GIT_BLOB_BYTES else None
        self._content = FileContent(self._file.path, size_bytes, digest, named, is_pickle=self._check.is_pickle)

    def _update(self, block: bytes) -> None:
        self._sha256.update(block)
        if self._blob is not None:
            self._blob.update(block)
        self._check.update(block)

    def _read(self) -> Iterator[bytes]:
        """The rest, up to exactly `size_bytes`; what breaks in between is opened again where it broke off."""
        attempts, size_bytes = Attempts(wait=wait_unless(self._cancelled)), self._file.size_bytes
        while True:
            try:
                with self._open_file(self._file, self._offset) as blocks:
                    for block in blocks:
                        self._stop_if_cancelled()
                        attempts.succeeded()
                        self._offset += len(block)
                        if self._offset > size_bytes:
                            break
                        yield block
            except PromotionError as error:
                _wait_or_give_up(attempts, error)
            else:
                if self._offset == size_bytes:
                    return
                raise ContentMismatch(
                    f"{self._file.path} has {'more than' if self._offset > size_bytes else 'only'} "
                    f"{min(self._offset, size_bytes)} bytes, but {size_bytes} were published"
                )

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled


def _wait_or_give_up(attempts: Attempts, error: PromotionError) -> None:
    try:
        attempts.failed(error)
    except PromotionError:
        # The source had all its attempts here. Whoever sends the layer must not begin the whole pass anew for it.
        error.retryable = False
        raise


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


def _git_blob(file: ModelFile) -> hashlib._Hash | None:
    """A hash that ends in git's name of the blob. Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    if file.size_bytes > MAX_GIT_BLOB_BYTES and (file.git_blob_id is None or file.sha256 is not None):
        return None
    return hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)


def _compare(file: ModelFile, digest: Digest, blob_id: str | None) -> None:
    """Hold what arrived against what the source published.

    Raises:
        ContentMismatch: A digest differs.
    """
    if file.sha256 not in (None, digest):
        arrived, published = str(digest), str(file.sha256)
    elif file.git_blob_id is not None and blob_id not in (None, file.git_blob_id):
        arrived, published = f"git blob {blob_id}", f"git blob {file.git_blob_id}"
    else:
        return
    raise ContentMismatch(
        f"{file.path} arrived as {arrived}, but the source published {published}",
        hint="Nothing was published. Run it again; if it stays so, the source or a proxy before it is damaged.",
    )
