"""What the registry keeps, as files under one directory.

::

    DIR/blobs/sha256/<hex>                                   every blob once
    DIR/repositories/<name>/_blobs/sha256/<hex>              a hard link to it: the blob is visible in this repository
    DIR/repositories/<name>/_manifests/sha256/<hex>          media type, line feed, the manifest's bytes
    DIR/repositories/<name>/_tags/<tag>                      a digest
    DIR/staging/                                             files that are being written

No part of a repository name begins with `_`, so names cannot collide with the three directories. A file appears under
its name complete, by link or rename, or not at all; whatever a killed process leaves in `staging` is removed at the
next start. Nothing is synced to disk: this protects from a killed process, not from a power failure.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.names import Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was pushed.

    Attributes:
        digest: Of `content`, by the algorithm under which it was pushed.
        media_type: Without parameters.
        content: Its exact bytes.
    """

    digest: Digest
    media_type: str
    content: bytes


class Store:
    """Blobs, manifests and tags of all repositories; safe to use from several threads, but from one process only."""

    def __init__(self, directory: Path) -> None:
        self._blobs = directory / "blobs"
        self._repositories = directory / "repositories"
        self._staging = directory / "staging"
        shutil.rmtree(self._staging, ignore_errors=True)
        for path in (self._blobs, self._repositories, self._staging):
            path.mkdir(parents=True, exist_ok=True)
        # Between looking at the links of a blob and changing them; never held while bytes move.
        self._links = threading.Lock()

    def require_repository(self, name: str) -> None:
        """Check that something was ever pushed to `name`.

        Raises:
            Refusal: NAME_UNKNOWN.
        """
        root = self._repositories / name
        if not any((root / part).is_dir() for part in ("_blobs", "_manifests", "_tags")):
            raise Refusal("NAME_UNKNOWN", "repository name not known to registry", {"name": name})

    def open_blob(self, name: str, digest: Digest) -> FileIO:
        """The blob's file, unbuffered, when the repository has been given it; a deletion does not disturb its reader.

        Raises:
            Refusal: BLOB_UNKNOWN.
        """
        try:
            return FileIO(self._blob(name, digest))
        except FileNotFoundError:
            raise _blob_unknown(digest) from None

    def blob_size(self, name: str, digest: Digest) -> int | None:
        """The blob's length in bytes; None when the repository does not have it."""
        try:
            return self._blob(name, digest).stat().st_size
        except FileNotFoundError:
            return None

    def add_blob(self, name: str, digest: Digest, file: Path) -> None:
        """Take over `file`, on the same file system and already verified, as a blob of the repository."""
        shared = self._blobs / digest.algorithm / digest.hex
        shared.parent.mkdir(exist_ok=True)
        with self._links:
            with suppress(FileExistsError):
                os.link(file, shared)
            self._link(shared, self._blob(name, digest))
        file.unlink(missing_ok=True)

    def mount_blob(self, name: str, digest: Digest, source: str | None) -> bool:
        """Make a blob of the repository `source`, or of any when that is None, visible in `name` too.

        Returns:
            Whether there was one.
        """
        found = self._blobs / digest.algorithm / digest.hex if source is None else self._blob(source, digest)
        with self._links:
            if not found.is_file():
                return False
            self._link(found, self._blob(name, digest))
        return True

    def remove_blob(self, name: str, digest: Digest) -> None:
        """Take the blob from the repository, and from the disk when it was the last to have it.

        Raises:
            Refusal: BLOB_UNKNOWN.
        """
        shared = self._blobs / digest.algorithm / digest.hex
        with self._links:
            try:
                self._blob(name, digest).unlink()
            except FileNotFoundError:
                raise _blob_unknown(digest) from None
            if shared.is_file() and shared.stat().st_nlink == 1:
                shared.unlink()

    def add_manifest(self, name: str, manifest: Manifest, tags: list[str]) -> None:
        """Keep a manifest whose references were checked, then point the tags at it."""
        path = self._repositories / name / "_manifests" / manifest.digest.algorithm / manifest.digest.hex
        self._write(path, manifest.media_type.encode() + b"\n" + manifest.content)
        for tag in tags:
            self._write(self._tags(name) / tag, str(manifest.digest).encode())

    def find_manifest(self, name: str, reference: str | Digest) -> Manifest:
        """The manifest by tag or digest.

        Raises:
            Refusal: NAME_UNKNOWN or MANIFEST_UNKNOWN.
        """
        try:
            digest = reference if isinstance(reference, Digest) else self._tagged(name, reference)
            return _read_manifest(self._repositories / name / "_manifests" / digest.algorithm / digest.hex)
        except FileNotFoundError:
            self.require_repository(name)
            raise Refusal("MANIFEST_UNKNOWN", "manifest unknown to repository", {"reference": str(reference)}) from None

    def manifests(self, name: str) -> Iterator[Manifest]:
        """All manifests of a repository, sorted by digest; none when there is no such repository."""
        for path in sorted((self._repositories / name / "_manifests").glob("sha*/*")):
            with suppress(FileNotFoundError):
                yield _read_manifest(path)

    def remove_manifest(self, name: str, digest: Digest) -> None:
        """Remove the tags that point at the manifest, then the manifest.

        Raises:
            Refusal: NAME_UNKNOWN or MANIFEST_UNKNOWN.
        """
        self.find_manifest(name, digest)
        for tag in self.tags(name):
            with suppress(FileNotFoundError):
                if self._tagged(name, tag) == digest:
                    (self._tags(name) / tag).unlink()
        (self._repositories / name / "_manifests" / digest.algorithm / digest.hex).unlink(missing_ok=True)

    def remove_tag(self, name: str, tag: str) -> None:
        """Remove a tag and leave its manifest.

        Raises:
            Refusal: NAME_UNKNOWN or MANIFEST_UNKNOWN.
        """
        self.find_manifest(name, tag)
        (self._tags(name) / tag).unlink(missing_ok=True)

    def tags(self, name: str) -> list[str]:
        """The repository's tags in the order of their bytes.

        Raises:
            Refusal: NAME_UNKNOWN.
        """
        self.require_repository(name)
        directory = self._tags(name)
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []

    def _tagged(self, name: str, tag: str) -> Digest:
        return Digest.parse((self._tags(name) / tag).read_text("ascii"))

    def _tags(self, name: str) -> Path:
        return self._repositories / name / "_tags"

    def _blob(self, name: str, digest: Digest) -> Path:
        return self._repositories / name / "_blobs" / digest.algorithm / digest.hex

    def _link(self, blob: Path, link: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.link(blob, link)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a small file so that it appears complete, or replaces the old one at once."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(dir=self._staging)
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(staged, path)


def _blob_unknown(digest: Digest) -> Refusal:
    return Refusal("BLOB_UNKNOWN", "blob unknown to repository", {"digest": str(digest)})


def _read_manifest(path: Path) -> Manifest:
    media_type, _, content = path.read_bytes().partition(b"\n")
    return Manifest(Digest(path.parent.name, path.name), media_type.decode(), content)
