"""How files are packed into layers.

Packing depends on the sorted paths and on one size class, never on exact sizes or on what was pushed before, so that
one changed file changes one layer. At most `MAX_LAYERS` layers in all: older runtimes stop at 127, and overlay mount
options have their own limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from modelcar.errors import UnsafeContent
from modelcar.image.layer import LayerPlan
from modelcar.snapshot import ModelFile

LAYER_FORMAT_VERSION = "1"
"""Names the rules of this module and of `layer`: other rules, other digests, another version."""

SMALL_FILE_BYTES = 4 << 20
"""Files below this size share one layer."""

MAX_BIG_FILE_LAYERS = 90
MAX_LAYERS = 100


def plan_layers(files: Sequence[ModelFile], *, base_layers: int) -> tuple[LayerPlan, ...]:
    """Pack files into layers: directories, small files together, big files alone or in contiguous groups.

    Args:
        files: Sorted by the UTF-8 bytes of their paths, none twice.
        base_layers: Layers that the base image brings.

    Returns:
        The model's layers, bottom first; the first holds all directories and nothing else.

    Raises:
        UnsafeContent: The base image has so many layers that the image would have more than `MAX_LAYERS`.
    """
    small = tuple(f for f in files if f.size_bytes < SMALL_FILE_BYTES)
    big = [f for f in files if f.size_bytes >= SMALL_FILE_BYTES]
    group_size = max(1, -(-len(big) // MAX_BIG_FILE_LAYERS))
    groups = [LayerPlan(files=tuple(big[i : i + group_size])) for i in range(0, len(big), group_size)]
    layers = (
        LayerPlan(directories=directories_of(f.path for f in files)),
        *((LayerPlan(files=small),) if small else ()),
        *groups,
    )
    if base_layers + len(layers) > MAX_LAYERS:
        raise UnsafeContent(
            f"the image would have {base_layers + len(layers)} layers, {base_layers} of them from the base image, "
            f"and runtimes are safe up to {MAX_LAYERS}",
            hint="Take a base image with fewer layers.",
        )
    return layers


def directories_of(paths: Iterable[str]) -> tuple[str, ...]:
    """All directories that the paths need, "" (`/models` itself) first, parents before children, sorted by bytes."""
    directories = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    return ("", *sorted(directories, key=str.encode))
