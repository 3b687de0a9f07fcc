"""Where an image is pushed to: a repository of a registry, or a layout directory; the push does not care which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelcar.distribution.upload import Blob, BlobStream
from modelcar.errors import DistributionError
from modelcar.reference import Digest

MAX_MANIFEST_BYTES = 4 << 20
"""What registries take at least, and what is read of one. Source: the specification, "Pushing Manifests"."""
MAX_CONFIG_BYTES = 4 << 20
"""What is read of an image's config; those of the most layered images have some hundred KiB."""


def check_manifest_size(size_bytes: int) -> None:
    """Make sure that registries take a manifest of this size.

    Raises:
        DistributionError: It is too large.
    """
    if size_bytes > MAX_MANIFEST_BYTES:
        raise DistributionError(
            f"the manifest has {size_bytes} bytes, and registries take {MAX_MANIFEST_BYTES}",
            hint="The model has too many files; leave some out with --ignore.",
        )


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest or index as stored.

    Attributes:
        content: Its bytes.
        media_type: As the registry names it.
        digest: Of `content`, computed here.
    """

    content: bytes
    media_type: str
    digest: Digest


class Destination(Protocol):
    """What a push needs of the place where it pushes to. All methods may be called from several threads."""

    @property
    def name(self) -> str:
        """What stands before `@sha256:…` in the image's reference."""
        ...

    def waiting_by(self, wait: Callable[[float], None]) -> Destination:
        """The same place, where `wait` is called with the seconds between two attempts; it may raise to end them."""
        ...

    def check_access(self) -> None:
        """Make sure that a push is allowed, before any byte of the model is read.

        Raises:
            RegistryAccessDenied: It is not.
            DistributionError: The registry cannot be reached.
        """
        ...

    def find_manifest(self, reference: str) -> StoredManifest | None:
        """The manifest by tag or digest, None when there is none."""
        ...

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob can be named by a manifest here."""
        ...

    def read_range(self, digest: Digest, start: int, stop: int) -> bytes | None:
        """The bytes of a blob from `start` up to `stop`, not checked; None where that cannot be had in one attempt."""
        ...

    def mount(self, digest: Digest, origin: str) -> bool:
        """Take a blob over from the repository `origin` beside this one, without moving bytes; False if that fails."""
        ...

    def write_blob(self, blob: Blob, digest: Digest) -> None:
        """Store a blob whose digest is known.

        Raises:
            DistributionError: After all attempts, or not retryable.
        """
        ...

    def write_stream(self, stream: BlobStream) -> Digest:
        """Store a blob whose digest is computed while it is read; reads it again where an attempt failed.

        Raises:
            DistributionError: After all attempts, or not retryable.
            PromotionError: What reading the stream raised.
        """
        ...

    def remove_manifest(self, digest: Digest, tag: str | None) -> bool:
        """Take a manifest away, together with the tag that names it; blobs stay.

        Returns:
            Whether it is gone; False where nobody, or not this user, may remove anything.

        Raises:
            DistributionError: After all attempts.
        """
        ...

    def write_manifest(self, content: bytes, media_type: str, tags: Sequence[str]) -> None:
        """Store a manifest under its tags, or by its digest where there are none.

        Raises:
            DistributionError: After all attempts, or not retryable.
        """
        ...
