"""Lists of tags and of referrers in the sandbox's registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from oci_api import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, OciApi, codes, descriptor_of, digest_of, image

ABSENT = digest_of(b"never pushed")
SBOM, SIGNATURE = "application/vnd.example.sbom", "application/vnd.example.signature"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[OciApi]:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        yield api


def index(*manifests: bytes, **fields: Any) -> dict[str, Any]:
    entries = [descriptor_of(manifest, OCI_MANIFEST) for manifest in manifests]
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **fields}


def encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def test_tags_come_in_the_order_of_their_bytes(api: OciApi) -> None:
    for tag in ("b", "a", "_x", "B", "a.1", "a-1", "10", "9"):
        api.push_image("a/b", tag)
    assert api.call("GET", "a/b/tags/list").json() == {
        "name": "a/b",
        "tags": ["10", "9", "B", "_x", "a", "a-1", "a.1", "b"],
    }


def test_pages_of_tags_are_linked_and_hold_every_tag_once(api: OciApi) -> None:
    for n in range(7):
        api.push_image("a/b", f"t{n}")
    seen, path = [], "a/b/tags/list?n=3"
    while path:
        answer = api.call("GET", path)
        seen.append(answer.json()["tags"])
        path = answer.links.get("next", {}).get("url", "")
    assert seen == [["t0", "t1", "t2"], ["t3", "t4", "t5"], ["t6"]]


def test_a_full_last_page_has_no_link(api: OciApi) -> None:
    for n in range(3):
        api.push_image("a/b", f"t{n}")
    answer = api.call("GET", "a/b/tags/list?n=3")
    assert (answer.json()["tags"], "Link" in answer.headers) == (["t0", "t1", "t2"], False)


@pytest.mark.parametrize(
    ("query", "tags"),
    [("n=0", []), ("last=t1", ["t2"]), ("last=t15", ["t2"]), ("last=z", []), ("n=1&last=t0", ["t1"]), ("n=99", None)],
)
def test_parts_of_the_tags_can_be_asked_for(api: OciApi, query: str, tags: list[str] | None) -> None:
    for n in range(3):
        api.push_image("a/b", f"t{n}")
    answer = api.call("GET", f"a/b/tags/list?{query}")
    assert answer.json()["tags"] == (["t0", "t1", "t2"] if tags is None else tags)
    assert ("Link" in answer.headers) == (query == "n=1&last=t0")


@pytest.mark.parametrize("n", ["-1", "x", "", "1.5", "²", "9" * 5000])
def test_a_page_size_that_is_no_number_is_refused(api: OciApi, n: str) -> None:
    api.push_image("a/b", "v1")
    assert api.call("GET", "a/b/tags/list", params={"n": n}).status_code == 400


def test_a_repository_without_tags_has_an_empty_list_and_an_unknown_one_none(api: OciApi) -> None:
    api.push_blob("a/b", b"x")
    assert api.call("GET", "a/b/tags/list").json() == {"name": "a/b", "tags": []}
    answer = api.call("GET", "a/tags/list")
    assert (answer.status_code, codes(answer)) == (404, ["NAME_UNKNOWN"])


def push_referrer(api: OciApi, subject: bytes, tag: str, **fields: Any) -> dict[str, Any]:
    """Push an image about `subject` and return the descriptor that must be listed."""
    content = encode(image(subject=descriptor_of(subject, OCI_MANIFEST), **fields))
    answer = api.put_manifest("a/b", tag, content)
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, digest_of(subject))
    return descriptor_of(content, OCI_MANIFEST)


def by_digest(descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(descriptors, key=lambda descriptor: str(descriptor["digest"]))


def test_referrers_are_listed_with_type_and_annotations(api: OciApi) -> None:
    subject = api.push_image("a/b", "v1")
    sbom = push_referrer(api, subject, "sbom", artifactType=SBOM, annotations={"a": "1"})
    plain = push_referrer(api, subject, "plain")
    answer = api.call("GET", f"a/b/referrers/{digest_of(subject)}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, OCI_INDEX)
    assert "OCI-Filters-Applied" not in answer.headers
    expected = [{**sbom, "artifactType": SBOM, "annotations": {"a": "1"}}, {**plain, "artifactType": OCI_CONFIG}]
    listed = answer.json()
    assert (listed["schemaVersion"], listed["mediaType"]) == (2, OCI_INDEX)
    assert by_digest(listed["manifests"]) == by_digest(expected)


def test_referrers_are_filtered_by_type(api: OciApi) -> None:
    subject = api.push_image("a/b", "v1")
    push_referrer(api, subject, "sbom", artifactType=SBOM)
    signature = push_referrer(api, subject, "signature", artifactType=SIGNATURE)
    answer = api.call("GET", f"a/b/referrers/{digest_of(subject)}", params={"artifactType": SIGNATURE})
    assert answer.headers["OCI-Filters-Applied"] == "artifactType"
    assert answer.json()["manifests"] == [{**signature, "artifactType": SIGNATURE}]


def test_an_index_can_be_a_referrer_with_or_without_a_type(api: OciApi) -> None:
    subject = api.push_image("a/b", "v1")
    typed = encode(index(subject=descriptor_of(subject, OCI_MANIFEST), artifactType=SBOM))
    bare = encode(index(subject=descriptor_of(subject, OCI_MANIFEST)))
    for content in (typed, bare):
        answer = api.put_manifest("a/b", digest_of(content), content)
        assert answer.headers["OCI-Subject"] == digest_of(subject)
    listed = api.call("GET", f"a/b/referrers/{digest_of(subject)}").json()["manifests"]
    expected = [{**descriptor_of(typed, OCI_INDEX), "artifactType": SBOM}, descriptor_of(bare, OCI_INDEX)]
    assert by_digest(listed) == by_digest(expected)


def test_a_referrer_may_come_before_its_subject_and_outlive_it(api: OciApi) -> None:
    api.push_image("a/b", "seed")
    subject = encode(image(annotations={"later": "yes"}))
    push_referrer(api, subject, "sbom", artifactType=SBOM)
    assert len(api.call("GET", f"a/b/referrers/{digest_of(subject)}").json()["manifests"]) == 1
    api.put_manifest("a/b", "v1", subject)
    api.call("DELETE", f"a/b/manifests/{digest_of(subject)}")
    assert len(api.call("GET", f"a/b/referrers/{digest_of(subject)}").json()["manifests"]) == 1


def test_a_deleted_referrer_is_no_longer_listed(api: OciApi) -> None:
    subject = api.push_image("a/b", "v1")
    sbom = push_referrer(api, subject, "sbom", artifactType=SBOM)
    api.call("DELETE", f"a/b/manifests/{sbom['digest']}")
    assert api.call("GET", f"a/b/referrers/{digest_of(subject)}").json()["manifests"] == []


@pytest.mark.parametrize("name", ["a/b", "never/seen"])
def test_no_referrers_are_an_empty_index_and_never_404(api: OciApi, name: str) -> None:
    api.push_image("a/b", "v1")
    answer = api.call("GET", f"{name}/referrers/{ABSENT}")
    assert (answer.status_code, answer.json()["manifests"]) == (200, [])


def test_referrers_of_no_digest_are_refused(api: OciApi) -> None:
    answer = api.call("GET", "a/b/referrers/latest")
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
