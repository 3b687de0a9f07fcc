"""What a push would do, found out without moving a byte of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelcar.base import FetchedBase
from modelcar.distribution.destination import Destination, StoredManifest, check_manifest_size
from modelcar.image.layer import MAX_GIT_BLOB_BYTES, FileContent, LayerPlan
from modelcar.image.manifest import Descriptor, build_documents, layer_contents, layer_descriptor, parse_layers
from modelcar.image.packing import plan_layers
from modelcar.reference import Digest, Platform
from modelcar.snapshot import ModelFile, ModelSnapshot


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer of the model, and what an earlier image has for it.

    Attributes:
        layer: What goes into it.
        candidate: A layer of an earlier image with the same paths and sizes, as a whole and of each file, or None.
        reusable: Whether the digests that the source published say that `candidate` holds the same content. False
            for a source without digests, where only reading tells.
    """

    layer: LayerPlan
    candidate: Descriptor | None = None
    reusable: bool = False


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """An image before it is pushed.

    Attributes:
        snapshot: The model.
        platform: Of the image.
        base: What lies below; None for scratch.
        layers: The model's layers, bottom first.
        found: Which earlier images and journals the destination has, of those that were asked for, as they were named.
    """

    snapshot: ModelSnapshot
    platform: Platform
    base: FetchedBase | None
    layers: tuple[PlannedLayer, ...]
    found: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """All layers of the image, the base's as they are stored."""
        base = sum(layer.size_bytes for layer in self.base.image.layers) if self.base is not None else 0
        return base + sum(planned.layer.size_bytes for planned in self.layers)

    @property
    def reused_bytes(self) -> int:
        """Of the model's layers, what neither has to be read nor sent."""
        return sum(planned.layer.size_bytes for planned in self.layers if planned.reusable)


def make_plan(
    snapshot: ModelSnapshot,
    destination: Destination,
    *,
    platform: Platform,
    base: FetchedBase | None,
    previous: Sequence[str],
) -> ImagePlan:
    """Pack the model and look for its layers in earlier images of the destination.

    Args:
        snapshot: The model.
        destination: Where the image goes.
        platform: Of the image.
        base: What lies below; None for scratch.
        previous: Tags and digests of earlier images in the destination; those that are not there do not count.

    Raises:
        UnsafeContent: The base image has too many layers.
        DistributionError: The registry cannot be asked, or would not take a manifest with so many files.
    """
    layers = plan_layers(snapshot.files, base_layers=len(base.image.layers) if base is not None else 0)
    _check_manifest_size(layers, platform, base)
    earlier = {reference: destination.find_manifest(reference) for reference in previous}
    there = {reference: stored for reference, stored in earlier.items() if stored is not None}
    known = _known_layers(there.values())
    return ImagePlan(snapshot, platform, base, tuple(_match(layer, known) for layer in layers), tuple(there))


def _check_manifest_size(layers: Sequence[LayerPlan], platform: Platform, base: FetchedBase | None) -> None:
    """Write the manifest with digests of zeros: its size is known before hours of bytes."""
    zeros = Digest("0" * 64)
    described = [
        layer_descriptor(
            zeros,
            layer.size_bytes,
            [
                FileContent(f.path, f.size_bytes, zeros, "0" * 40 if f.size_bytes <= MAX_GIT_BLOB_BYTES else None)
                for f in layer.files
            ],
        )
        for layer in layers
    ]
    image = base.image if base is not None else None
    manifest = build_documents(described, [layer.title for layer in layers], platform=platform, base=image).manifest
    check_manifest_size(len(manifest))


_Key = tuple[tuple[str, int], ...]


def _known_layers(
    earlier: Iterable[StoredManifest],
) -> Mapping[_Key, list[tuple[Descriptor, tuple[FileContent, ...]]]]:
    """Our layers in earlier images, by the paths and sizes of their files."""
    known: dict[_Key, list[tuple[Descriptor, tuple[FileContent, ...]]]] = {}
    for stored in earlier:
        for descriptor in parse_layers(stored.content):
            if contents := layer_contents(descriptor):
                key = tuple((content.path, content.size_bytes) for content in contents)
                known.setdefault(key, []).append((descriptor, contents))
    return known


def _match(layer: LayerPlan, known: Mapping[_Key, list[tuple[Descriptor, tuple[FileContent, ...]]]]) -> PlannedLayer:
    candidate: Descriptor | None = None
    for descriptor, contents in known.get(tuple((file.path, file.size_bytes) for file in layer.files), []):
        if descriptor.size_bytes != layer.size_bytes:  # it holds more than its annotation tells
            continue
        verdicts = [_same(file, content) for file, content in zip(layer.files, contents, strict=True)]
        if all(verdicts):
            return PlannedLayer(layer, descriptor, reusable=True)
        if False not in verdicts:
            candidate = descriptor
    return PlannedLayer(layer, candidate)


def _same(file: ModelFile, content: FileContent) -> bool | None:
    """Whether a file's published digest is that of a layer's file; None when nothing that compares was published."""
    if file.sha256 is not None:
        return file.sha256 == content.sha256
    if file.git_blob_id is not None and content.git_blob_id is not None:
        return file.git_blob_id == content.git_blob_id
    return None
