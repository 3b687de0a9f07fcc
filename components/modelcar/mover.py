"""Move a plan's layers to their destination, several at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from modelcar.distribution.blob import StoredBlob
from modelcar.distribution.destination import Destination
from modelcar.distribution.feed import Rereadable
from modelcar.distribution.upload import BlobStream
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound, PromotionError, SourceError
from modelcar.image.content import FileContent
from modelcar.image.layer import LayerStream
from modelcar.image.manifest import Descriptor, layer_contents, layer_descriptor
from modelcar.image.packing import SMALL_FILE_BYTES
from modelcar.image.proof import ProvenLayer
from modelcar.jobs import Cancelled, run_jobs, wait_unless
from modelcar.journal import Journal
from modelcar.plan import ImagePlan, PlannedBaseLayer, PlannedLayer
from modelcar.progress import Progress
from modelcar.reference import Digest
from modelcar.samples import is_another
from modelcar.snapshot import Source
from modelcar.sources.content import ModelCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MovedLayer:
    """What became of one layer.

    Attributes:
        descriptor: For the manifest.
        contents: Its files; none for directories and for the base image's layers.
        reused: Whether no byte of it was sent.
        bytes_read: Taken from the source, over all passes.
    """

    descriptor: Descriptor
    contents: tuple[FileContent, ...]
    reused: bool
    bytes_read: int


class Mover:
    """Moves the layers of one plan, several at once; the first failure stops the others."""

    def __init__(
        self,
        plan: ImagePlan,
        source: Source,
        destination: Destination,
        check: ModelCheck,
        *,
        journal: Journal,
        progress: Progress,
    ) -> None:
        """Prepare; nothing is moved yet.

        Args:
            plan: What to move.
            source: Where the plan's snapshot comes from.
            destination: Where it goes.
            check: Sees every file that is read, and is told of those that are not.
            journal: Told of every layer that is there.
            progress: Told what happens.
        """
        self._plan, self._source = plan, source
        self._check, self._journal, self._progress = check, journal, progress
        self._cancelled = threading.Event()
        self._wait = wait_unless(self._cancelled)
        self._destination = destination.waiting_by(self._wait)

    def run(self, concurrency: int) -> list[MovedLayer]:
        """Move all layers.

        Args:
            concurrency: Layers that move at once, at least 1.

        Returns:
            One for each of the plan's base layers, then one for each of its layers.

        Raises:
            PromotionError: The first layer's failure; the others have ended by then.
            KeyboardInterrupt: After a few seconds at most; layers that wait longer for an answer end when they have it.
        """
        jobs: list[Callable[[], MovedLayer]] = []
        jobs += [_bind(self._move_base, i, layer) for i, layer in enumerate(self._plan.base_layers)]
        jobs += [_bind(self._move, len(jobs) + i, i, planned) for i, planned in enumerate(self._plan.layers)]
        return run_jobs(jobs, concurrency, self._cancelled)

    def _move(self, key: int, number: int, planned: PlannedLayer) -> MovedLayer:
        """Have layer `number` of the plan at the destination."""
        moved = self._take_or_send(key, planned)
        big = planned.layer.size_bytes >= SMALL_FILE_BYTES
        self._journal.finished(number, moved.descriptor, sent=big and not moved.reused)
        self._progress.layer_finished(key, planned.layer.title, planned.layer.size_bytes, reused=moved.reused)
        return moved

    def _take_or_send(self, key: int, planned: PlannedLayer) -> MovedLayer:
        if planned.reusable and (taken := self._take_over(key, planned)) is not None:
            return taken
        layer = planned.layer
        stream = LayerStream(layer, self._source.open, self._check.file, cancelled=self._cancelled)
        watched = _Watched(stream, key, layer.title, self._progress, self._cancelled)
        if not layer.files or planned.may_be_there:
            self._progress.layer_started(key, layer.title, len(stream))
            if not self._is_new(stream, planned):
                return self._hash_and_send(stream, watched, planned)
        digest = self._destination.write_stream(watched)
        return _moved(digest, stream, stream.contents, reused=False)

    def _is_new(self, stream: LayerStream, planned: PlannedLayer) -> bool:
        """Whether samples prove that a layer is none of those that it may be, so that it need not be hashed first."""
        if not (planned.may_be_there and self._source.can_be_sampled):
            return False
        try:
            return all(
                is_another(stream, partial((origin.repository if origin else self._destination).read_range, one.digest))
                for one, origin in planned.candidates
            )
        except SourceError as error:  # it may give whole files all the same
            log.debug("no sample of %s: %s", planned.layer.title, error)
            return False

    def _take_over(self, key: int, planned: PlannedLayer) -> MovedLayer | None:
        """Have a layer that an earlier image holds; None when it is gone, so that only its files are left."""
        candidate, origin = planned.candidate, planned.origin
        if candidate is None:
            raise ValueError(planned.layer.title)
        contents = layer_contents(candidate) or ()
        for file, content in zip(planned.layer.files, contents, strict=True):
            self._check.skip(file, is_pickle=content.is_pickle)
        if origin is None:
            there = self._destination.has_blob(candidate.digest)
            return MovedLayer(candidate, contents, reused=True, bytes_read=0) if there else None
        try:
            blob = origin.blob(candidate, wait=self._wait)
            reused = self._is_there(blob)
            if not reused:  # its bytes pass here, so nobody has to be believed
                proven = ProvenLayer(blob, contents, self._check.file, self._cancelled)
                self._send(key, planned.layer.title, proven)
        except ImageNotFound as error:
            log.debug("%s is not there any more: %s", planned.layer.title, error)
            return None
        return MovedLayer(candidate, contents, reused, bytes_read=0 if reused else candidate.size_bytes)

    def _have(self, key: int, title: str, blob: StoredBlob) -> bool:
        """Have a blob of another repository at the destination; returns whether no byte of it was sent."""
        if self._is_there(blob):
            return True
        self._send(key, title, blob)
        return False

    def _is_there(self, blob: StoredBlob) -> bool:
        return self._destination.has_blob(blob.digest) or self._mount(blob)

    def _send(self, key: int, title: str, layer: StoredBlob | ProvenLayer) -> None:
        self._destination.write_blob(_Watched(layer, key, title, self._progress, self._cancelled), layer.digest)

    def _mount(self, blob: StoredBlob) -> bool:
        registry, _, repository = blob.repository.name.partition("/")
        beside = registry == self._destination.name.partition("/")[0]
        return beside and self._destination.mount(blob.digest, repository)

    def _hash_and_send(self, stream: LayerStream, watched: _Watched, planned: PlannedLayer) -> MovedLayer:
        """Read the layer for its digest, and a second time only if the destination lacks it."""
        digest, contents = stream.drain(), stream.contents
        if self._destination.has_blob(digest) or self._mount_candidate(planned, digest):
            return _moved(digest, stream, contents, reused=True)
        failure: PromotionError | None = None
        try:
            self._destination.write_blob(watched, digest)
        except (DistributionError, ContentMismatch) as error:
            failure = error
        if stream.digest not in (None, digest):  # what the registry makes of that depends on the registry
            raise ContentMismatch(f"{stream.plan.title} changed while it was read", hint="Run it again.") from failure
        if failure is not None:
            raise failure
        return _moved(digest, stream, contents, reused=False)

    def _mount_candidate(self, planned: PlannedLayer, digest: Digest) -> bool:
        """Mount a layer of which only its bytes could tell that it is the one of another repository."""
        origins = [(one, origin) for one, origin in planned.candidates if origin is not None and one.digest == digest]
        return any(self._mount(origin.blob(one)) for one, origin in origins)

    def _move_base(self, key: int, layer: PlannedBaseLayer) -> MovedLayer:
        descriptor = layer.descriptor
        reused = self._have(key, layer.title, layer.base.stored.blob(descriptor, wait=self._wait))
        self._progress.layer_finished(key, layer.title, descriptor.size_bytes, reused=reused)
        return MovedLayer(descriptor, (), reused, bytes_read=0)


class _Layer(BlobStream, Rereadable, Protocol):
    """What is sent: made of the model's files, or stored somewhere."""


