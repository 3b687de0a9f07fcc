"""An OCI image layout directory, as a place to push to.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any

from modelcar.distribution.destination import MAX_MANIFEST_BYTES, StoredManifest
from modelcar.distribution.upload import Blob, BlobStream, Content
from modelcar.errors import ContentMismatch, DistributionError, InvalidInput, InvalidReference
from modelcar.reference import Digest
from modelcar.retry import retry

REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_TEMPORARY = ".incoming-"
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
        self._wait: Callable[[float], None] = time.sleep
        if directory.exists() and not directory.is_dir():
            raise InvalidInput(f"{directory} is not a directory", hint="Name an empty or a new directory.")
        # In this order: another push may make the layout meanwhile, and it writes `oci-layout` first.
        if directory.is_dir() and not _is_unborn(directory) and not (directory / "oci-layout").is_file():
            raise InvalidInput(
                f"{directory} has files in it and is not an OCI layout", hint="Name an empty or a new directory."
            )

    def waiting_by(self, wait: Callable[[float], None]) -> Layout:
        """The same layout, where `wait` is called with the seconds between two attempts."""
        other = copy(self)
        other._wait = wait
        return other

    def check_access(self) -> None:
        """Make the directory, and remove what pushes left there that were killed.

        Raises:
            DistributionError: It cannot be written to.
        """
        with self._writing():
            self._blobs.mkdir(parents=True, exist_ok=True)
            _sweep(self._directory)
            with self._locked():
                if not (self._directory / "oci-layout").exists():
                    self._replace(self._directory / "oci-layout", [json.dumps(_VERSION).encode()])

    def find_manifest(self, reference: str) -> StoredManifest | None:
        """The manifest that `index.json` names by this tag or digest, or that an index which it names names by digest.

        Raises:
            DistributionError: The index makes no sense, or names what is not there.
            ContentMismatch: The file does not have the digest that it is named by.
        """
        entries = self._read_index()["manifests"]
        for entry in entries:
            if reference in (entry["digest"], (entry.get("annotations") or {}).get(REF_NAME)):
                return StoredManifest(self._read(entry["digest"]), entry["mediaType"], Digest.parse(entry["digest"]))
        for index in (entry["digest"] for entry in entries if entry["mediaType"] == _INDEX_TYPE):
            for digest, media_type in _images_of(self._read(index)):
                if reference == digest:
                    return StoredManifest(self._read(digest), media_type, Digest.parse(digest))
        return None

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob's file is there; files appear only when they are whole."""
        return self._path(digest).is_file()

    def read_range(self, digest: Digest, start: int, stop: int) -> bytes | None:
        """Some bytes of a blob, not checked; None where its file is not there or shorter."""
        try:
            with self._path(digest).open("rb") as file:
                content = os.pread(file.fileno(), stop - start, start)
        except OSError:
            return None
        return content if len(content) == stop - start else None

    def mount(self, digest: Digest, origin: str) -> bool:  # noqa: ARG002 - the protocol's
        """Never: a layout has no siblings."""
        return False

    def write_blob(self, blob: Blob, digest: Digest) -> None:
        """Store a blob of known digest; several attempts, for its bytes may come from a registry.

        Raises:
            ContentMismatch: It has another digest.
            DistributionError: The directory cannot be written to.
            PromotionError: What reading the blob raised.
        """
        retry(lambda: self._store(_Hashed(blob), digest), wait=self._wait)

    def write_stream(self, stream: BlobStream) -> Digest:
        """Store a blob while it is read; each attempt reads it from its start.

        Raises:
            DistributionError: The directory cannot be written to.
            PromotionError: What reading the stream raised.
        """
        return retry(lambda: self._store(stream, None), wait=self._wait)

    def write_manifest(self, content: bytes, media_type: str, tags: Sequence[str]) -> None:
        """Store a manifest and name it in `index.json`: once for each tag, or once without one.

        Manifests without a tag that an index names are found through it from then on: tools that are asked for the
        image of a layout without a tag want to find one.
        """
        digest = Digest.of(content)
        self.write_blob(Content(content), digest)
        below = {below for below, _ in _images_of(content)} if media_type == _INDEX_TYPE else set()
        with self._writing(), self._locked():
            index = self._read_index()
            index["manifests"] = [entry for entry in index["manifests"] if not _names(entry, digest, tags, below)]
            entry = {"mediaType": media_type, "digest": str(digest), "size": len(content)}
            index["manifests"] += [{**entry, "annotations": {REF_NAME: tag}} for tag in tags] or [entry]
            self._replace(self._directory / "index.json", [json.dumps(index, indent=2).encode()])

    def remove_manifest(self, digest: Digest, tag: str | None) -> bool:
        """Take a manifest's entry away, and its file unless another entry names it."""
        with self._writing(), self._locked():
            index = self._read_index()
            index["manifests"] = [
                entry
                for entry in index["manifests"]
                if (entry["digest"], (entry.get("annotations") or {}).get(REF_NAME)) != (str(digest), tag)
            ]
            self._replace(self._directory / "index.json", [json.dumps(index, indent=2).encode()])
            if all(entry["digest"] != str(digest) for entry in index["manifests"]):
                self._path(digest).unlink(missing_ok=True)
        return True

    def _path(self, digest: Digest) -> Path:
        return self._blobs / digest.hex

    def _store(self, stream: BlobStream, expected: Digest | None) -> Digest:
        """Write a blob beside its later place, and name it when it is whole and what it should be."""
        self.check_access()
        with self._writing(), self._temporary() as (file, temporary):
            _write(file, stream)
            if stream.digest is None:  # pragma: no cover - a complete pass sets it
                raise AssertionError(self.name)
            if expected not in (None, stream.digest):
                raise ContentMismatch(f"what came to {self.name} as {expected} has the digest {stream.digest}")
            os.replace(temporary, self._path(stream.digest))
            return stream.digest

    def _read(self, digest_text: str) -> bytes:
        digest = Digest.parse(digest_text)
        try:
            with self._path(digest).open("rb") as file:
                content = file.read(MAX_MANIFEST_BYTES + 1)
        except OSError as error:
            raise DistributionError(f"{self.name} names {digest}, but cannot give it: {error.strerror}") from error
        if len(content) > MAX_MANIFEST_BYTES:
            raise DistributionError(f"{self.name} names {digest}, which has more than {MAX_MANIFEST_BYTES} bytes")
        if Digest.of(content) != digest:
            raise ContentMismatch(f"{self.name} holds other content under {digest}")
        return content

    def _read_index(self) -> dict[str, Any]:
        path = self._directory / "index.json"
        if not path.exists():
            return {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": []}
        try:
            index: dict[str, Any] = json.loads(path.read_bytes())
            for entry in index["manifests"]:
                Digest.parse(entry["digest"])
                dict(entry.get("annotations") or {}, mediaType=entry["mediaType"])
        except (ValueError, KeyError, TypeError, InvalidReference) as error:
            raise DistributionError(f"{path} is not the index of an OCI layout") from error
        return index

    def _replace(self, path: Path, blocks: Iterable[bytes]) -> None:
        with self._temporary() as (file, temporary):
            _write(file, blocks)
            os.replace(temporary, path)

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, str]]:
        """An open file beside its later place; gone again unless it was renamed. Its lock says that it is needed."""
        file, temporary = _make_locked(self._directory)
        try:
            os.fchmod(file, 0o644)
            yield file, temporary
        finally:
            os.close(file)
            Path(temporary).unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tell what the operating system refuses as an error of this directory."""
        try:
            yield
        except OSError as error:
            room = "Make room there, or name" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Name"
            raise DistributionError(
                f"{self._directory} cannot be written to: {error.strerror}", hint=f"{room} another directory."
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class _Hashed:
    """A blob whose digest is computed while it is read, whoever says to know it already."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.digest: Digest | None = None

    def __len__(self) -> int:
        return len(self._blob)

    def __iter__(self) -> Iterator[bytes]:
        sha256 = hashlib.sha256()
        for block in self._blob:
            sha256.update(block)
            yield block
        self.digest = Digest(sha256.hexdigest())


