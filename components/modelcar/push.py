"""Build a ModelCar image and push it, in one pass over the bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelcar.distribution.destination import Destination
from modelcar.image.index import build_index, compute_image_key
from modelcar.image.manifest import INDEX_TYPE, MANIFEST_TYPE, ImageDocuments, build_documents, layer_descriptor
from modelcar.journal import Journal
from modelcar.mover import MovedLayer, Mover
from modelcar.plan import ImagePlan
from modelcar.progress import Progress, Silence
from modelcar.publishing import Top, publish
from modelcar.reference import Digest, Platform
from modelcar.snapshot import ModelSnapshot, Source
from modelcar.sources.content import ModelCheck

CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class PushedLayer:
    """One layer of a pushed image.

    Attributes:
        title: A few words for people: the file, how many there are, or what else it is.
        digest: Of the layer as stored.
        size_bytes: Of the layer as stored.
        files: Paths of the model's files in it; none for directories and for the base image's layers.
        reused: Whether the registry had it, so that no byte of it was sent.
    """

    title: str
    digest: Digest
    size_bytes: int
    files: tuple[str, ...]
    reused: bool


@dataclass(frozen=True, slots=True)
class CopiedReferrers:
    """What became of the signatures, SBOMs and other referrers of an image that was copied.

    Attributes:
        copied: Manifests that refer to the image where it is now, directly or to one another.
        left: Referrers of the source that stayed behind: the image has another digest, or is one platform of the index
            that they refer to, or is in a layout directory, where nothing lists them.
    """

    copied: tuple[Digest, ...]
    left: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class PushedImage:
    """What a push left behind.

    Attributes:
        image: `registry/repository@sha256:…`; for a layout directory `oci-layout:DIR@sha256:…`.
        digest: Of the manifest; of the index when there are several platforms.
        platforms: The digest of each platform's manifest, sorted by platform.
        tags: Tags that name it now.
        size_bytes: Sum of all layers; what several platforms share counts once.
        layers: Bottom first, the base's included; of several platforms, all bases' before the model's.
        snapshot: What it was made from.
        content_key: What the image is, as 64 hex digits.
        bytes_read: Taken from the source, second passes included.
        bytes_uploaded: Sent as layers, config and manifests; the journal and attempts that failed are not counted.
        bytes_reused: Layers of which no byte was sent.
        seconds: From the first byte to the last answer.
        referrers: Of the image that it was copied from; None where the source was no image.
    """

    image: str
    digest: Digest
    platforms: Mapping[Platform, Digest]
    tags: tuple[str, ...]
    size_bytes: int
    layers: tuple[PushedLayer, ...]
    snapshot: ModelSnapshot
    content_key: str
    bytes_read: int
    bytes_uploaded: int
    bytes_reused: int
    seconds: float
    referrers: CopiedReferrers | None = None


def push(
    plan: ImagePlan,
    source: Source,
    destination: Destination,
    *,
    tags: Callable[[Digest], Sequence[str]],
    allow_pickle: Sequence[str] = (),
    concurrency: int = CONCURRENCY,
    progress: Progress | None = None,
) -> PushedImage:
    """Move what the destination lacks, then write config and manifest.

    A layer that the plan found reusable is confirmed and not read. A layer that may be the same as before, from a
    source without digests, is hashed first and sent only if it changed, unless samples tell that it did. All others are
    read once and sent while they are hashed. Nothing names the image before all of it is there and was checked.

    Args:
        plan: What to push.
        source: Where the plan's snapshot comes from.
        destination: Where it goes.
        tags: Given the image's digest, the tags to set.
        allow_pickle: Patterns of pickle files that are wanted all the same.
        concurrency: Layers that move at once, at least 1.
        progress: Told what happens; None tells nobody.

    Raises:
        ContentMismatch: The bytes are not what the source published.
        UnsafeContent: A check of the content failed.
        DistributionError: The registry refused, or failed too often.
        SourceError: The source failed too often.
    """
    started = time.monotonic()
    check = ModelCheck(plan.snapshot, allow_pickle)
    journal = Journal(destination, plan)
    moved = Mover(plan, source, destination, check, journal=journal, progress=progress or Silence()).run(concurrency)
    check.finish()
    own = moved[len(plan.base_layers) :]
    images = _build_images(plan, own)
    top = _top(images)
    wanted = tuple(tags(top.digest))
    sent = sum(layer.descriptor.size_bytes for layer in moved if not layer.reused)
    blobs = [layer.descriptor.digest for layer in moved]
    documents = list(images.values())
    sent += publish(documents, top, blobs, destination, tags=wanted, fresh=sent > 0, concurrency=concurrency)
    journal.close(top.content, top.media_type)
    return PushedImage(
        image=f"{destination.name}@{top.digest}",
        digest=top.digest,
        platforms={platform: image.digest for platform, image in images.items()},
        tags=wanted,
        size_bytes=sum(layer.descriptor.size_bytes for layer in moved),
        layers=tuple(map(_pushed, _titles(plan), moved)),
        snapshot=plan.snapshot,
        content_key=_content_key(plan, own),
        bytes_read=sum(layer.bytes_read for layer in moved),
        bytes_uploaded=sent,
        bytes_reused=sum(layer.descriptor.size_bytes for layer in moved if layer.reused),
        seconds=time.monotonic() - started,
    )


def _build_images(plan: ImagePlan, own: Sequence[MovedLayer]) -> dict[Platform, ImageDocuments]:
    """Each platform's config and manifest, over the same layers of the model."""
    version = plan.format_version
    layers = [layer_descriptor(d.digest, d.size_bytes, one.contents, version) for one in own for d in [one.descriptor]]
    titles = [planned.layer.title for planned in plan.layers]
    return {
        one.platform: build_documents(
            layers, titles, platform=one.platform, base=one.base.image if one.base is not None else None
        )
        for one in plan.platforms
    }


def _top(images: Mapping[Platform, ImageDocuments]) -> Top:
    manifests = {platform: image.manifest for platform, image in images.items()}
    if len(manifests) == 1:
        [manifest] = manifests.values()
        return Top(manifest, MANIFEST_TYPE)
    return Top(build_index(manifests), INDEX_TYPE)


def _content_key(plan: ImagePlan, own: Sequence[MovedLayer]) -> str:
    contents = [content for layer in own for content in layer.contents]
    bases = {one.platform: one.base.image.digest if one.base is not None else None for one in plan.platforms}
    return compute_image_key(contents, bases, plan.format_version)


def _titles(plan: ImagePlan) -> list[str]:
    """One for each layer of the image, the base's first."""
    return [*(layer.title for layer in plan.base_layers), *(planned.layer.title for planned in plan.layers)]


def _pushed(title: str, layer: MovedLayer) -> PushedLayer:
    paths = tuple(content.path for content in layer.contents)
    return PushedLayer(title, layer.descriptor.digest, layer.descriptor.size_bytes, paths, layer.reused)