class _Watched:
    """A layer that tells how far it got, each pass from its start, and that stops when the push fails elsewhere."""

    def __init__(self, layer: _Layer, key: int, title: str, progress: Progress, cancelled: threading.Event) -> None:
        self._layer, self._key, self._title, self._progress, self._cancelled = layer, key, title, progress, cancelled

    def __len__(self) -> int:
        return len(self._layer)

    @property
    def digest(self) -> Digest | None:
        """What the last pass came to; of a stored layer what it has to come to."""
        return self._layer.digest

    def __iter__(self) -> Iterator[bytes]:
        self._progress.layer_started(self._key, self._title, len(self._layer))
        for block in self._layer:
            if self._cancelled.is_set():
                raise Cancelled
            yield block
            self._progress.bytes_moved(self._key, len(block))

    def again(self, start: int, stop: int) -> Iterator[bytes]:
        """Some of it once more, see `LayerStream.again`; not told as progress, for it was."""
        return self._layer.again(start, stop)


def _moved(digest: Digest, stream: LayerStream, contents: tuple[FileContent, ...], *, reused: bool) -> MovedLayer:
    return MovedLayer(layer_descriptor(digest, len(stream), contents), contents, reused, stream.bytes_read)


def _bind(function: Callable[..., MovedLayer], *arguments: object) -> Callable[[], MovedLayer]:
    return lambda: function(*arguments)
