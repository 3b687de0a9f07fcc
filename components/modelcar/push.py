"""Build a ModelCar image and push it, in one pass over the bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from modelcar.base import BaseLayer, FetchedBase
from modelcar.distribution.destination import Destination
from modelcar.distribution.upload import Blob, Content
from modelcar.errors import ContentMismatch, DistributionError
from modelcar.image.layer import Cancelled, FileContent, LayerStream
from modelcar.image.manifest import (
    MANIFEST_TYPE,
    BaseImage,
    Descriptor,
    ImageDocuments,
    build_documents,
    compute_content_key,
    layer_contents,
    layer_descriptor,
)
from modelcar.plan import ImagePlan, PlannedLayer
from modelcar.progress import Progress, Silence
from modelcar.reference import Digest
from modelcar.snapshot import ModelSnapshot, Source
from modelcar.sources.content import ModelCheck

CONCURRENCY = 4


@dataclass(frozen=True, slots=True)
class PushedLayer:
    """One layer of a pushed image.

    Attributes:
        digest: Of the layer as stored.
        size_bytes: Of the layer as stored.
        files: Paths of the model's files in it; none for directories and for the base image's layers.
        reused: Whether the registry had it, so that no byte of it was sent.
    """

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


@dataclass(frozen=True, slots=True)
class _Moved:
    """What became of one layer."""

    descriptor: Descriptor
    contents: tuple[FileContent, ...]
    reused: bool
    bytes_read: int


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
    source that is cheap to read, is hashed first and sent only if it changed. All others are read once and sent while
    they are hashed. Nothing names the image before all of it is there and was checked.

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
    mover = _Mover(plan, source, destination, check, progress or Silence())
    moved = mover.run(concurrency)
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
        layers=tuple(_pushed(layer) for layer in moved),
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


def _pushed(layer: _Moved) -> PushedLayer:
    paths = tuple(content.path for content in layer.contents)
    return PushedLayer(layer.descriptor.digest, layer.descriptor.size_bytes, paths, layer.reused)


class _Mover:
    """Moves the layers of one plan, several at once; the first failure stops the others."""

    def __init__(
        self, plan: ImagePlan, source: Source, destination: Destination, check: ModelCheck, progress: Progress
    ) -> None:
        self._plan, self._source, self._destination = plan, source, destination
        self._check, self._progress = check, progress
        self._cancelled = threading.Event()

    def run(self, concurrency: int) -> list[_Moved]:
        """All layers, the base's first."""
        jobs: list[Callable[[], _Moved]] = []
        if self._plan.base is not None:
            base = self._plan.base
            jobs += [_bind(self._move_base, len(jobs) + i, base, d) for i, d in enumerate(base.image.layers)]
        jobs += [_bind(self._move, len(jobs) + i, planned) for i, planned in enumerate(self._plan.layers)]
        with ThreadPoolExecutor(concurrency, thread_name_prefix="layer") as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                return [future.result() for future in _failed_first(futures)]
            finally:
                self._cancelled.set()
                pool.shutdown(cancel_futures=True)

    def _move(self, key: int, planned: PlannedLayer) -> _Moved:
        layer, candidate = planned.layer, planned.candidate
        if candidate is not None and planned.reusable and self._destination.has_blob(candidate.digest):
            for file in layer.files:
                self._check.skip(file)
            self._progress.layer_finished(key, layer.title, layer.size_bytes, reused=True)
            return _Moved(candidate, layer_contents(candidate) or (), reused=True, bytes_read=0)
        stream = LayerStream(layer, self._source.open, self._check.file, cancelled=self._cancelled)
        self._progress.layer_started(key, layer.title, layer.size_bytes)
        reused = self._send(key, planned, stream)
        if stream.digest is None:  # pragma: no cover - a complete pass sets it
            raise AssertionError(layer.title)
        descriptor = layer_descriptor(stream.digest, len(stream), stream.contents)
        self._progress.layer_finished(key, layer.title, layer.size_bytes, reused=reused)
        return _Moved(descriptor, stream.contents, reused, stream.bytes_read)

    def _send(self, key: int, planned: PlannedLayer, stream: LayerStream) -> bool:
        """Bring the layer's bytes to the destination; returns whether it had them."""
        watched = _Watched(stream, key, planned.layer.title, self._progress)
        maybe_there = not planned.layer.files or (planned.candidate is not None and self._source.reads_are_cheap)
        if not maybe_there:
            self._destination.write_stream(watched)
            return False
        digest = stream.drain()
        if self._destination.has_blob(digest):
            return True
        self._destination.write_blob(watched, digest)
        if stream.digest != digest:
            raise ContentMismatch(f"{planned.layer.title} changed while it was read", hint="Run it again.")
        return False

    def _move_base(self, key: int, base: FetchedBase, descriptor: Descriptor) -> _Moved:
        title = f"base image {base.reference.repository}"
        reused = self._destination.has_blob(descriptor.digest) or self._mount(base, descriptor)
        if not reused:
            self._progress.layer_started(key, title, descriptor.size_bytes)
            blob = _Watched(BaseLayer(base, descriptor), key, title, self._progress)
            self._destination.write_blob(blob, descriptor.digest)
        self._progress.layer_finished(key, title, descriptor.size_bytes, reused=reused)
        return _Moved(descriptor, (), reused, bytes_read=0)

    def _mount(self, base: FetchedBase, descriptor: Descriptor) -> bool:
        registry = self._destination.name.partition("/")[0]
        return registry == base.reference.registry and self._destination.mount(
            descriptor.digest, base.reference.repository
        )


class _Watched:
    """A blob that tells how far it got, each pass from its start."""

    def __init__(self, blob: Blob, key: int, title: str, progress: Progress) -> None:
        self._blob, self._key, self._title, self._progress = blob, key, title, progress

    def __len__(self) -> int:
        return len(self._blob)

    def __iter__(self) -> Iterator[bytes]:
        self._progress.layer_started(self._key, self._title, len(self._blob))
        for block in self._blob:
            yield block
            self._progress.bytes_moved(self._key, len(block))

    @property
    def digest(self) -> Digest | None:
        """The stream's, when it is one."""
        return getattr(self._blob, "digest", None)


def _bind(function: Callable[..., _Moved], *arguments: object) -> Callable[[], _Moved]:
    return lambda: function(*arguments)


def _failed_first(futures: list[Future[_Moved]]) -> list[Future[_Moved]]:
    """The same futures, unless one failed by itself: then that one, whose error is the one to report."""
    for future in futures:
        if future.done() and not isinstance(future.exception(), Cancelled | None):
            return [future]
    return futures
