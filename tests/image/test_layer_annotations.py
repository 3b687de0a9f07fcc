from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.image.content import MAX_GIT_BLOB_BYTES, FileContent
from modelcar.image.manifest import (
    FILES_ANNOTATION,
    FORMAT_ANNOTATION,
    LAYER_TYPE,
    Descriptor,
    layer_contents,
    layer_descriptor,
    parse_layers,
)
from modelcar.reference import Digest, Platform

AMD64 = Platform("linux", "amd64")
DIGEST = Digest.of(b"layer")
HEX = st.text("0123456789abcdef", min_size=40, max_size=40)
SMALL = st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, MAX_GIT_BLOB_BYTES), HEX).map(
    lambda row: FileContent(row[0], row[1], Digest.of(row[0].encode()), row[2])
)
PICKLE = SMALL.map(lambda content: replace(content, is_pickle=True))
LARGE = st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(MAX_GIT_BLOB_BYTES + 1, 1 << 60)).map(
    lambda row: FileContent(row[0], row[1], Digest.of(row[0].encode()), None)
)


@settings(deadline=None)
@given(st.lists(SMALL | LARGE | PICKLE, max_size=5))
def test_a_layers_descriptor_tells_the_next_push_what_it_holds(contents: list[FileContent]) -> None:
    descriptor = layer_descriptor(DIGEST, 5, contents)
    assert layer_contents(descriptor) == tuple(contents)
    assert layer_contents(Descriptor.from_json(json.loads(json.dumps(descriptor.to_json())))) == tuple(contents)


def test_only_a_pickle_is_told_as_one() -> None:
    file = FileContent("a", 1, DIGEST, "0" * 40)
    assert layer_descriptor(DIGEST, 5, [file]).annotations[FILES_ANNOTATION] == row()
    assert layer_descriptor(DIGEST, 5, [replace(file, is_pickle=True)]).annotations[FILES_ANNOTATION] == row(
        pickle=True
    )


def row(**changes: Any) -> str:
    fields = {"path": "a", "size": 1, "sha256": DIGEST.hex, "blob": "0" * 40, **changes}
    return json.dumps([list(fields.values())], separators=(",", ":"))


FOREIGN: list[dict[str, str]] = [
    {},
    {FILES_ANNOTATION: row()},
    {FORMAT_ANNOTATION: "1"},
    {FORMAT_ANNOTATION: "0", FILES_ANNOTATION: row()},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(), "somebody": "else"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: ""},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: "{"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: "{}"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: "7"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: "[7]"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: '[["a",1]]'},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: f" {row()}"},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(path=7)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(size="1")},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(size=True)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(size=-1)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(sha256="abc")},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(sha256=None)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(blob=None)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(blob=7)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(size=1 << 40)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(pickle=False)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(pickle=1)},
    {FORMAT_ANNOTATION: "1", FILES_ANNOTATION: row(pickle=True, more=True)},
]


@pytest.mark.parametrize("annotations", FOREIGN)
def test_a_layer_that_is_not_annotated_as_we_do_it_is_not_ours(annotations: dict[str, str]) -> None:
    assert layer_contents(Descriptor(LAYER_TYPE, DIGEST, 5, annotations)) is None


def test_a_compressed_layer_is_not_ours_whatever_it_says() -> None:
    ours = layer_descriptor(DIGEST, 5, [])
    assert layer_contents(Descriptor(f"{LAYER_TYPE}+gzip", DIGEST, 5, ours.annotations)) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST)},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": "5"},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": -1},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": True},
        {"mediaType": None, "digest": str(DIGEST), "size": 5},
        {"mediaType": LAYER_TYPE, "digest": "sha512:abc", "size": 5},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": 5, "annotations": ["a"]},
        {"mediaType": LAYER_TYPE, "digest": str(DIGEST), "size": 5, "annotations": {"a": 7}},
    ],
)
def test_a_manifest_with_a_broken_descriptor_has_no_layers_to_take_over(value: dict[str, Any]) -> None:
    assert parse_layers(json.dumps({"layers": [value]}).encode()) == ()
