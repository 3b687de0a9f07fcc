"""One of our layers out of somebody else's hands, held against its annotation while it passes.

The annotation of a layer says what the layer holds, and whoever pushed the image may have written anything there. What
the layer has to be follows from it byte by byte, as in `modelcar.image.layer`: each header, each file's digests, the
padding and the end. So a layer that passes here whole has no links, whiteouts, names or files but those that it says.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Protocol

from modelcar.errors import ContentMismatch
from modelcar.forward import ForwardReader
from modelcar.image.content import FileCheck, FileContent, FileStream
from modelcar.image.layer import TRAILER, file_header, padded
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile


class _Blob(Protocol):
    """A layer as it is stored; each iteration reads it anew, and ends in an error where its digest is another."""

    @property
    def what(self) -> str: ...

    @property
    def digest(self) -> Digest: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Generator[bytes, None, None]: ...

    def again(self, start: int, stop: int) -> Iterator[bytes]: ...


class ProvenLayer:
    """The bytes of a stored layer, of which the last ones pass only when all of it is what its annotation says."""

    def __init__(
        self,
        blob: _Blob,
        contents: Sequence[FileContent],
        check_file: Callable[[ModelFile], FileCheck],
        cancelled: threading.Event,
    ) -> None:
        """Nothing is read yet.

        Args:
            blob: The layer.
            contents: What its annotation says that it holds.
            check_file: Begins a pass over one file, as for a layer that is made here.
            cancelled: Ends it between two blocks.
        """
        self._blob, self._contents = blob, contents
        self._check_file, self._cancelled = check_file, cancelled

    def __len__(self) -> int:
        return len(self._blob)

    @property
    def digest(self) -> Digest:
        """As its manifest states it; what passed whole had it."""
        return self._blob.digest

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """Some of what has passed once more, for whoever lost it; held against nothing."""
        return self._blob.again(start, stop)

    def __iter__(self) -> Iterator[bytes]:
        """Read it.

        Raises:
            ContentMismatch: It is another tar than its annotation says, or not what its manifest says.
            UnsafeContent: A file of it must not go into an image.
            PromotionError: What reading it raised.
        """
        with closing(iter(self._blob)) as blocks:
            yield from self._hold(_Blocks(blocks))

    def _hold(self, tar: _Blocks) -> Iterator[bytes]:
        for content in self._contents:
            path, size_bytes = content.path, content.size_bytes
            yield self._expect(tar, file_header(path, size_bytes), f"another header than that of {path}")
            yield from self._hold_file(tar, content)
            if padding := padded(size_bytes) - size_bytes:
                yield self._expect(tar, bytes(padding), f"something behind the end of {path}")
        trailer = self._expect(tar, TRAILER, "more than its files")
        tar.read(1)  # at its end the blob compares its digest
        yield trailer

    def _hold_file(self, tar: _Blocks, content: FileContent) -> Iterator[bytes]:
        # No digests are published for it: what differs here is not a source's fault, and is told otherwise.
        file = ModelFile(content.path, content.size_bytes)
        stream = FileStream(file, tar.open, self._check_file(file), self._cancelled)
        yield from stream
        if stream.content != content:
            raise self._mismatch(f"other content in {content.path}")

    def _expect(self, tar: _Blocks, expected: bytes, otherwise: str) -> bytes:
        if tar.read(len(expected)) != expected:
            raise self._mismatch(otherwise)
        return expected

    def _mismatch(self, found: str) -> ContentMismatch:
        return ContentMismatch(
            f"{self._blob.what} is not what its annotation says: it has {found}",
            hint="Nothing was tagged. Ask whoever pushed that image, or take the model from where it was published.",
        )


class _Blocks(ForwardReader):
    """A tar whose files are read one after the other."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks = blocks

    def _next(self) -> bytes:
        return next(self._blocks, b"")

    def open(self, file: ModelFile, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        """The next file; whoever reads the blob has made all attempts, so `offset` is 0."""
        return nullcontext(self._up_to(self.position + file.size_bytes - offset))

    def _up_to(self, end: int) -> Iterator[bytes]:
        while block := self.read_block(end - self.position):
            yield block
