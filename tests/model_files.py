"""Small models for tests: files in memory as a source that can be told to break, and shards that pass every check."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from modelcar.errors import PromotionError, SourceError
from modelcar.image.packing import SMALL_FILE_BYTES
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile, ModelSnapshot

BLOCK_BYTES = 1 << 18


def shard(size_bytes: int = SMALL_FILE_BYTES, seed: int = 0, tensor: str = "weight") -> bytes:
    """A sound safetensors file of exactly this size, with one tensor of bytes."""
    for pad in range(16):
        header = {tensor: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}
        data_bytes = size_bytes - 8 - len(json.dumps(header)) - 2 * (len(str(size_bytes)) - 1) - pad
        header[tensor] = {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}
        text = json.dumps(header).ljust(size_bytes - 8 - data_bytes).encode()
        content = len(text).to_bytes(8, "little") + text + random.Random(seed).randbytes(data_bytes)
        if len(content) == size_bytes:
            return content
    raise ValueError(size_bytes)


def git_blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def model_file(path: str, content: bytes, *, published: bool = True) -> ModelFile:
    """As a Hub publishes it: weights by sha256, the rest by git blob id; or by its size only."""
    if not published:
        return ModelFile(path, len(content))
    if path.endswith(".safetensors"):
        return ModelFile(path, len(content), sha256=Digest.of(content))
    return ModelFile(path, len(content), git_blob_id=git_blob_id(content))


class Files:
    """Files in memory; a `modelcar.snapshot.Source`.

    Attributes:
        contents: May be changed, to change a file under a reader.
        opened: Path and offset of every opening.
        bytes_read: Handed out so far.
        closed: How often.
        on_block: Called with path and offset before each block.
    """

    def __init__(self, contents: Mapping[str, bytes], *, published: bool = True) -> None:
        self.contents = dict(sorted(contents.items(), key=lambda item: item[0].encode()))
        self.files = tuple(model_file(path, content, published=published) for path, content in self.contents.items())
        self.opened: list[tuple[str, int]] = []
        self.bytes_read = self.closed = 0
        self.on_block: Callable[[str, int], None] = lambda _path, _offset: None
        self._breaks: list[tuple[str, int, PromotionError]] = []
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.contents.values()))

    def break_off(self, path: str, at: int, error: PromotionError | None = None) -> None:
        """Fail once when `path` was read up to `at`."""
        self._breaks.append((path, at, error or SourceError(f"{path} broke off", retryable=True)))

    @property
    def can_be_sampled(self) -> bool:
        return True

    def snapshot(self) -> ModelSnapshot:
        return ModelSnapshot("memory:///model", "main", "0" * 40, self.files)

    def close(self) -> None:
        self.closed += 1

    @contextmanager
    def open(self, file: ModelFile, offset: int = 0) -> Iterator[Iterator[bytes]]:
        with self._lock:
            self.opened.append((file.path, offset))
        yield self._blocks(file.path, offset)

    def _blocks(self, path: str, offset: int) -> Iterator[bytes]:
        content = self.contents[path]
        while True:
            end = min([len(content), offset + BLOCK_BYTES, *self._stops(path, offset)])
            if end > offset:
                self.on_block(path, offset)
                with self._lock:
                    self.bytes_read += end - offset
                yield content[offset:end]
            offset = end
            self._fail_at(path, offset)
            if offset == len(content):
                return

    def _stops(self, path: str, offset: int) -> list[int]:
        with self._lock:
            return [at for broken, at, _ in self._breaks if broken == path and at >= offset]

    def _fail_at(self, path: str, offset: int) -> None:
        with self._lock:
            for entry in self._breaks:
                if entry[:2] == (path, offset):
                    self._breaks.remove(entry)
                    raise entry[2]


class NoCheck:
    """Looks at a file's bytes and minds nothing."""

    is_pickle = False

    def update(self, block: bytes) -> None:
        pass

    def finish(self) -> None:
        pass


def no_check(_: ModelFile) -> NoCheck:
    return NoCheck()
