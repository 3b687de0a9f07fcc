from __future__ import annotations

import json
from math import prod
from typing import Any

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import UnsafeContent
from modelcar.snapshot import ModelFile
from modelcar.sources.safetensors import HeaderCheck, IndexCheck

TENSOR = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}


def shard(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def check(content: bytes, block_bytes: int = 1 << 20, size_bytes: int | None = None) -> frozenset[str]:
    header = HeaderCheck(ModelFile("m.safetensors", len(content) if size_bytes is None else size_bytes))
    for start in range(0, len(content), block_bytes):
        header.update(content[start : start + block_bytes])
    header.finish()
    return header.tensors


SIZES = {"F64": 8, "F32": 4, "BF16": 2, "I16": 2, "BOOL": 1, "U8": 1}
TENSORS = st.dictionaries(
    st.text(min_size=1, max_size=5).filter(lambda name: name != "__metadata__"),
    st.tuples(st.sampled_from(sorted(SIZES)), st.lists(st.integers(0, 3), max_size=3)),
    max_size=4,
)


def serialize(tensors: dict[str, tuple[str, list[int]]]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + SIZES[dtype] * prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return shard(header, bytes(end))


def deserialize(content: bytes) -> list[tuple[str, object]]:
    tensors: list[tuple[str, object]] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    return tensors


@settings(deadline=None)
@given(TENSORS, st.integers(1, 50))
def test_what_the_library_reads_passes_however_it_is_cut(
    tensors: dict[str, tuple[str, list[int]]], block_bytes: int
) -> None:
    content = serialize(tensors)
    assert {name for name, _ in deserialize(content)} == check(content, block_bytes) == set(tensors)


@settings(deadline=None, max_examples=300)
@given(TENSORS, st.data())
def test_what_the_library_refuses_is_refused(tensors: dict[str, tuple[str, list[int]]], data: st.DataObject) -> None:
    content = bytearray(serialize(tensors))
    where = data.draw(st.integers(0, 7 + int.from_bytes(content[:8], "little")))
    content[where] = data.draw(st.sampled_from(b'0123456789{}[],:" \x00\x80'))
    try:
        deserialize(bytes(content))
    except safetensors.SafetensorError as error:
        if "unknown variant" in str(error):  # a dtype that this version of the library does not know
            return
        with pytest.raises(UnsafeContent):
            check(bytes(content))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends within its header"),
        (b"\x00\x01", "ends within its header"),
        (b"\xff" * 16, "its header claims 18446744073709551615 bytes"),
        ((101).to_bytes(8, "little") + b"{}", "its header claims 101 bytes"),
        (shard(b"[]", b""), "does not begin with {"),
        (shard(b" {}", b""), "does not begin with {"),
        (shard(b"{]", b""), "Expecting"),
        (shard(b'{"a"\xff:1}', b""), "can't decode"),
        (shard(b'{"a":' + b"[" * 200_000, b""), "nested too deeply"),
        (shard({"a": 1}), "tensor 'a' lacks"),
        (shard({"a": {**TENSOR, "shape": [-2, -2]}}), "tensor 'a' lacks"),
        (shard({"a": {**TENSOR, "shape": [True, 4]}}), "tensor 'a' lacks"),
        (shard({"a": {**TENSOR, "data_offsets": [0, 8, 9]}}), "tensor 'a' lacks"),
        (shard({"a": {**TENSOR, "data_offsets": None}}), "tensor 'a' lacks"),
        (shard({"a": {"shape": [1], "data_offsets": [0, 8]}}), "tensor 'a' lacks"),
        (shard({"a": {**TENSOR, "shape": [3, 2]}}), r"shape \[3, 2\] does not fit its 8 bytes"),
        (shard({"a": {**TENSOR, "data_offsets": [8, 0]}}), "does not fit its -8 bytes"),
        (shard({"a": TENSOR}, bytes(9)), "do not cover its 9 bytes of data exactly"),
        (shard({"a": TENSOR}, bytes(7)), "do not cover its 7 bytes"),
        (shard({"a": TENSOR, "b": TENSOR}), "do not cover its 8 bytes"),
        (shard({"b": {**TENSOR, "data_offsets": [1, 9]}}, bytes(9)), "do not cover its 9 bytes"),
        (shard({"a": {**TENSOR, "shape": [2**62] * 100_000}}), "does not fit its 8 bytes"),
        (shard({"a" * 1000: {**TENSOR, "shape": [3]}}), r"tensor 'a{99}… of shape \[3\] does not fit its 8 bytes"),
        (shard({}), "do not cover its 8 bytes"),
        (shard(b'{"a": %s, "a": %s}' % ((json.dumps(TENSOR).encode(),) * 2)), "a name twice"),
        (shard({"__metadata__": {"x": 1}, "a": TENSOR}), "__metadata__ is not a table of texts"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnsafeContent, match=reason):
        check(content)


def test_a_file_cut_short_is_known_by_its_published_size() -> None:
    with pytest.raises(UnsafeContent, match="do not cover its 8 bytes"):
        check(shard({"a": {**TENSOR, "shape": [4, 4], "data_offsets": [0, 32]}}))


def test_a_header_is_judged_as_soon_as_it_is_complete() -> None:
    header = HeaderCheck(ModelFile("m.safetensors", 10**12))
    with pytest.raises(UnsafeContent, match="do not cover"):
        header.update(shard({"a": TENSOR}, b""))


def test_a_header_above_the_formats_limit_is_not_even_read() -> None:
    header = HeaderCheck(ModelFile("m.safetensors", 10**12))
    with pytest.raises(UnsafeContent, match="claims 100000001 bytes"):
        header.update((100_000_001).to_bytes(8, "little"))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F4", "shape": [4, 4], "data_offsets": [0, 8]},
        {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]},
        {"dtype": "F8_E8M0", "shape": [5], "data_offsets": [0, 5]},
        {"dtype": "F128_OF_TOMORROW", "shape": [3], "data_offsets": [0, 7]},
        {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [0, 7], "data_offsets": [0, 0]},
    ],
)
def test_small_new_scalar_and_empty_types_pass(entry: dict[str, Any]) -> None:
    assert check(shard({"a": entry}, bytes(entry["data_offsets"][1]))) == {"a"}


def read_index(content: bytes, path: str = "model.safetensors.index.json") -> dict[str, set[str]]:
    index = IndexCheck(ModelFile(path, len(content)))
    index.update(content[:5])
    index.update(content[5:])
    index.finish()
    return index.shards


def test_an_index_lists_tensors_by_shard_beside_it() -> None:
    content = json.dumps({"metadata": {}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}).encode()
    assert read_index(content, "unet/x.safetensors.index.json") == {
        "unet/1.safetensors": {"a"},
        "unet/2.safetensors": {"b"},
    }


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"nonsense", b'{"weight_map": {"a": 1}}', b'{"weight_map": []}', b""]
)
def test_an_index_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(UnsafeContent, match="is not a sound index of shards"):
        read_index(content)
