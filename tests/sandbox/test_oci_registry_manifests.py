"""Manifests in the sandbox's registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from oci_api import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, OciApi, codes, descriptor_of, digest_of, image

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ABSENT = digest_of(b"never pushed")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[OciApi]:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        yield api


def index(*manifests: bytes, **fields: Any) -> dict[str, Any]:
    entries = [descriptor_of(manifest, OCI_MANIFEST) for manifest in manifests]
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **fields}


def encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def test_a_manifest_comes_back_byte_for_byte_by_tag_and_digest(api: OciApi) -> None:
    api.push_image("a/b", "seed")
    content = b"  " + json.dumps(image(), indent=7).encode() + b"\n\n"
    answer = api.put_manifest("a/b", "v1", content)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, digest_of(content))
    assert api.call("GET", answer.headers["Location"]).content == content
    for reference in ("v1", digest_of(content)):
        for method, body in (("GET", content), ("HEAD", b"")):
            pulled = api.call(method, f"a/b/manifests/{reference}")
            assert (pulled.status_code, pulled.content) == (200, body)
            assert pulled.headers["Content-Type"] == OCI_MANIFEST
            assert pulled.headers["Content-Length"] == str(len(content))
            assert pulled.headers["Docker-Content-Digest"] == digest_of(content)


def test_a_tag_moves_and_the_old_manifest_stays(api: OciApi) -> None:
    old = api.push_image("a/b", "latest", b"one")
    new = api.push_image("a/b", "latest", b"two")
    assert api.call("GET", "a/b/manifests/latest").content == new
    assert api.call("GET", f"a/b/manifests/{digest_of(old)}").content == old


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_push_by_digest_sets_the_tags_of_the_query(api: OciApi, algorithm: str) -> None:
    content = api.push_image("a/b", "seed")
    digest = digest_of(content, algorithm)
    answer = api.put_manifest("a/b", digest, content, tag=[f"t{n}" for n in range(12)])
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, digest)
    assert answer.headers["OCI-Tag"].split(", ") == [f"t{n}" for n in range(12)]
    assert api.call("HEAD", "a/b/manifests/t7").headers["Docker-Content-Digest"] == digest


def test_too_many_tags_at_once_are_refused(api: OciApi) -> None:
    content = api.push_image("a/b", "seed")
    answer = api.put_manifest("a/b", digest_of(content), content, tag=[f"t{n}" for n in range(101)])
    assert answer.status_code == 414


def test_a_push_by_another_digest_is_refused(api: OciApi) -> None:
    answer = api.put_manifest("a/b", ABSENT, api.push_image("a/b", "seed"))
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert api.call("GET", f"a/b/manifests/{ABSENT}").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("reference", ["sha256:baddigeststring", ".hidden", "-x", "a" * 129, "a%20b", "ä"])
def test_a_reference_that_is_neither_tag_nor_digest_is_refused(api: OciApi, method: str, reference: str) -> None:
    content = api.push_image("a/b", "seed")
    answer = api.call(method, f"a/b/manifests/{reference}", data=content if method == "PUT" else None)
    assert answer.status_code == 400


@pytest.mark.parametrize("reference", ["missing", ABSENT])
def test_a_manifest_that_was_not_pushed_is_not_found(api: OciApi, reference: str) -> None:
    api.push_image("a/b", "v1")
    for name, code in (("a/b", "MANIFEST_UNKNOWN"), ("a/c", "NAME_UNKNOWN"), ("a", "NAME_UNKNOWN")):
        for method in ("GET", "DELETE"):
            answer = api.call(method, f"{name}/manifests/{reference}")
            assert (answer.status_code, codes(answer)) == (404, [code])


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_the_type_may_be_stated_in_one_place_only(api: OciApi, media_type: str) -> None:
    api.push_image("a/b", "seed")
    silent = {key: value for key, value in image().items() if key != "mediaType"}
    assert api.put_manifest("a/b", "header", silent, media_type=f"{media_type.upper()}; charset=utf-8").ok
    assert api.put_manifest("a/b", "field", {**silent, "mediaType": media_type}, media_type="").ok
    for tag in ("header", "field"):
        assert api.call("HEAD", f"a/b/manifests/{tag}").headers["Content-Type"] == media_type


def test_the_type_of_an_old_document_is_seen_by_its_fields(api: OciApi) -> None:
    child = api.push_image("a/b", "seed")
    for tag, document, media_type in (("image", image(), OCI_MANIFEST), ("index", index(child), OCI_INDEX)):
        del document["mediaType"]
        assert api.put_manifest("a/b", tag, document, media_type="").ok
        assert api.call("HEAD", f"a/b/manifests/{tag}").headers["Content-Type"] == media_type


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (b"", OCI_MANIFEST),
        (b"{", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"\xff\xfe", OCI_MANIFEST),
        (b"[" * 100_000, OCI_MANIFEST),
        (encode(image()), OCI_INDEX),
        (encode(image()), DOCKER_MANIFEST),
        (encode(image(mediaType="text/plain")), "text/plain"),
        (encode(image(mediaType=["x"])), ""),
        (encode(image(schemaVersion=1)), OCI_MANIFEST),
        (encode(image(config=None)), OCI_MANIFEST),
        (encode(image(config={"digest": 3, "size": 2})), OCI_MANIFEST),
        (encode(image(config={**descriptor_of(b"{}", OCI_CONFIG), "size": "2"})), OCI_MANIFEST),
        (encode(image(config={**descriptor_of(b"{}", OCI_CONFIG), "size": True})), OCI_MANIFEST),
        (encode(image(config={**descriptor_of(b"{}", OCI_CONFIG), "size": -1})), OCI_MANIFEST),
        (encode(image(config={**descriptor_of(b"{}", OCI_CONFIG), "size": 3})), OCI_MANIFEST),
        (encode(image(layers={})), OCI_MANIFEST),
        (encode(image(layers=[1])), OCI_MANIFEST),
        (encode(image(manifests=[])), OCI_MANIFEST),
        (encode(image(annotations={"a": 1})), OCI_MANIFEST),
        (encode(image(annotations=["a"])), OCI_MANIFEST),
        (encode(image(artifactType=1)), OCI_MANIFEST),
        (encode(image(subject="x")), OCI_MANIFEST),
        (encode(index(layers=[])), OCI_INDEX),
        (encode(index(manifests="x")), OCI_INDEX),
        (encode({"schemaVersion": 1, "name": "a", "fsLayers": []}), DOCKER_SCHEMA1),
    ],
)
def test_a_document_that_is_no_manifest_is_refused(api: OciApi, document: bytes, media_type: str) -> None:
    api.push_image("a/b", "seed")
    answer = api.put_manifest("a/b", "bad", document, media_type=media_type)
    assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_INVALID"])
    assert api.call("HEAD", "a/b/manifests/bad").status_code == 404


def test_missing_blobs_are_named(api: OciApi) -> None:
    api.push_blob("a/b", b"{}")
    gone = [b"one", b"two"]
    answer = api.put_manifest("a/b", "v1", image(layers=[descriptor_of(layer, OCI_LAYER) for layer in gone]))
    assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"] * 2)
    assert [error["detail"]["digest"] for error in answer.json()["errors"]] == [digest_of(layer) for layer in gone]


def test_a_blob_of_another_repository_does_not_count(api: OciApi) -> None:
    content = api.push_image("a/b", "v1")
    assert codes(api.put_manifest("a/c", "v1", content)) == ["MANIFEST_BLOB_UNKNOWN"] * 2


def test_layers_that_live_elsewhere_may_be_absent(api: OciApi) -> None:
    api.push_blob("a/b", b"{}")
    layers = [
        descriptor_of(b"1", "application/vnd.oci.image.layer.nondistributable.v1.tar"),
        descriptor_of(b"2", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        descriptor_of(b"3", OCI_LAYER, urls=["https://example.com/3"]),
    ]
    assert api.put_manifest("a/b", "v1", image(layers=layers)).status_code == 201


@pytest.mark.parametrize("layers", [[], None])
def test_a_manifest_may_have_no_layers(api: OciApi, layers: list[Any] | None) -> None:
    api.push_blob("a/b", b"{}")
    assert api.put_manifest("a/b", "v1", image(layers=layers)).status_code == 201


def test_unknown_fields_and_data_are_kept(api: OciApi) -> None:
    config = descriptor_of(b"{}", OCI_CONFIG, data="e30=")
    content = api.push_image("a/b", "v1", b"layer", **{"org.example.more": {"x": [1]}})
    assert api.put_manifest("a/b", "v2", image() | {"config": config}).ok
    assert api.call("GET", "a/b/manifests/v1").content == content


def test_a_manifest_of_four_mebibytes_is_taken_and_a_larger_one_refused(api: OciApi) -> None:
    content = api.push_image("a/b", "seed")
    largest = content + b" " * ((4 << 20) - len(content))
    assert api.put_manifest("a/b", "v1", largest).status_code == 201
    answer = api.put_manifest("a/b", "v2", largest + b" ")
    assert (answer.status_code, codes(answer)) == (413, ["SIZE_INVALID"])


def test_indexes_nest(api: OciApi) -> None:
    inner = encode(index(api.push_image("a/b", "amd64", b"x"), api.push_image("a/b", "arm64", b"y")))
    assert api.put_manifest("a/b", digest_of(inner), inner).status_code == 201
    outer = index()
    outer["manifests"] = [descriptor_of(inner, OCI_INDEX)]
    assert api.put_manifest("a/b", "outer", outer).status_code == 201
    assert api.put_manifest("a/b", "empty", index()).status_code == 201


def test_a_docker_list_is_taken(api: OciApi) -> None:
    child = api.push_image("a/b", "one")
    document = index(child) | {"mediaType": DOCKER_LIST}
    assert api.put_manifest("a/b", "list", document).status_code == 201


def test_an_index_needs_its_manifests(api: OciApi) -> None:
    blob = b"a blob is not a manifest"
    api.push_blob("a/b", blob)
    answer = api.put_manifest("a/b", "v1", index(b"absent", blob))
    assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"] * 2)


def test_a_deleted_tag_leaves_the_manifest_and_its_other_tags(api: OciApi) -> None:
    content = api.push_image("a/b", "v1")
    api.put_manifest("a/b", "v2", content)
    assert api.call("DELETE", "a/b/manifests/v1").status_code == 202
    assert api.call("GET", "a/b/manifests/v1").status_code == 404
    assert api.call("GET", "a/b/manifests/v2").content == content
    assert api.call("DELETE", "a/b/manifests/v1").status_code == 404


def test_a_deleted_manifest_takes_its_tags_along(api: OciApi) -> None:
    content = api.push_image("a/b", "v1")
    api.put_manifest("a/b", "v2", content)
    api.push_image("a/b", "other", b"x")
    assert api.call("DELETE", f"a/b/manifests/{digest_of(content)}").status_code == 202
    for reference in ("v1", "v2", digest_of(content)):
        assert api.call("HEAD", f"a/b/manifests/{reference}").status_code == 404
    assert api.call("GET", "a/b/tags/list").json() == {"name": "a/b", "tags": ["other"]}
    assert api.call("DELETE", f"a/b/manifests/{digest_of(content)}").status_code == 404


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        content = api.push_image("a/b", "v1", b"kept")
        location = api.patch(api.begin("a/b"), b"half").headers["Location"]
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        assert api.call("GET", "a/b/manifests/v1").content == content
        assert api.call("GET", f"a/b/blobs/{digest_of(b'kept')}").content == b"kept"
        assert api.call("GET", location).headers["Range"] == "0-3"
        assert api.finish(location, digest_of(b"half and half"), b" and half").status_code == 201
