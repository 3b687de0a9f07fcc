"""One pass over a blob that an upload can go on with where it broke off.

A digest is made from the first byte to the last, so the pass itself stands where it stands. What was read and got lost
on the way is read once more from the source, for the registry only; a pass of many GiB is not begun again for it. None
of it is kept in memory meanwhile, for bytes that are kept cost more than they save (measured: a twelfth of a push).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Protocol, runtime_checkable

from modelcar.distribution.upload import Blob
from modelcar.errors import DistributionError, PromotionError


@runtime_checkable
class Rereadable(Protocol):
    """A blob of which any part can be read once more while a pass over it rests."""

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, which the pass has had; neither checked nor hashed."""
        ...


class Feed:
    """One pass.

    Attributes:
        size_bytes: Of the blob.
        taken: How many bytes have been read of it.
        failure: What reading it raised, if it did: the fault of where it is read, whatever the error's class.
    """

    def __init__(self, blob: Blob) -> None:
        """Begin a pass; nothing is read yet."""
        self.size_bytes, self.taken = len(blob), 0
        self.failure: PromotionError | None = None
        self._blob, self._blocks = blob, self._noting(blob)
        self._last = b""

    def reaches(self, start: int) -> bool:
        """Whether the pass can go on from there."""
        return start <= self.taken and (isinstance(self._blob, Rereadable) or start >= self._rested)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`; fewer where the blob ends before.

        Raises:
            DistributionError: Retryable; what was read before cannot be had once more.
            PromotionError: What reading the blob raised; `failure` from then on.
        """
        if not self.reaches(start):
            raise DistributionError("the registry asked once more for what it had been sent", retryable=True)
        rested = self._rested
        if start < rested:
            yield from self._again(start, min(stop, rested))
        if part := self._last[max(0, start - rested) : max(0, stop - rested)]:
            yield part
        while self.taken < stop and (fresh := next(self._blocks, None)) is not None:
            at = self.taken
            self._take(fresh)
            yield fresh[: stop - at]

    def finish(self) -> None:
        """Let the pass come to its end: a stream knows its digest when it is asked for a block that is not there."""
        for block in self._blocks:
            self._take(block)

    def close(self) -> None:
        """End the pass: what a failed request leaves behind may hold it for long, and a connection with it."""
        self._blocks.close()

    @property
    def _rested(self) -> int:
        """Where the last block begins. It is kept, for a part may end in the middle of it."""
        return self.taken - len(self._last)

    def _take(self, block: bytes) -> None:
        self._last = block
        self.taken += len(block)

    def _again(self, start: int, stop: int) -> Iterator[bytes]:
        if not isinstance(self._blob, Rereadable):  # pragma: no cover - `reaches` has said no
            raise AssertionError(start)
        count = 0
        for block in self._noting(self._blob.again(start, stop)):
            count += len(block)
            yield block
        if count != stop - start:
            raise DistributionError("what got lost on the way cannot be read again", retryable=True)

    def whole(self) -> Iterator[bytes]:
        """All of the blob, in a pass of its own."""
        return self._noting(self._blob)

    def _noting(self, blocks: Iterable[bytes]) -> Generator[bytes]:
        try:
            yield from blocks
        except PromotionError as error:
            self.failure = error
            raise


class Whole:
    """All of a blob as the body of a request, read from its start for each attempt to send it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __len__(self) -> int:
        return self._feed.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        return self._feed.whole()


class Part:
    """Some of a pass as the body of a request that states its length."""

    def __init__(self, feed: Feed, start: int, stop: int) -> None:
        self._feed, self._start, self._stop = feed, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[bytes]:
        return self._feed.read(self._start, self._stop)


class UnstatedPart:
    """The same as the body of a request that does not: HTTP's chunked transfer coding says where it ends."""

    def __init__(self, feed: Feed, start: int, stop: int) -> None:
        self._part = Part(feed, start, stop)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._part)
