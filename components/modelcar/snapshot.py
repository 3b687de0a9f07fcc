"""What a model is: its files, and where they were published.

`ModelSnapshot` is what `resolve` gives and all later steps take. It holds no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from modelcar.reference import Digest


@dataclass(frozen=True, slots=True)
class ModelFile:
    r"""One file of a model.

    Attributes:
        path: Relative to the model's directory, `/` between parts, no `.` or `..` parts, NFC or not as published.
        size_bytes: Exact; a source that delivers another size raises ContentMismatch.
        sha256: Of the content, when the source published it (LFS files of a Hub), else None.
        git_blob_id: 40 hex digits, sha1 of `blob SIZE\0` and the content, when the source published it, else None.
    """

    path: str
    size_bytes: int
    sha256: Digest | None = None
    git_blob_id: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of the source that does not go into the image.

    Attributes:
        path: As in `ModelFile`.
        size_bytes: Its size.
        reason: A few words, for instance "default pattern *.bin" or "not in allow".
    """

    path: str
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """A model at one commit: an immutable list of files.

    Attributes:
        uri: Where it comes from, without revision: `hf://org/name`, `s3://bucket/prefix` or `file:///dir`; or by the
            digest that was found: `oci://registry/repository@sha256:…`.
        revision: Branch, tag or commit asked for; None where the source has no revisions.
        commit_hash: 40 hex digits that `revision` resolved to; None where the source has none.
        files: Sorted by the UTF-8 bytes of their paths; never empty.
        left_out: What the patterns left out, in the same order.
    """

    uri: str
    revision: str | None
    commit_hash: str | None
    files: tuple[ModelFile, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Sum of the files' sizes."""
        return sum(file.size_bytes for file in self.files)


class Source(Protocol):
    """Where a model's bytes come from; one implementation per URI scheme."""

    @property
    def can_be_sampled(self) -> bool:
        """Whether a few bytes of a big file cost little, wherever in it they stand."""
        ...

    def snapshot(self) -> ModelSnapshot:
        """Resolve the revision and list the files.

        No file content is read, but of an image of another tool's that has gzip layers: those are read whole, for only
        that tells their files.

        Raises:
            SourceNotFound: No such repository, revision or directory, or no file is left after the patterns.
            SourceAccessDenied: Private or gated without the right token.
            SourceError: Unreachable, or an answer that makes no sense (retryable where that may help).
        """
        ...

    def open(self, file: ModelFile, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """Read one file from `offset` to its end, in blocks of at most 1 MiB, none empty.

        Args:
            file: One of `snapshot().files`.
            offset: Bytes to skip, 0 to `file.size_bytes`.

        Returns:
            A context manager; leaving it early closes the connection or file.

        Raises:
            SourceError: The connection failed or ended early (retryable), the file is gone or changed (not retryable).
        """
        ...

    def close(self) -> None:
        """Let go of what is read ahead or kept open for later; whoever has read all that he wants, or failed, calls it.

        Files can still be opened. May be called again, and while files are read.
        """
        ...
