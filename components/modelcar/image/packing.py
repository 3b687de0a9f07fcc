"""How files are packed into layers.

Packing depends on the sorted paths and on one size class, never on exact sizes or on what was pushed before, so that
one changed file changes one layer. At most `MAX_LAYERS` layers in all: older runtimes stop at 127, and overlay mount
options have their own limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from modelcar.errors import UnsafeContent
from modelcar.image.layer import LayerPlan
from modelcar.snapshot import ModelFile

LAYER_FORMAT_VERSION = "1"
"""Names the rules of this module and of `layer`: other rules, other digests, another version."""

SMALLER_SHARDS = (
    "Publish the model in smaller shards (save_pretrained has max_shard_size), leave the file out with --ignore, or "
    "push to a registry that takes such layers."
)
"""The way out for a file that is larger than a layer may be."""

_FORMAT = re.compile(rf"{LAYER_FORMAT_VERSION}(-max-[1-9][0-9]*)?")

SMALL_FILE_BYTES = 4 << 20
"""Files below this size share one layer."""

MAX_BIG_FILE_LAYERS = 90
MAX_LAYERS = 100


def plan_layers(
    files: Sequence[ModelFile], *, base_layers: int, max_layer_bytes: int | None = None
) -> tuple[LayerPlan, ...]:
    """Pack files into layers: directories, small files together, big files alone or in contiguous groups.

    Args:
        files: Sorted by the UTF-8 bytes of their paths, none twice.
        base_layers: Layers that the base image brings.
        max_layer_bytes: Layers are closed before they have more, where the registry takes no larger ones; None for
            no limit. A file cannot be split.

    Returns:
        The model's layers, bottom first; the first holds all directories and nothing else.

    Raises:
        UnsafeContent: A file alone is larger than a layer may be, or the base image has so many layers, or layers are
            closed so early, that the image would have more than `MAX_LAYERS`.
    """
    small = [f for f in files if f.size_bytes < SMALL_FILE_BYTES]
    big = [f for f in files if f.size_bytes >= SMALL_FILE_BYTES]
    group_size = max(1, -(-len(big) // MAX_BIG_FILE_LAYERS))
    layers = (
        LayerPlan(directories=directories_of(f.path for f in files)),
        *_group(small, len(small), max_layer_bytes),
        *_group(big, group_size, max_layer_bytes),
    )
    if base_layers + len(layers) > MAX_LAYERS:
        raise UnsafeContent(
            f"the image would have {base_layers + len(layers)} layers, {base_layers} of them from the base image, "
            f"and runtimes are safe up to {MAX_LAYERS}",
            hint="Take a base image with fewer layers."
            if max_layer_bytes is None
            else "Give a larger --max-layer-size, or take a base image with fewer layers.",
        )
    return layers


def name_format(files: Sequence[ModelFile], max_layer_bytes: int | None) -> str:
    """The layer format version of a packing: a limit is part of it where it makes a difference, and only there.

    Raises:
        UnsafeContent: As `plan_layers`.
    """
    if max_layer_bytes is None:
        return LAYER_FORMAT_VERSION
    limited = plan_layers(files, base_layers=0, max_layer_bytes=max_layer_bytes)
    if limited == plan_layers(files, base_layers=0):
        return LAYER_FORMAT_VERSION
    return f"{LAYER_FORMAT_VERSION}-max-{max_layer_bytes}"


def is_own_format(version: str | None) -> bool:
    """Whether layers of a format version hold the bytes that today's rules give them, however they are grouped."""
    return version is not None and _FORMAT.fullmatch(version) is not None


def _group(files: Sequence[ModelFile], count: int, max_layer_bytes: int | None) -> Iterator[LayerPlan]:
    """Contiguous layers of `count` files, or of as many as a layer may hold."""
    if max_layer_bytes is None:
        yield from (LayerPlan(files=tuple(files[i : i + count])) for i in range(0, len(files), max(1, count)))
        return
    empty_bytes = LayerPlan().size_bytes
    group: list[ModelFile] = []
    group_bytes = empty_bytes
    for file in files:
        alone_bytes = LayerPlan(files=(file,)).size_bytes
        if alone_bytes > max_layer_bytes:
            raise UnsafeContent(
                f"{file.path} makes a layer of {alone_bytes} bytes, and {max_layer_bytes} are allowed; a file cannot "
                "be split over layers",
                hint=SMALLER_SHARDS,
            )
        more_bytes = alone_bytes - empty_bytes
        if group and (len(group) == count or group_bytes + more_bytes > max_layer_bytes):
            yield LayerPlan(files=tuple(group))
            group, group_bytes = [], empty_bytes
        group.append(file)
        group_bytes += more_bytes
    if group:
        yield LayerPlan(files=tuple(group))


def directories_of(paths: Iterable[str]) -> tuple[str, ...]:
    """All directories that the paths need, "" (`/models` itself) first, parents before children, sorted by bytes."""
    directories = {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}
    return ("", *sorted(directories, key=str.encode))
