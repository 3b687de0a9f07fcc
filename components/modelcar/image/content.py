"""One file on its way into a layer: read once, and checked and hashed while it passes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from modelcar.errors import ContentMismatch, PromotionError
from modelcar.jobs import Cancelled, wait_unless
from modelcar.reference import Digest
from modelcar.retry import Attempts
from modelcar.snapshot import ModelFile

MAX_GIT_BLOB_BYTES = 16 << 20
"""Files up to this size get their git blob id computed: a Hub keeps larger ones as LFS objects, known by sha256."""

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
        """The rest, up to exactly `size_bytes`."""
        size_bytes = self._file.size_bytes
        for block in read_on(self._file, self._offset, self._open_file, self._cancelled):
            self._offset += len(block)
            if self._offset > size_bytes:
                break
            yield block
        if self._offset != size_bytes:
            raise ContentMismatch(
                f"{self._file.path} has {'more than' if self._offset > size_bytes else 'only'} "
                f"{min(self._offset, size_bytes)} bytes, but {size_bytes} were published"
            )


def read_on(file: ModelFile, offset: int, open_file: OpenFile, cancelled: threading.Event) -> Iterator[bytes]:
    """A file's bytes from `offset` on, as the source gives them; what breaks off is opened again where it did.

    Args:
        file: Which.
        offset: First byte wanted.
        open_file: Opens it from an offset on.
        cancelled: Ends it at the next block, and any wait for the source.

    Raises:
        Cancelled: The event is set.
        PromotionError: Of the source, after all attempts; not retryable then.
    """
    attempts = Attempts(wait=wait_unless(cancelled))
    while True:
        try:
            with open_file(file, offset) as blocks:
                for block in blocks:
                    if cancelled.is_set():
                        raise Cancelled
                    attempts.succeeded()
                    offset += len(block)
                    yield block
        except PromotionError as error:
            attempts.failed_here(error)
        else:
            return


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
