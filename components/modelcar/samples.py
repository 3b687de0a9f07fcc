"""Whether a layer is another than one that is stored, told by a few samples of both.

Bytes that differ prove it: then the layer need not be hashed before it is sent. Bytes that are the same prove nothing.
A model that was trained anew differs almost everywhere; of one in which only some tensors changed, the samples may miss
them, and the layer is hashed first, as if nothing had been asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

SAMPLES = 8
SAMPLE_BYTES = 1 << 14
"""What comes in one round trip, or hardly more."""
LEAST_BYTES = 1 << 26
"""A layer below this is hashed sooner than the registry answers the questions."""


class Layer(Protocol):
    """What may be sent."""

    def __len__(self) -> int: ...

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """Its bytes from `start` up to `stop`."""
        ...


def differ(layer: Layer, read: Callable[[int, int], bytes | None]) -> bool:
    """Compare some of a layer with the same places of one that is stored and has the same length.

    Args:
        layer: What is at the source.
        read: Gives the stored layer's bytes from an offset up to another, or None where they cannot be had.

    Returns:
        True where a byte differs. False where none of those that were compared does, or where they cannot be.

    Raises:
        PromotionError: What reading the layer raised.
    """
    size_bytes = len(layer)
    if size_bytes < LEAST_BYTES:
        return False
    for number in range(SAMPLES):
        start = size_bytes * (2 * number + 1) // (2 * SAMPLES)
        stored = read(start, start + SAMPLE_BYTES)
        if stored is None:
            return False
        if stored != b"".join(layer.again(start, start + SAMPLE_BYTES)):
            return True
    return False
