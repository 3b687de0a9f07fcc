"""Name an image: configs, manifests, an index where there are several, and tags, in this order.

Nothing is named before what it names is there, so that whatever ends a push early, no tag and no index names half an
image.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from modelcar.distribution.destination import Destination
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError
from modelcar.image.manifest import MANIFEST_TYPE, ImageDocuments
from modelcar.jobs import run_jobs, wait_unless
from modelcar.reference import Digest


@dataclass(frozen=True, slots=True)
class Top:
    """What tags name: the manifest of an image for one platform, or an index of several.

    Attributes:
        content: Its bytes.
        media_type: Of the content.
    """

    content: bytes
    media_type: str

    @property
    def digest(self) -> Digest:
        """The image's digest, whichever it is."""
        return Digest.of(self.content)


def publish(
    images: Sequence[ImageDocuments],
    top: Top,
    layers: Sequence[Digest],
    destination: Destination,
    *,
    tags: Sequence[str],
    fresh: bool,
    concurrency: int,
) -> int:
    """Write what is missing of an image's documents, and read it back, before a tag names it.

    Args:
        images: One for each platform.
        top: The only image's manifest, or the index of all of them.
        layers: All of them; they are there.
        destination: Where to.
        tags: To set at the end.
        fresh: Whether a layer was sent. Each one is looked up again after the manifests were taken, unless nothing at
            all was new: then every one has just been looked up.
        concurrency: Look-ups at once.

    Returns:
        Bytes sent.

    Raises:
        DistributionError: The registry does not keep what it took.
    """
    sent = sum(_write_image(image, destination) for image in images)
    if sent or fresh:
        _confirm(destination, [*(Digest.of(image.config) for image in images), *layers], concurrency)
    if len(images) > 1:
        sent += _write(destination, top)
    missing = [tag for tag in tags if not _is_at(destination, tag, top.digest)]
    if missing:
        destination.write_manifest(top.content, top.media_type, missing)
    return sent + len(top.content) * len(missing)


def _write_image(image: ImageDocuments, destination: Destination) -> int:
    """Config and manifest, where they are missing; returns the bytes sent."""
    sent, config = 0, Digest.of(image.config)
    if not destination.has_blob(config):
        destination.write_blob(Content(image.config), config)
        sent += len(image.config)
    return sent + _write(destination, Top(image.manifest, MANIFEST_TYPE))


def _write(destination: Destination, document: Top) -> int:
    """A manifest or index by its digest, if it is missing; returns the bytes sent."""
    if _is_at(destination, str(document.digest), document.digest):
        return 0
    destination.write_manifest(document.content, document.media_type, [])
    if not _is_at(destination, str(document.digest), document.digest):
        raise DistributionError(
            f"{destination.name} took the manifest {document.digest}, but does not give it back",
            hint="The registry rewrites or drops manifests; no tag names the image.",
        )
    return len(document.content)


def _confirm(destination: Destination, blobs: Sequence[Digest], concurrency: int) -> None:
    """Look every blob of an image up."""
    cancelled = threading.Event()
    there = destination.waiting_by(wait_unless(cancelled))
    found = run_jobs([partial(there.has_blob, blob) for blob in blobs], concurrency, cancelled)
    if lost := [blob for blob, is_there in zip(blobs, found, strict=True) if not is_there]:
        raise DistributionError(
            f"{destination.name} took the image, but does not have {lost[0]} of it any more",
            hint="No tag names the image. Something removes blobs while they are pushed; run it again.",
        )


def _is_at(destination: Destination, reference: str, digest: Digest) -> bool:
    stored = destination.find_manifest(reference)
    return stored is not None and stored.digest == digest
