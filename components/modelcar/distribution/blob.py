"""A blob of a repository, read to be sent elsewhere, or only in parts; what breaks off goes on where it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from modelcar.errors import ContentMismatch, DistributionError, PromotionError
from modelcar.forward import ForwardReader
from modelcar.reference import Digest
from modelcar.retry import Attempts

if TYPE_CHECKING:
    from modelcar.distribution.repository import Repository

LEAP_BYTES = 1 << 20
"""Gaps up to this size are read through: a new request costs about as much."""

Wait = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class BlobPart:
    """What a registry sends of a blob.

    Attributes:
        start: Where in the blob it begins.
        total_bytes: Size of the whole blob, None where the answer does not say.
        blocks: The bytes, to the end of what was asked for, or to the blob's end.
    """

    start: int
    total_bytes: int | None
    blocks: Iterator[bytes]


class StoredBlob:
    """A blob of known digest, read whole from its repository at each iteration, to be sent to another one.

    An iteration ends in ContentMismatch when the bytes do not have the size and the digest that were stated. By then
    they have passed, so whoever takes them has to know the digest, too.
    """

    def __init__(
        self, repository: Repository, digest: Digest, size_bytes: int, *, what: str, wait: Wait = time.sleep
    ) -> None:
        """Nothing is asked yet.

        Args:
            repository: Where it is.
            digest: As its manifest states it.
            size_bytes: As its manifest states it.
            what: It, for messages: `a layer of quay.io/team/model:1`.
            wait: Waits some seconds before another attempt, or none between blocks that are read through; may raise to
                end the work.
        """
        self.repository, self.digest, self.what = repository, digest, what
        self._size_bytes, self._wait = size_bytes, wait

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Generator[bytes, None, None]:
        sha256 = hashlib.sha256()
        with BlobReader(self) as reader:
            while block := reader.read_block():
                sha256.update(block)
                yield block
        if sha256.hexdigest() != self.digest.hex:
            raise self.mismatch()

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """Some of the blob once more, for whoever lost it: from `start` up to `stop`; not compared with the digest."""
        with BlobReader(self, start, stop) as reader:
            while block := reader.read_block():
                yield block

    def mismatch(self) -> ContentMismatch:
        """The error that says that it is not what its manifest says."""
        return ContentMismatch(
            f"{self.what} did not arrive as its manifest says: {self.digest}, {self._size_bytes} bytes",
            hint="Nothing was published. It is damaged where it is stored, or on its way.",
        )

    def wait(self, delay_s: float) -> None:
        """Wait between attempts."""
        self._wait(delay_s)


class BlobReader(ForwardReader):
    """Reads a blob forward, with leaps, by as few bytes of the network as the registry allows.

    A retryable failure is answered by asking for the rest. A registry that ignores ranges is read through instead, so
    the bytes are right in any case. Every method that reads raises ContentMismatch when the blob has another size than
    stated, and DistributionError when the registry failed too often, or does not have it.
    """

    def __init__(self, blob: StoredBlob, offset: int = 0, end: int | None = None) -> None:
        """Nothing is asked yet.

        Args:
            blob: What is read.
            offset: Where to begin.
            end: Where to stop, exclusive; None for the blob's end.
        """
        super().__init__(offset)
        self._blob, self._end = blob, len(blob) if end is None else end
        self._stream: Generator[bytes, None, None] | None = None
        self._has_ranges = True

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def skip_to(self, offset: int) -> None:
        """Go on at `offset`, which is not before `position`; what lies between is read only where that is cheaper."""
        if self._has_ranges and offset - self.position - len(self._buffer) > LEAP_BYTES:
            self.close()
            self._buffer, self.position = memoryview(b""), offset
        super().skip_to(offset)

    def _next(self) -> bytes:
        if self._stream is None:
            self._stream = self._blocks()
        return next(self._stream, b"")

    def close(self) -> None:
        """Close the connection; reading goes on with a new one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _blocks(self) -> Generator[bytes, None, None]:
        """From `position` to the end, in one answer or several."""
        attempts, position = Attempts(wait=self._blob.wait), self.position
        while (asked := position) < self._end:
            try:
                with closing(self._answer(position)) as blocks:
                    for block in blocks:
                        attempts.succeeded()
                        position += len(block)
                        yield block
            except PromotionError as error:
                attempts.failed_here(error)
            else:
                if position == asked:  # a part may be shorter than asked for, but not empty
                    raise self._blob.mismatch()

    def _answer(self, offset: int) -> Generator[bytes, None, None]:
        """What one request gives of the bytes from `offset` on, cut to the end."""
        whole = offset == 0 and self._end == len(self._blob)
        with self._blob.repository.open_part(self._blob.digest, offset, None if whole else self._end) as part:
            if part.start > offset or part.total_bytes not in (None, len(self._blob)):
                raise self._blob.mismatch()
            self._has_ranges &= part.start == offset
            yield from self._cut(part, offset)

    def _cut(self, part: BlobPart, offset: int) -> Iterator[bytes]:
        position = part.start
        for block in part.blocks:
            wanted = block[max(0, offset - position) : max(0, self._end - position)]
            position += len(block)
            if position > len(self._blob):
                raise self._blob.mismatch()
            if wanted:
                yield wanted
            else:
                self._blob.wait(0)  # whoever takes the bytes sees none of these, and may want to end
            if position >= self._end < len(self._blob):
                return


def read_part(response: requests.Response, blocks: Iterator[bytes], name: str) -> BlobPart:
    """Where an answer begins, and how long the blob is.

    Args:
        response: With status 200 or 206, its body unread.
        blocks: Its body.
        name: The repository, for messages.

    Raises:
        DistributionError: It is a part, and does not say which.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-content-range. Several ranges were not asked for.
    """
    if response.status_code == HTTPStatus.OK:
        length = response.headers.get("Content-Length", "")
        return BlobPart(0, int(length) if length.isdecimal() else None, blocks)
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    if not first.isdecimal():
        raise DistributionError(f"{name} sends a part of a blob and does not say which")
    return BlobPart(int(first), int(total) if total.isdecimal() else None, blocks)
