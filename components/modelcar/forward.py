"""Bytes that can only be read forward."""

from __future__ import annotations

from abc import ABC, abstractmethod


class ForwardReader(ABC):
    """Reads exact counts from a source that gives blocks of its own sizes.

    Attributes:
        position: Of the next byte.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self._buffer = memoryview(b"")

    @abstractmethod
    def _next(self) -> bytes:
        """The bytes after what is buffered, which is nothing when this is called; empty at the end."""

    def read_block(self, most_bytes: int | None = None) -> bytes:
        """The next bytes, as many as come together, but at most `most_bytes`; empty at the end."""
        if most_bytes == 0:
            return b""
        self._fill()
        return self._take(len(self._buffer) if most_bytes is None else min(most_bytes, len(self._buffer)))

    def read(self, size_bytes: int) -> bytes:
        """Exactly so many bytes, fewer only at the end."""
        parts = []
        while size_bytes and self._fill():
            parts.append(self._take(min(size_bytes, len(self._buffer))))
            size_bytes -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip_to(self, offset: int) -> None:
        """Go on at `offset`, which is not before `position`; stops at the end."""
        while self.position < offset and self._fill():
            self._take(min(offset - self.position, len(self._buffer)))

    def _fill(self) -> bool:
        """Have something in the buffer; False at the end."""
        if not self._buffer:
            self._buffer = memoryview(self._next())
        return bool(self._buffer)

    def _take(self, size_bytes: int) -> bytes:
        taken, self._buffer = self._buffer[:size_bytes], self._buffer[size_bytes:]
        self.position += size_bytes
        whole = taken.obj
        return whole if isinstance(whole, bytes) and len(whole) == size_bytes else bytes(taken)
