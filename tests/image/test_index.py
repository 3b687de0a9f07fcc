from __future__ import annotations

import json
from itertools import islice, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.image.content import FileContent
from modelcar.image.index import build_index, compute_image_key, parse_index
from modelcar.image.manifest import DOCKER_INDEX_TYPE, INDEX_TYPE, MANIFEST_TYPE, compute_content_key
from modelcar.reference import Digest, Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")
FILE = FileContent("config.json", 2, Digest.of(b"{}"), None)
PLATFORMS = st.builds(
    Platform, st.just("linux"), st.sampled_from(["amd64", "arm64", "s390x"]), st.none() | st.just("v8")
)


def test_an_index_is_these_bytes() -> None:
    assert build_index({ARM64: b"arm", AMD64: b"amd"}) == (
        b'{"manifests":['
        b'{"digest":"%s","mediaType":"application/vnd.oci.image.manifest.v1+json",'
        b'"platform":{"architecture":"amd64","os":"linux"},"size":3},'
        b'{"digest":"%s","mediaType":"application/vnd.oci.image.manifest.v1+json",'
        b'"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"size":3}],'
        b'"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}'
        % (str(Digest.of(b"amd")).encode(), str(Digest.of(b"arm")).encode())
    )


@given(st.dictionaries(PLATFORMS, st.binary(), min_size=1))
def test_an_index_is_read_as_it_was_written_and_order_does_not_count(manifests: dict[Platform, bytes]) -> None:
    index = build_index(manifests)
    ordered = [manifests[platform] for platform in sorted(manifests, key=str)]
    assert parse_index(index, INDEX_TYPE) == tuple(map(Digest.of, ordered))
    for order in islice(permutations(manifests.items()), 6):
        assert build_index(dict(order)) == index


def entry(content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": MANIFEST_TYPE, "digest": str(Digest.of(content)), "size": len(content), **more}


def test_attestations_are_no_images() -> None:
    unknown = {"os": "unknown", "architecture": "unknown"}
    entries = [entry(b"1", platform={"os": "linux"}), entry(b"2", platform=unknown), entry(b"3")]
    index = json.dumps({"manifests": entries}).encode()
    assert parse_index(index, DOCKER_INDEX_TYPE) == (Digest.of(b"1"), Digest.of(b"3"))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"manifests":[3]}', b'{"manifests":[{"digest":"x"}]}', b'{"manifests":{}}', b"[" * 9999],
)
def test_what_makes_no_sense_names_no_image(content: bytes) -> None:
    assert parse_index(content, INDEX_TYPE) == ()


def test_a_manifest_is_no_index() -> None:
    assert parse_index(build_index({AMD64: b""}), MANIFEST_TYPE) == ()


def test_one_platform_has_the_key_of_its_image() -> None:
    base = Digest.of(b"base")
    assert compute_image_key([FILE], {AMD64: base}) == compute_content_key([FILE], platform=AMD64, base_digest=base)


def test_the_key_of_several_platforms_is_a_function_of_all_of_them_and_their_bases() -> None:
    base = Digest.of(b"base")
    keys = [
        compute_image_key([FILE], bases)
        for bases in ({AMD64: None}, {AMD64: None, ARM64: None}, {AMD64: base, ARM64: None}, {AMD64: None, ARM64: base})
    ]
    assert len(set(keys)) == 4
    assert compute_image_key([FILE], {ARM64: None, AMD64: base}) == keys[2]
