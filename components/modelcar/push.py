"""Build a ModelCar image and push it, in one pass over the bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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
from modelcar.jobs import run_jobs
from modelcar.journal import Journal
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
        bytes_uploaded: Sent as layers, config, manifests and journal; attempts that failed are not counted.
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
    journal = Journal(destination, plan)
    moved = Mover(plan, source, destination, check, journal=journal, progress=progress or Silence()).run(concurrency)
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
    blobs = [layer.descriptor.digest for layer in moved]
    sent += _publish(documents, destination, wanted, blobs, fresh=sent > 0, concurrency=concurrency)
    journal.close(documents.manifest, MANIFEST_TYPE)
    return PushedImage(
        image=f"{destination.name}@{documents.digest}",
        digest=documents.digest,
        tags=wanted,
        size_bytes=sum(layer.descriptor.size_bytes for layer in moved),
        layers=tuple(map(_pushed, _titles(plan), moved)),
        snapshot=plan.snapshot,
        content_key=_content_key(contents, plan, base),
        bytes_read=sum(layer.bytes_read for layer in moved),
        bytes_uploaded=sent + journal.bytes_sent,
        bytes_reused=sum(layer.descriptor.size_bytes for layer in moved if layer.reused),
        seconds=time.monotonic() - started,
    )


def _publish(
    documents: ImageDocuments,
    destination: Destination,
    tags: Sequence[str],
    layers: Sequence[Digest],
    *,
    fresh: bool,
    concurrency: int,
) -> int:
    """Write config and manifest where they are missing, and read both back, before a tag names them.

    Args:
        documents: What to write.
        destination: Where to.
        tags: To set at the end.
        layers: All of the image.
        fresh: Whether a layer was sent. Each one is looked up again after the manifest was taken, unless nothing at all
            was new: then every one has just been looked up.
        concurrency: Look-ups at once.

    Returns:
        Bytes sent.

    Raises:
        DistributionError: The registry does not keep what it took.
    """
    sent = 0
    config = Digest.of(documents.config)
    if not destination.has_blob(config):
        destination.write_blob(Content(documents.config), config)
        sent += len(documents.config)
    if not _is_at(destination, str(documents.digest), documents.digest):
        destination.write_manifest(documents.manifest, MANIFEST_TYPE, [])
        sent += len(documents.manifest)
        if not _is_at(destination, str(documents.digest), documents.digest):
            raise DistributionError(
                f"{destination.name} took the manifest {documents.digest}, but does not give it back",
                hint="The registry rewrites or drops manifests; no tag names the image.",
            )
    if sent or fresh:
        _confirm(destination, [config, *layers], concurrency)
    missing = [tag for tag in tags if not _is_at(destination, tag, documents.digest)]
    if missing:
        destination.write_manifest(documents.manifest, MANIFEST_TYPE, missing)
    return sent + len(documents.manifest) * len(missing)


def _confirm(destination: Destination, blobs: Sequence[Digest], concurrency: int) -> None:
    """Look every blob of an image up."""
    found = run_jobs([partial(destination.has_blob, blob) for blob in blobs], concurrency, threading.Event())
    if lost := [blob for blob, is_there in zip(blobs, found, strict=True) if not is_there]:
        raise DistributionError(
            f"{destination.name} took the image, but does not have {lost[0]} of it any more",
            hint="No tag names the image. Something removes blobs while they are pushed; run it again.",
        )


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
