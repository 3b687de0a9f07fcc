"""Whether a layer is another than one that is stored, told by a few samples of both.

Bytes that differ prove it. Bytes that are the same prove nothing: a model that was trained anew differs almost
everywhere, but of one in which some tensors changed the samples may miss them.
"""

from __future__ import annotations

from collections.abc import Callable

from modelcar.image.layer import LayerStream

SAMPLES = 8
SAMPLE_BYTES = 1 << 14
"""What comes in one round trip, or hardly more."""
LEAST_BYTES = 1 << 28
"""Eight samples of a layer that did not change take eight round trips to the registry, some tenths of a second. A
smaller layer is hashed in that time."""


def is_another(layer: LayerStream, read: Callable[[int, int], bytes | None]) -> bool:
    """Compare some of a layer with the same places of one that is stored and has the same length.

    Args:
        layer: What is at the source.
        read: Gives the stored layer's bytes from an offset up to another, or None where they cannot be had.

    Returns:
        True where a byte differs. False where none of those that were compared does, where they cannot be, and for a
        layer that is sooner hashed.

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
