"""An OCI image layout directory, as a place to push to.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelcar.distribution.destination import StoredManifest
from modelcar.distribution.upload import Blob, BlobStream, Content
from modelcar.errors import DistributionError, InvalidInput
from modelcar.reference import Digest

REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_VERSION = {"imageLayoutVersion": "1.0.0"}


class Layout:
    """A layout directory; a `modelcar.distribution.destination.Destination`.

    Every file appears whole or not at all; several writers may share a directory.

    Attributes:
        name: `oci-layout:DIRECTORY`.
    """

    def __init__(self, directory: Path) -> None:
        """Bind to a directory; it is made by the first write.

        Raises:
            InvalidInput: The path is a file, or a directory with other things in it.
        """
        self.name = f"oci-layout:{directory}"
        self._directory = directory
        self._blobs = directory / "blobs" / "sha256"
        if directory.exists() and not directory.is_dir():
            raise InvalidInput(f"{directory} is not a directory")
        if directory.is_dir() and any(directory.iterdir()) and not (directory / "oci-layout").is_file():
            raise InvalidInput(
                f"{directory} has files in it and is not an OCI layout", hint="Name an empty or a new directory."
            )

    def check_access(self) -> None:
        """Make the directory.

        Raises:
            InvalidInput: It cannot be written to.
        """
        try:
            self._blobs.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if not (self._directory / "oci-layout").exists():
                    self._replace(self._directory / "oci-layout", [json.dumps(_VERSION).encode()])
        except OSError as error:
            raise InvalidInput(f"{self._directory} cannot be written to: {error.strerror}") from error

    def find_manifest(self, reference: str) -> StoredManifest | None:
        """The manifest that `index.json` names by this tag or digest."""
        for entry in self._read_index()["manifests"]:
            if reference in (entry["digest"], (entry.get("annotations") or {}).get(REF_NAME)):
                digest = Digest.parse(entry["digest"])
                content = self._path(digest).read_bytes()
                return StoredManifest(content, entry["mediaType"], digest)
        return None

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob's file is there; files appear only when they are whole."""
        return self._path(digest).is_file()

    def mount(self, digest: Digest, origin: str) -> bool:  # noqa: ARG002 - the protocol's
        """Never: a layout has no siblings."""
        return False

    def write_blob(self, blob: Blob, digest: Digest) -> None:
        """Store a blob of known digest."""
        self.check_access()
        self._replace(self._path(digest), blob)

    def write_stream(self, stream: BlobStream) -> Digest:
        """Store a blob while it is read."""
        self.check_access()
        with self._temporary() as (file, temporary):
            _write(file, stream)
            if stream.digest is None:  # pragma: no cover - a complete pass sets it
                raise AssertionError(self.name)
            os.replace(temporary, self._path(stream.digest))
            return stream.digest

    def write_manifest(self, content: bytes, media_type: str, tags: Sequence[str]) -> None:
        """Store a manifest and name it in `index.json`: once for each tag, or once without one."""
        digest = Digest.of(content)
        self.write_blob(Content(content), digest)
        with self._locked():
            index = self._read_index()
            index["manifests"] = [entry for entry in index["manifests"] if not _names(entry, digest, tags)]
            entry = {"mediaType": media_type, "digest": str(digest), "size": len(content)}
            index["manifests"] += [{**entry, "annotations": {REF_NAME: tag}} for tag in tags] or [entry]
            self._replace(self._directory / "index.json", [json.dumps(index, indent=2).encode()])

    def _path(self, digest: Digest) -> Path:
        return self._blobs / digest.hex

    def _read_index(self) -> dict[str, Any]:
        path = self._directory / "index.json"
        if not path.exists():
            return {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": []}
        try:
            index: dict[str, Any] = json.loads(path.read_bytes())
            for entry in index["manifests"]:
                Digest.parse(entry["digest"])
        except (ValueError, KeyError, TypeError) as error:
            raise DistributionError(f"{path} is not the index of an OCI layout") from error
        return index

    def _replace(self, path: Path, blocks: Iterable[bytes]) -> None:
        with self._temporary() as (file, temporary):
            _write(file, blocks)
            os.replace(temporary, path)

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, str]]:
        """An open file beside its later place; gone again unless it was renamed."""
        file, temporary = tempfile.mkstemp(prefix=".incoming-", dir=self._blobs)
        try:
            os.fchmod(file, 0o644)
            yield file, temporary
        finally:
            os.close(file)
            Path(temporary).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _write(file: int, blocks: Iterable[bytes]) -> None:
    for block in blocks:
        view = memoryview(block)
        while view:
            view = view[os.write(file, view) :]
    os.fsync(file)


def _names(entry: dict[str, Any], digest: Digest, tags: Sequence[str]) -> bool:
    """Whether an index entry is replaced by a new one: it has one of the tags, or is this manifest without a tag."""
    tag = (entry.get("annotations") or {}).get(REF_NAME)
    return tag in tags if tag is not None else entry["digest"] == str(digest)
