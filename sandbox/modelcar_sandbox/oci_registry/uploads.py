"""Uploads under way: a file each, which outlives the process, and a hash that grows with it and need not."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcar_sandbox.oci_registry.bodies import BLOCK_BYTES, Body
from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.names import Digest

if TYPE_CHECKING:
    from hashlib import _Hash

FORGET_AFTER_S = 7 * 24 * 3600
BUSY_TIMEOUT_S = 15.0
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Upload:
    """One upload session; use it as a context manager, which keeps other requests to the same session out.

    Attributes:
        id: In the upload's URL.
        file: Its bytes so far.
    """

    def __init__(self, upload_id: str, file: Path, algorithm: str) -> None:
        self.id = upload_id
        self.file = file
        self._lock = threading.Lock()
        self._hasher = hashlib.new(algorithm)
        self._hashed_bytes = 0

    def __enter__(self) -> Upload:
        # A request whose client died silently holds the session until the server gives up on the connection.
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise Refusal("BLOB_UPLOAD_INVALID", "another request writes to this upload", status=409)
        if not self.file.is_file():
            self._lock.release()
            raise _unknown(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def size_bytes(self) -> int:
        """How many bytes have arrived.

        Raises:
            Refusal: BLOB_UPLOAD_UNKNOWN; the session ended meanwhile.
        """
        try:
            return self.file.stat().st_size
        except FileNotFoundError:
            raise _unknown(self.id) from None

    def append(self, body: Body, algorithm: str | None = None) -> int:
        """Add a request's body and return its length in bytes. When it breaks off, what has arrived stays.

        Args:
            body: Read to its end.
            algorithm: Of the digest that will be asked for, when that is known already.

        Raises:
            ConnectionResetError: The client is gone before the end.
        """
        hasher = self._hasher_for(algorithm or self._hasher.name)
        before = self._hashed_bytes
        buffer = memoryview(bytearray(BLOCK_BYTES))
        with self.file.open("ab", buffering=0) as file:
            while count := body.read_into(buffer):
                block = buffer[:count]
                _write(file, block)
                hasher.update(block)
                self._hashed_bytes += count
        return self._hashed_bytes - before

    def truncate(self, size_bytes: int) -> None:
        """Forget everything after the first `size_bytes` bytes."""
        os.truncate(self.file, size_bytes)

    def digest(self, algorithm: str) -> Digest:
        """Digest of all bytes so far."""
        return Digest.taken(self._hasher_for(algorithm))

    def _hasher_for(self, algorithm: str) -> _Hash:
        """A hash of exactly the bytes in the file; they are read again after a restart or with another algorithm."""
        if self._hasher.name != algorithm or self._hashed_bytes != self.size_bytes:
            with self.file.open("rb") as file:
                self._hasher = hashlib.file_digest(file, algorithm)
            self._hashed_bytes = self.size_bytes
        return self._hasher


class Uploads:
    """All upload sessions, each in a directory of its own below one."""

    def __init__(self, directory: Path) -> None:
        """Keep what an earlier process left, except sessions that nobody wrote to for a week."""
        self._directory = directory
        self._lock = threading.Lock()
        self._sessions: dict[str, Upload] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for file in directory.glob("*/*"):
            if time.time() - file.stat().st_mtime > FORGET_AFTER_S:
                shutil.rmtree(file.parent, ignore_errors=True)

    def begin(self, name: str, algorithm: str = "sha256") -> Upload:
        """Begin an upload to the repository `name`."""
        upload_id = str(uuid.uuid4())
        file = self._file(name, upload_id)
        file.parent.mkdir(parents=True)
        file.touch()
        with self._lock:
            upload = self._sessions[upload_id] = Upload(upload_id, file, algorithm)
        return upload

    def find(self, name: str, upload_id: str) -> Upload:
        """The upload with this id, when it was begun for the repository `name`.

        Raises:
            Refusal: BLOB_UPLOAD_UNKNOWN.
        """
        if not _ID.fullmatch(upload_id):
            raise _unknown(upload_id)
        file = self._file(name, upload_id)
        with self._lock:
            if not file.is_file():
                raise _unknown(upload_id)
            return self._sessions.setdefault(upload_id, Upload(upload_id, file, "sha256"))

    def end(self, upload: Upload) -> None:
        """Remove the session and its bytes, if they were not taken over."""
        shutil.rmtree(self._directory / upload.id, ignore_errors=True)
        with self._lock:
            self._sessions.pop(upload.id, None)

    def _file(self, name: str, upload_id: str) -> Path:
        """The session's file; its name says for which repository it is, so that one file is all there is."""
        return self._directory / upload_id / name.replace("/", "+")


def _write(file: Any, block: memoryview) -> None:
    while block:
        block = block[file.write(block) :]


def _unknown(upload_id: str) -> Refusal:
    return Refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", {"upload": upload_id})
