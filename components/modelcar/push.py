"""Build a ModelCar image and push it, in one pass over the bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelcar.distribution.destination import Destination
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError
from modelcar.image.layer import FileContent
from modelcar.image.manifest import (
    MANIFEST_TYPE,
    BaseImage,
    ImageDocuments,
    build_documents,
    compute_content_key,
)
from modelcar.mover import MovedLayer, Mover
from modelcar.plan import ImagePlan
from modelcar.progress import Progress, Silence
from modelcar.reference import Digest
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
class PushedImage:
    """What a push left behind.

    Attributes:
        image: `registry/repository@sha256:…`; for a layout directory `oci-layout:DIR@sha256:…`.
        digest: Of the manifest.
        tags: Tags that name it now.
        size_bytes: Sum of all layers.
        layers: Bottom first, the base's included.
        snapshot: What it was made from.
        content_key: What the image is, as 64 hex digits.
        bytes_read: Taken from the source, second passes included.
        bytes_uploaded: Sent as layers, config and manifests; attempts that failed are not counted.
        bytes_reused: Layers of which no byte was sent.
        seconds: From the first byte to the last answer.
    """

    image: str
    digest: Digest
    tags: tuple[str, ...]
    size_bytes: int
    layers: tuple[PushedLayer, ...]
    snapshot: ModelSnapshot
    content_key: str
    bytes_read: int
    bytes_uploaded: int
    bytes_reused: int
    seconds: float


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
    source without digests, is hashed first and sent only if it changed. All others are read once and sent while they
    are hashed. Nothing names the image before all of it is there and was checked.

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
    moved = Mover(plan, source, destination, check, progress or Silence()).run(concurrency)
    check.finish()
    base = plan.base.image if plan.base is not None else None
    own = moved[len(base.layers) if base is not None else 0 :]
    contents = [content for layer in own for content in layer.contents]
    documents = build_documents(
        [layer.descriptor for layer in own],
        [planned.layer.title for planned in plan.layers],
        platform=plan.platform,
        base=base,
    )
    wanted = tuple(tags(documents.digest))
    sent = sum(layer.descriptor.size_bytes for layer in moved if not layer.reused)
    sent += _write_documents(documents, destination, wanted)
    return PushedImage(
        image=f"{destination.name}@{documents.digest}",
        digest=documents.digest,
        tags=wanted,
        size_bytes=sum(layer.descriptor.size_bytes for layer in moved),
        layers=tuple(map(_pushed, _titles(plan), moved)),
        snapshot=plan.snapshot,
        content_key=_content_key(contents, plan, base),
        bytes_read=sum(layer.bytes_read for layer in moved),
        bytes_uploaded=sent,
        bytes_reused=sum(layer.descriptor.size_bytes for layer in moved if layer.reused),
        seconds=time.monotonic() - started,
    )


def _write_documents(documents: ImageDocuments, destination: Destination, tags: Sequence[str]) -> int:
    """Write config and manifest where they are missing, read the manifest back; returns the bytes sent."""
    sent = 0
    config_digest = Digest.of(documents.config)
    if not destination.has_blob(config_digest):
        destination.write_blob(Content(documents.config), config_digest)
        sent += len(documents.config)
    missing = [tag for tag in tags if not _is_at(destination, tag, documents.digest)]
    there = _is_at(destination, str(documents.digest), documents.digest)
    if missing or not there:
        destination.write_manifest(documents.manifest, MANIFEST_TYPE, missing)
        sent += len(documents.manifest) * max(1, len(missing))
        there = _is_at(destination, str(documents.digest), documents.digest)
    if not there:
        raise DistributionError(
            f"{destination.name} took the manifest {documents.digest}, but does not give it back",
            hint="The registry rewrites or drops manifests; nothing downstream was changed.",
        )
    return sent


def _is_at(destination: Destination, reference: str, digest: Digest) -> bool:
    stored = destination.find_manifest(reference)
    return stored is not None and stored.digest == digest


def _content_key(contents: Sequence[FileContent], plan: ImagePlan, base: BaseImage | None) -> str:
    return compute_content_key(contents, platform=plan.platform, base_digest=base.digest if base is not None else None)


def _titles(plan: ImagePlan) -> list[str]:
    """One for each layer of the image, the base's first."""
    base = [plan.base.title] * len(plan.base.image.layers) if plan.base is not None else []
    return [*base, *(planned.layer.title for planned in plan.layers)]


def _pushed(title: str, layer: MovedLayer) -> PushedLayer:
    paths = tuple(content.path for content in layer.contents)
    return PushedLayer(title, layer.descriptor.digest, layer.descriptor.size_bytes, paths, layer.reused)
