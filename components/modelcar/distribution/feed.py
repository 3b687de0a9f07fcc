"""One pass over a blob, whose last bytes can be had again: what an upload goes on with where it broke off.

A digest is made from the first byte to the last, so a source is not asked for the same bytes twice in a pass. What was
read last, and may have been lost on the way, is kept instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from modelcar.distribution.upload import Blob
from modelcar.errors import DistributionError

WINDOW_BYTES = 8 << 20
"""What is kept. Between a cut and what a registry has of it lie the buffers of two sockets, some MiB."""


class Feed:
    """One pass.

    Attributes:
        size_bytes: Of the blob.
        taken: How many bytes have been read of it.
    """

    def __init__(self, blob: Blob, window_bytes: int = WINDOW_BYTES) -> None:
        """Begin a pass; nothing is read yet.

        Args:
            blob: What is read.
            window_bytes: How many of the last bytes are kept at least, 1 or more; the last block is kept whole.
        """
        self.size_bytes, self.taken = len(blob), 0
        self._blocks, self._window_bytes = iter(blob), window_bytes
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0

    def reaches(self, start: int) -> bool:
        """Whether the pass can go on from there."""
        return self.taken - self._kept_bytes <= start <= self.taken

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`; fewer where the blob ends before.

        Raises:
            DistributionError: Retryable; those bytes are gone.
            PromotionError: What reading the blob raised.
        """
        if not self.reaches(start):
            raise DistributionError("the registry asked once more for what it had been sent", retryable=True)
        at = self.taken - self._kept_bytes
        for block in tuple(self._kept):
            if part := block[max(0, start - at) : max(0, stop - at)]:
                yield part
            at += len(block)
        while self.taken < stop and (fresh := next(self._blocks, None)) is not None:
            at = self.taken
            self._keep(fresh)
            yield fresh[: stop - at]

    def finish(self) -> None:
        """Let the pass come to its end: a stream knows its digest when it is asked for a block that is not there."""
        for block in self._blocks:
            self._keep(block)

    def _keep(self, block: bytes) -> None:
        self._kept.append(block)
        self._kept_bytes += len(block)
        self.taken += len(block)
        while self._kept_bytes - len(self._kept[0]) >= self._window_bytes:
            self._kept_bytes -= len(self._kept.popleft())


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
