"""Checks of a model's content while its bytes pass, and of its files against each other at the end.

The digests are held against the published ones where they are computed, in the layer; here it is what the files mean.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from modelcar.errors import ContentMismatch, UnsafeContent
from modelcar.snapshot import ModelFile, ModelSnapshot, Source
from modelcar.sources.patterns import SAFETENSORS, find_match
from modelcar.sources.safetensors import INDEX_SUFFIX, HeaderCheck, IndexCheck
from modelcar.sources.signatures import SignatureCheck, describe_pickle


class _Check(Protocol):
    def update(self, block: bytes) -> None: ...

    def finish(self) -> None: ...


class FileCheck:
    """One pass over one file."""

    def __init__(
        self, file: ModelFile, signature: SignatureCheck, check: _Check | None, sound: Callable[[], None]
    ) -> None:
        """Begin a pass.

        Args:
            file: What is read.
            signature: Sees each block, and may raise.
            check: Sees each block after it, and may raise; for files of which more is known than their signature.
            sound: Called when the pass has ended well.
        """
        self._file, self._signature, self._sound = file, signature, sound
        self._checks: list[_Check] = [signature] if check is None else [signature, check]
        self._size_bytes = 0

    @property
    def is_pickle(self) -> bool:
        """Whether the content is a pickle that was allowed. What begins like one and is a sound shard is none."""
        return self._signature.is_pickle and not self._file.path.endswith(SAFETENSORS)

    def update(self, block: bytes) -> None:
        """Take the next block.

        Raises:
            UnsafeContent: The file must not go into an image.
        """
        self._size_bytes += len(block)
        for check in self._checks:
            check.update(block)

    def finish(self) -> None:
        """The file is at its end.

        Raises:
            UnsafeContent: The file must not go into an image.
            ContentMismatch: It has another size than published.
        """
        if self._size_bytes != self._file.size_bytes:
            raise ContentMismatch(
                f"{self._file.path} has {self._size_bytes} bytes, but {self._file.size_bytes} were published"
            )
        for check in self._checks:
            check.finish()
        self._sound()


class ModelCheck:
    """Checks one model; files may be read in any order, several at once, and again from their start.

    Per shard it keeps the names of the tensors, and nothing of the weights.
    """

    def __init__(self, snapshot: ModelSnapshot, allow_pickle: Sequence[str] = ()) -> None:
        """Begin.

        Args:
            snapshot: The model.
            allow_pickle: Patterns of files that may hold pickles.
        """
        self._allow_pickle = tuple(allow_pickle)
        self._sizes = {file.path: file.size_bytes for file in snapshot.files}
        self._left_out = {file.path: file.reason for file in snapshot.left_out}
        self._lock = threading.Lock()
        self._pending = set(self._sizes)
        self._tensors: dict[str, frozenset[str]] = {}
        self._indexes: dict[str, dict[str, set[str]]] = {}

    def file(self, file: ModelFile) -> FileCheck:
        """Begin a pass over one file; what an earlier pass over it found no longer counts when this one ends."""
        # A header of 640 bytes begins with what could be a pickle's, and nobody unpickles a sound safetensors file.
        is_safetensors = file.path.endswith(SAFETENSORS)
        signature = SignatureCheck(file.path, allow_pickle=is_safetensors or self._may_be_pickle(file))
        if is_safetensors:
            header = HeaderCheck(file)
            return FileCheck(file, signature, header, lambda: self._keep_tensors(file.path, header.tensors))
        if file.path.endswith(INDEX_SUFFIX):
            index = IndexCheck(file)
            return FileCheck(file, signature, index, lambda: self._keep_index(file.path, index.shards))
        return FileCheck(file, signature, None, lambda: self._settle(file.path))

    def skip(self, file: ModelFile, *, is_pickle: bool = False) -> None:
        """The file is not read: its bytes were checked when an earlier image was made of them.

        Args:
            file: What is skipped.
            is_pickle: What that check found. It was allowed then, which says nothing of now.

        Raises:
            UnsafeContent: It is a pickle, and not allowed.
        """
        if is_pickle and not self._may_be_pickle(file):
            raise describe_pickle(file.path)
        self._settle(file.path)

    def glance(self, file: ModelFile, blocks: Iterable[bytes], *, is_pickle: bool) -> None:
        """The file was read and checked before, and is at hand: take from it only what `finish` needs.

        Args:
            file: What is looked into.
            blocks: Its content; of a shard no more is taken than its header, of most files nothing.
            is_pickle: As in `skip`.

        Raises:
            UnsafeContent: See `skip`; or an index names a shard that is not there.
        """
        self.skip(file, is_pickle=is_pickle)
        self._peek(file, blocks)

    def look(self, file: ModelFile, source: Source) -> None:
        """Read no more of a file than says whether it is sound, if it is what it seems: headers and indexes.

        Raises:
            UnsafeContent: The file must not go into an image.
            SourceError: It cannot be read.
        """
        if file.path.endswith((SAFETENSORS, INDEX_SUFFIX)):
            with source.open(file) as blocks:
                self._peek(file, blocks)
        else:
            self._settle(file.path)

    def finish(self) -> None:
        """All files were read, looked at or skipped: hold the indexes against the shards.

        Raises:
            UnsafeContent: A shard lacks a tensor that an index promises.
            ValueError: A file was neither read to its end, nor looked at, nor skipped.
        """
        if self._pending:
            raise ValueError(f"never checked: {', '.join(sorted(self._pending))}")
        for path, shards in self._indexes.items():
            for shard, promised in shards.items():
                missing = promised - self._tensors.get(shard, promised)
                if missing:
                    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                    raise UnsafeContent(
                        f"{path} says that {shard} holds the tensor {min(missing)!r}{more}, but it does not",
                        hint="The index and the shards are of different versions; publish them together.",
                    )

    def _peek(self, file: ModelFile, blocks: Iterable[bytes]) -> None:
        """Keep what `finish` needs of a shard's header, or of an index; other files are not read."""
        if file.path.endswith(SAFETENSORS):
            header = HeaderCheck(file)
            for block in blocks:
                header.update(block)
                if header.is_complete:
                    break
            header.finish()
            self._keep_tensors(file.path, header.tensors)
        elif file.path.endswith(INDEX_SUFFIX):
            index = IndexCheck(file)
            for block in blocks:
                index.update(block)
            index.finish()
            self._keep_index(file.path, index.shards)

    def _may_be_pickle(self, file: ModelFile) -> bool:
        return find_match(file.path, self._allow_pickle) is not None

    def _settle(self, path: str) -> None:
        with self._lock:
            self._pending.discard(path)

    def _keep_tensors(self, path: str, tensors: frozenset[str]) -> None:
        with self._lock:
            self._tensors[path] = tensors
        self._settle(path)

    def _keep_index(self, path: str, shards: dict[str, set[str]]) -> None:
        """An index names shards: all must be in the image, which is known now and not only after hours.

        Raises:
            UnsafeContent: One is not.
        """
        for shard in sorted(shards):
            if shard not in self._sizes:
                reason = self._left_out.get(shard)
                raise UnsafeContent(
                    f"{path} needs {shard!a}, which is " + (f"left out ({reason})" if reason else "not there"),
                    hint="Take all shards of the model, or leave the index out (ignore).",
                )
        with self._lock:
            self._indexes[path] = shards
        self._settle(path)
