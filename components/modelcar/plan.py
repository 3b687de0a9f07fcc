"""What a push would do, found out without moving a byte of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from modelcar.base import FetchedBase
from modelcar.distribution.destination import Destination, StoredManifest, check_manifest_size
from modelcar.image.content import MAX_GIT_BLOB_BYTES, FileContent
from modelcar.image.index import parse_index
from modelcar.image.layer import LayerPlan
from modelcar.image.manifest import Descriptor, build_documents, layer_contents, layer_descriptor, parse_layers
from modelcar.image.packing import LAYER_FORMAT_VERSION, name_format, plan_layers
from modelcar.reference import Digest, Platform
from modelcar.snapshot import ModelFile, ModelSnapshot
from modelcar.stored_image import StoredImage


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer of the model, and what an earlier image has for it.

    Attributes:
        layer: What goes into it.
        candidate: A layer of an earlier image with the same paths and sizes, as a whole and of each file, or None.
        reusable: Whether the digests that the source published say that `candidate` holds the same content. False
            for a source without digests, where only reading tells.
        origin: The image that has `candidate`, where that is in another repository; None for the destination's own.
        is_copied: Whether `origin` is in another registry, so that a reusable layer passes through here.
        others: What earlier images have besides `candidate` that may hold the same content, too, each with its origin.
    """

    layer: LayerPlan
    candidate: Descriptor | None = None
    reusable: bool = False
    origin: StoredImage | None = None
    is_copied: bool = False
    others: tuple[tuple[Descriptor, StoredImage | None], ...] = ()

    @property
    def candidates(self) -> tuple[tuple[Descriptor, StoredImage | None], ...]:
        """`candidate` and `others`, each with its origin."""
        return ((self.candidate, self.origin), *self.others) if self.candidate is not None else ()

    @property
    def may_be_there(self) -> bool:
        """Whether only its bytes tell if an earlier image has it."""
        return self.candidate is not None and not self.reusable

    @property
    def is_taken(self) -> bool:
        """Whether no byte of it passes through here: the registry has it."""
        return self.reusable and not self.is_copied


@dataclass(frozen=True, slots=True)
class PlatformBase:
    """One platform of an image, and what lies below the model there.

    Attributes:
        platform: Stated in the image.
        base: None for scratch.
    """

    platform: Platform
    base: FetchedBase | None

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The base's; none for scratch."""
        return self.base.image.layers if self.base is not None else ()


@dataclass(frozen=True, slots=True)
class PlannedBaseLayer:
    """One layer that a base image brings.

    Attributes:
        base: Where it is read.
        descriptor: What it is.
        title: A few words for people.
    """

    base: FetchedBase
    descriptor: Descriptor
    title: str


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """An image before it is pushed.

    Attributes:
        snapshot: The model.
        platforms: Of the image, at least one, sorted; several share the model's layers.
        layers: The model's layers, bottom first.
        format_version: Of the layers, see `modelcar.image.packing`.
        found: Which earlier images and journals the destination has, of those that were asked for, as they were named.
    """

    snapshot: ModelSnapshot
    platforms: tuple[PlatformBase, ...]
    layers: tuple[PlannedLayer, ...]
    format_version: str = LAYER_FORMAT_VERSION
    found: tuple[str, ...] = ()

    @property
    def base_layers(self) -> tuple[PlannedBaseLayer, ...]:
        """Of all platforms, each bottom first; what several platforms have is there once."""
        layers: list[PlannedBaseLayer] = []
        for one in self.platforms:
            known = {layer.descriptor.digest for layer in layers}
            if one.base is not None:
                title = one.base.title if len(self.platforms) == 1 else f"{one.base.title} for {one.platform}"
                layers += [PlannedBaseLayer(one.base, d, title) for d in one.layers if d.digest not in known]
        return tuple(layers)

    @property
    def size_bytes(self) -> int:
        """All layers of the image, the bases' as they are stored; what several platforms share counts once."""
        base = sum(layer.descriptor.size_bytes for layer in self.base_layers)
        return base + sum(planned.layer.size_bytes for planned in self.layers)

    @property
    def reused_bytes(self) -> int:
        """Of the model's layers, what neither has to be read nor sent."""
        return sum(planned.layer.size_bytes for planned in self.layers if planned.is_taken)


