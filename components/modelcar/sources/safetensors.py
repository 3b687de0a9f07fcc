"""Headers of safetensors files, and the index of a model that is split into shards.

Source: https://github.com/huggingface/safetensors#format: 8 bytes of length, little-endian; that many bytes of JSON;
the tensors, which cover the rest without a hole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from posixpath import dirname, join, normpath
from typing import Any, TypeGuard

from modelcar.errors import UnsafeContent
from modelcar.snapshot import ModelFile

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit; also how much of an index is read."""

INDEX_SUFFIX = ".safetensors.index.json"

_LENGTH_BYTES = 8
_SHOWN_CHARACTERS = 100
_METADATA = "__metadata__"

# Sizes in bits. A type that is missing here is newer than this table: its offsets are checked, its shape is not.
_BITS: Mapping[str, int] = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


class HeaderCheck:
    """Reads the header of one safetensors file as it passes; keeps nothing else.

    Attributes:
        tensors: Names of the tensors; empty before the header is complete.
        is_complete: Whether all of the header has passed.
    """

    def __init__(self, file: ModelFile) -> None:
        self.tensors: frozenset[str] = frozenset()
        self.is_complete = False
        self._file = file
        self._buffer = bytearray()
        self._wanted_bytes = _LENGTH_BYTES

    def update(self, block: bytes) -> None:
        """Take the next block.

        Raises:
            UnsafeContent: The header is broken, or does not describe a file of this size.
        """
        position = 0
        while not self.is_complete and position < len(block):
            part = block[position : position + self._wanted_bytes - len(self._buffer)]
            self._buffer += part
            position += len(part)
            if len(self._buffer) == self._wanted_bytes:
                self._advance()

    def finish(self) -> None:
        """The file is at its end.

        Raises:
            UnsafeContent: The header is not.
        """
        if not self.is_complete:
            raise self._broken("it ends within its header")

    def _advance(self) -> None:
        """The length is complete, or the header is."""
        if self._wanted_bytes == _LENGTH_BYTES:
            length = int.from_bytes(self._buffer, "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, self._file.size_bytes - _LENGTH_BYTES):
                raise self._broken(f"its header claims {length} bytes")
            self._wanted_bytes += length
            return
        data_bytes = self._file.size_bytes - self._wanted_bytes
        try:
            self.tensors = parse_header(bytes(self._buffer[_LENGTH_BYTES:]), data_bytes)
        except ValueError as error:
            raise self._broken(str(error)) from error
        self._buffer.clear()
        self.is_complete = True

    def _broken(self, reason: str) -> UnsafeContent:
        return UnsafeContent(
            f"{self._file.path} is not a sound safetensors file: {reason}",
            hint="Publish the file again; a download that broke off looks like this, too.",
        )


class IndexCheck:
    """Keeps the index of a sharded model as it passes, and reads it at the end.

    Attributes:
        shards: Names of the tensors by the path of the shard that should hold them; empty before `finish`.
    """

    def __init__(self, file: ModelFile) -> None:
        self.shards: dict[str, set[str]] = {}
        self._path = file.path
        self._content = bytearray()

    def update(self, block: bytes) -> None:
        """Take the next block.

        Raises:
            UnsafeContent: It is larger than any index.
        """
        self._content += block
        if len(self._content) > MAX_HEADER_BYTES:
            raise UnsafeContent(f"{self._path} is larger than {MAX_HEADER_BYTES} bytes, no index is")

    def finish(self) -> None:
        """The file is at its end.

        Raises:
            UnsafeContent: It is not an index.
        """
        try:
            weights = _parse_object(bytes(self._content)).get("weight_map")
            if not isinstance(weights, dict) or not all(isinstance(shard, str) for shard in weights.values()):
                raise ValueError("weight_map is not a table of file names")
        except ValueError as error:
            raise UnsafeContent(f"{self._path} is not a sound index of shards: {error}") from error
        self._content.clear()
        for tensor, shard in weights.items():
            self.shards.setdefault(normpath(join(dirname(self._path), shard)), set()).add(tensor)


def parse_header(header: bytes, data_bytes: int) -> frozenset[str]:
    """Check a safetensors header.

    Args:
        header: The JSON, without its length.
        data_bytes: Bytes that follow the header in the file.

    Returns:
        The names of the tensors.

    Raises:
        ValueError: It is not JSON of the expected form, or the tensors do not cover the data exactly.
    """
    if not header.startswith(b"{"):
        raise ValueError("its header does not begin with {")
    entries = _parse_object(header)
    metadata = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{_METADATA} is not a table of texts")
    spans = sorted(_span(name, entry) for name, entry in entries.items())
    for (_, end), (begin, _) in pairwise([(0, 0), *spans, (data_bytes, data_bytes)]):
        if end != begin:
            raise ValueError(f"its tensors do not cover its {data_bytes} bytes of data exactly")
    return frozenset(entries)


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends in the data."""
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"tensor {_shown(name)} lacks a dtype, shape or data_offsets")
    begin, end = offsets
    bits = _BITS.get(dtype)
    if end < begin or (bits is not None and not _fills(shape, bits, 8 * (end - begin))):
        raise ValueError(f"tensor {_shown(name)} of shape {_shown(shape)} does not fit its {end - begin} bytes")
    return begin, end


def _fills(shape: list[int], bits: int, size_bits: int) -> bool:
    """Whether a tensor takes exactly so many bits; a shape made to take for ever is given up as soon as it is more."""
    total = 0 if 0 in shape else bits
    for extent in shape:
        total *= extent
        if total > size_bits:
            return False
    return total == size_bits


def _shown(value: object) -> str:
    """A value for a message, however long somebody made it."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _parse_object(content: bytes) -> dict[str, Any]:
    """Read one JSON object without duplicate keys.

    Raises:
        ValueError: It is not one.
    """
    try:
        value = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("its JSON is not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("its JSON has a name twice")
    for text in (text for pair in pairs for text in pair if isinstance(text, str)):
        text.encode()  # raises for half a surrogate pair, which Python's reader takes and others do not
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"its JSON has {name}")