def _is_unborn(directory: Path) -> bool:
    """Whether there is nothing in it but what a first push leaves that was killed early."""
    return all(path.name == "blobs" or path.name.startswith(_TEMPORARY) for path in directory.iterdir())


def _make_locked(directory: Path) -> tuple[int, str]:
    """A new file with its lock taken; another push may sweep it away in between."""
    while True:
        file, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=directory)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return file, temporary
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _sweep(directory: Path) -> None:
    """Remove files that nobody writes any more: the kernel gives a lock back, however its process ended."""
    for path in directory.glob(f"{_TEMPORARY}*"):
        with suppress(FileNotFoundError, PermissionError):
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                continue
            finally:
                os.close(file)


def _write(file: int, blocks: Iterable[bytes]) -> None:
    """Write everything through to the disk."""
    for block in blocks:
        view = memoryview(block)
        while view:
            view = view[os.write(file, view) :]
    os.fsync(file)


def _names(entry: dict[str, Any], digest: Digest, tags: Sequence[str], below: Set[str]) -> bool:
    """Whether an entry is replaced by a new one: it has one of the tags, or without a tag is this manifest or below."""
    tag = (entry.get("annotations") or {}).get(REF_NAME)
    return tag in tags if tag is not None else entry["digest"] in {str(digest), *below}


def _images_of(index: bytes) -> list[tuple[str, str]]:
    """Digest and media type of what an index names; nothing when it makes no sense."""
    try:
        images = [(entry["digest"], entry["mediaType"]) for entry in json.loads(index)["manifests"]]
        return [(str(Digest.parse(digest)), str(media_type)) for digest, media_type in images]
    except (ValueError, KeyError, TypeError, InvalidReference, RecursionError):
        return []