def make_plan(
    snapshot: ModelSnapshot,
    destination: Destination,
    *,
    platforms: Sequence[PlatformBase],
    previous: Sequence[str],
    max_layer_bytes: int | None = None,
    elsewhere: Sequence[StoredImage] = (),
) -> ImagePlan:
    """Pack the model and look for its layers in earlier images of the destination, then in images elsewhere.

    Args:
        snapshot: The model.
        destination: Where the image goes.
        platforms: Of the image, at least one, none twice; their order does not count.
        previous: Tags and digests of earlier images in the destination; those that are not there do not count.
        max_layer_bytes: See `modelcar.image.packing.plan_layers`.
        elsewhere: Images in other repositories, no indexes, that layers may be taken over from.

    Raises:
        UnsafeContent: A base image has too many layers, or a file is larger than a layer may be.
        DistributionError: The registry cannot be asked, or would not take a manifest with so many files.
    """
    base_layers = max(len(one.layers) for one in platforms)
    layers = plan_layers(snapshot.files, base_layers=base_layers, max_layer_bytes=max_layer_bytes)
    _check_manifest_sizes(layers, platforms)
    earlier = {reference: destination.find_manifest(reference) for reference in previous}
    there = {reference: stored for reference, stored in earlier.items() if stored is not None}
    own = [(manifest, None) for manifest in _manifests(destination, there.values())]
    known = _known_layers([*own, *((image.manifest.content, image) for image in elsewhere)])
    ordered = tuple(sorted(platforms, key=lambda one: str(one.platform)))
    here = destination.name.partition("/")[0]
    planned = tuple(_match(layer, known, here) for layer in layers)
    return ImagePlan(snapshot, ordered, planned, name_format(snapshot.files, max_layer_bytes), tuple(there))


def _check_manifest_sizes(layers: Sequence[LayerPlan], platforms: Sequence[PlatformBase]) -> None:
    """Write the manifests with digests of zeros: their size is known before hours of bytes."""
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
    titles = [layer.title for layer in layers]
    for one in platforms:
        image = one.base.image if one.base is not None else None
        check_manifest_size(len(build_documents(described, titles, platform=one.platform, base=image).manifest))


def _manifests(destination: Destination, earlier: Iterable[StoredManifest]) -> Iterator[bytes]:
    """Of earlier images; an index stands for those that it names, as far as they are still there."""
    for stored in earlier:
        yield stored.content
        for digest in parse_index(stored.content, stored.media_type):
            if (image := destination.find_manifest(str(digest))) is not None:
                yield image.content


_Key = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """One of our layers in an image that is there already."""

    descriptor: Descriptor
    contents: tuple[FileContent, ...]
    origin: StoredImage | None


def _known_layers(images: Iterable[tuple[bytes, StoredImage | None]]) -> Mapping[_Key, list[_Known]]:
    """Our layers in earlier images, given by their manifests, by the paths and sizes of their files."""
    known: dict[_Key, list[_Known]] = {}
    for manifest, origin in images:
        for descriptor in parse_layers(manifest):
            if contents := layer_contents(descriptor):
                key = tuple((content.path, content.size_bytes) for content in contents)
                known.setdefault(key, []).append(_Known(descriptor, contents, origin))
    return known


def _match(layer: LayerPlan, known: Mapping[_Key, list[_Known]], here: str) -> PlannedLayer:
    best, undecided = PlannedLayer(layer), dict[Digest, tuple[Descriptor, StoredImage | None]]()
    for one in known.get(tuple((file.path, file.size_bytes) for file in layer.files), []):
        if one.descriptor.size_bytes != layer.size_bytes:  # it holds more than its annotation tells
            continue
        verdicts = [_same(file, content) for file, content in zip(layer.files, one.contents, strict=True)]
        if all(verdicts):
            is_copied = one.origin is not None and one.origin.reference.registry != here
            return PlannedLayer(layer, one.descriptor, reusable=True, origin=one.origin, is_copied=is_copied)
        if False not in verdicts:
            undecided.setdefault(one.descriptor.digest, (one.descriptor, one.origin))
            if one.origin is None or best.candidate is None:
                best = PlannedLayer(layer, one.descriptor, origin=one.origin)
    if best.candidate is not None:
        del undecided[best.candidate.digest]
    return replace(best, others=tuple(undecided.values()))


def _same(file: ModelFile, content: FileContent) -> bool | None:
    """Whether a file's published digest is that of a layer's file; None when nothing that compares was published."""
    if file.sha256 is not None:
        return file.sha256 == content.sha256
    if file.git_blob_id is not None and content.git_blob_id is not None:
        return file.git_blob_id == content.git_blob_id
    return None
