"""Signatures and SBOMs of an image: found, and brought along where the image stays the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from base_images import OCI, descriptor, push_base
from copying_checks import at, refer
from modelcar.distribution.referrers import INDEX_TYPE, copy_referrers, fallback_tag
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound
from modelcar.push import CopiedReferrers, PushedImage
from modelcar.reference import Digest, LayoutReference, Platform
from registry_service import Running
from wsgi_faults import Fault

Copy = Callable[..., PushedImage]
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.dev.sigstore.bundle.v0.3+json"
MANIFEST = f"{OCI}manifest.v1+json"
BELOW_ZERO = json.dumps({"manifests": [{**descriptor(MANIFEST, b"1"), "size": -1}]})


def chain(repository: Repository, subject: Digest) -> list[Digest]:
    """An SBOM and a signature of an image, and a signature of the SBOM."""
    sbom = refer(repository, subject, SBOM, b'{"spdx": 1}')
    return [sbom, refer(repository, subject, SIGNATURE, b"image"), refer(repository, sbom, SIGNATURE, b"sbom")]


def test_referrers_are_listed_by_the_api(running: Running) -> None:
    repository, subject = running.repository(), Digest("1" * 64)
    digest = refer(repository, subject, SBOM, b"text")
    [found] = repository.list_referrers(subject)
    assert (found.digest, found.artifact_type, found.media_type) == (digest, SBOM, MANIFEST)
    assert found.annotations == {"kind": SBOM}
    assert repository.find_manifest(fallback_tag(subject)) is None
    assert repository.list_referrers(Digest("2" * 64)) == ()


def test_where_there_is_no_api_the_tag_has_the_list(old: Running) -> None:
    repository, subject = old.repository(), Digest("1" * 64)
    first = refer(repository, subject, SBOM, b"one")
    second = refer(repository, subject, SIGNATURE, b"two")
    assert refer(repository, subject, SIGNATURE, b"two") == second
    assert [(r.digest, r.artifact_type) for r in repository.list_referrers(subject)] == [
        (first, SBOM),
        (second, SIGNATURE),
    ]
    stored = repository.find_manifest(f"sha256-{subject.hex}")
    assert stored is not None
    index = json.loads(stored.content)
    assert (index["schemaVersion"], index["mediaType"]) == (2, f"{OCI}index.v1+json")
    assert [entry["digest"] for entry in index["manifests"]] == [str(first), str(second)]


def test_a_list_of_several_pages_is_read_to_its_end(running: Running) -> None:
    subject = Digest("1" * 64)
    one, two = (
        json.dumps({"schemaVersion": 2, "manifests": [descriptor(MANIFEST, text)]}).encode() for text in (b"1", b"2")
    )
    following = {"Link": f'</v2/team/model/referrers/{subject}?page=2>; rel="next"'}
    running.faults.add(Fault.answer("GET", "/referrers/", 200, headers=following, body=one, nth=1))
    running.faults.add(Fault.answer("GET", "/referrers/", 200, body=two, nth=2))
    assert [r.digest for r in running.repository().list_referrers(subject)] == [Digest.of(b"1"), Digest.of(b"2")]
    assert [r.query for r in running.recorder.seen("GET", "/referrers/")] == ["", "page=2"]


def test_a_list_without_end_is_told(running: Running) -> None:
    page = json.dumps({"manifests": []}).encode()
    headers = {"Link": '</v2/team/model/referrers/x>; rel="next"'}
    running.faults.add(Fault.answer("GET", "/referrers/", 200, headers=headers, body=page, times=999))
    with pytest.raises(DistributionError, match=r"team/model lists referrers without end$"):
        running.repository().list_referrers(Digest("1" * 64))


@pytest.mark.parametrize(
    "body", ["7", "[]", '{"manifests":7}', '{"manifests":[{}]}', '{"manifests":[{"digest":7}]}', BELOW_ZERO]
)
def test_a_list_that_makes_no_sense_is_told(running: Running, body: str) -> None:
    running.faults.add(Fault.answer("GET", "/referrers/", 200, body=body.encode()))
    with pytest.raises(DistributionError, match=r"team/model has a list of referrers that makes no sense$"):
        running.repository().list_referrers(Digest("1" * 64))


@pytest.mark.parametrize(
    ("entries", "annotation", "pages"), [(5_001, "", 2), (20, "x" * 180_000, 5)], ids=["entries", "bytes"]
)
def test_a_list_that_is_too_much_to_hold_is_not_read_to_its_end(
    running: Running, entries: int, annotation: str, pages: int
) -> None:
    one = {**descriptor(MANIFEST, b"1"), "annotations": {"text": annotation}}
    page = json.dumps({"manifests": [one] * entries}).encode()
    headers = {"Link": '</v2/team/model/referrers/x>; rel="next"'}
    running.faults.add(Fault.answer("GET", "/referrers/", 200, headers=headers, body=page, times=99))
    with pytest.raises(DistributionError, match=r"team/model lists more referrers than are taken$"):
        running.repository().list_referrers(Digest("1" * 64))
    assert len(running.recorder.seen("GET", "/referrers/")) == pages


def index_of(repository: Repository, levels: int) -> bytes:
    """An index in an index, and so on."""
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}).encode()
    for _ in range(levels):
        repository.write_manifest(content, INDEX_TYPE, [])
        inner = [descriptor(INDEX_TYPE, content)]
        content = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": inner}).encode()
    return content


def refer_by_index(repository: Repository, subject: Digest, levels: int) -> Digest:
    """A referrer that is an index, with so many more in one another below it."""
    document = json.loads(index_of(repository, levels))
    document["subject"] = {**descriptor(MANIFEST, b"{}"), "digest": str(subject)}
    content = json.dumps(document).encode()
    repository.write_referrer(content, INDEX_TYPE)
    return Digest.of(content)


def test_a_referrer_of_indexes_in_one_another_is_copied_whole(running: Running, elsewhere: Running) -> None:
    subject = Digest("1" * 64)
    digest = refer_by_index(elsewhere.repository(), subject, 8)
    assert copy_referrers(elsewhere.repository(), running.repository(), subject) == (digest,)
    assert [referrer.digest for referrer in running.repository().list_referrers(subject)] == [digest]


def test_indexes_in_one_another_have_a_bound(running: Running, elsewhere: Running) -> None:
    subject = Digest("1" * 64)
    refer_by_index(elsewhere.repository(), subject, 9)
    with pytest.raises(DistributionError, match=r"team/model has more than 8 indexes in one another$"):
        copy_referrers(elsewhere.repository(), running.repository(), subject)
    assert running.repository().list_referrers(subject) == ()


@pytest.mark.parametrize("size", [-1, "4", True, 4.0, None])
def test_a_referrer_whose_parts_have_no_size_is_told(running: Running, elsewhere: Running, size: object) -> None:
    origin, subject = elsewhere.repository(), Digest("1" * 64)
    origin.write_blob(Content(b"text"), Digest.of(b"text"))
    layer = {**descriptor(SBOM, b"text"), "size": size}
    of = {"mediaType": MANIFEST, "digest": str(subject), "size": 2}
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer], "subject": of}).encode()
    listed = json.dumps({"manifests": [descriptor(MANIFEST, content)]}).encode()
    elsewhere.faults.add(Fault.answer("GET", f"/referrers/{subject}", 200, body=listed))
    answer = {"Content-Type": MANIFEST}
    elsewhere.faults.add(Fault.answer("GET", f"/manifests/{Digest.of(content)}", 200, headers=answer, body=content))
    with pytest.raises(DistributionError, match=r"team/model has a manifest sha256:[0-9a-f]{64} that makes no sense$"):
        copy_referrers(origin, running.repository(), subject)


def test_a_copy_that_stays_the_same_image_brings_its_referrers_and_theirs(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    sbom, signature, of_sbom = chain(elsewhere.repository(), first.digest)
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert copy.referrers is not None
    assert copy.referrers.left == ()
    assert set(copy.referrers.copied) == {sbom, signature, of_sbom}
    there = running.repository("team/copy")
    assert {r.digest for r in there.list_referrers(first.digest)} == {sbom, signature}
    assert [r.digest for r in there.list_referrers(sbom)] == [of_sbom]
    assert there.read_blob(Digest.of(b'{"spdx": 1}')) == b'{"spdx": 1}'


def test_a_copy_within_a_registry_mounts_the_blobs_of_referrers(running: Running, model: Path, push: Copy) -> None:
    first = push(model, at(running, "team/model"))
    chain(running.repository(), first.digest)
    running.recorder.clear()
    copy = push(f"oci://{at(running, 'team/model')}", at(running, "team/copy"))
    assert copy.referrers is not None
    assert len(copy.referrers.copied) == 3
    assert running.recorder.seen("GET", r"/v2/team/model/blobs/") == []


def test_a_copy_that_was_made_before_sends_no_referrer_again(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    chain(elsewhere.repository(), first.digest)
    push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    running.recorder.clear()
    push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert running.recorder.seen("PUT") == []


def test_on_another_base_the_referrers_stay_behind_and_the_result_says_so(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    push_base(running.repository("team/base"), "1")
    first = push(model, at(elsewhere, "team/model"))
    sbom, signature, _ = chain(elsewhere.repository(), first.digest)
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), at(running, "team/base"))
    assert copy.referrers is not None
    assert (copy.referrers.copied, set(copy.referrers.left)) == ((), {sbom, signature})
    assert running.repository("team/copy").list_referrers(copy.digest) == ()


def test_of_an_index_of_which_one_platform_is_copied_the_indexs_own_referrers_stay_behind(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    amd64, arm64 = Platform("linux", "amd64"), Platform("linux", "arm64")
    first = push(model, at(elsewhere, "team/model"), platforms=(amd64, arm64))
    of_index = refer(elsewhere.repository(), first.digest, SIGNATURE, b"index")
    of_image = refer(elsewhere.repository(), first.platforms[amd64], SBOM, b"image")
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), platforms=(amd64,))
    assert copy.digest == first.platforms[amd64]
    assert copy.referrers == CopiedReferrers((of_image,), (of_index,))
    both = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/both"), platforms=(amd64, arm64))
    assert both.referrers is not None
    assert (set(both.referrers.copied), both.referrers.left) == ({of_image, of_index}, ())


def test_a_list_that_is_refused_is_no_reason_to_fail_when_nothing_is_to_be_copied(
    elsewhere: Running, model: Path, push: Copy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    push(model, at(elsewhere, "team/model"))
    elsewhere.faults.add(Fault.answer("GET", "/referrers/", 400, times=9))
    copy = push(f"oci://{at(elsewhere, 'team/model')}", LayoutReference(tmp_path / "layout", "1"))
    assert copy.referrers is not None
    assert copy.referrers.left == ()
    assert f"whether anything refers to {elsewhere.address}/team/model:1 cannot be told" in caplog.text


def test_in_a_layout_directory_nothing_lists_referrers(
    elsewhere: Running, model: Path, push: Copy, tmp_path: Path
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    sbom = refer(elsewhere.repository(), first.digest, SBOM, b"text")
    copy = push(f"oci://{at(elsewhere, 'team/model')}", LayoutReference(tmp_path / "layout", "1"))
    assert copy.referrers is not None
    assert (copy.referrers.copied, copy.referrers.left) == ((), (sbom,))


def test_a_push_from_elsewhere_has_nothing_to_say_of_referrers(running: Running, model: Path, push: Copy) -> None:
    assert push(model, at(running, "team/model")).referrers is None


@pytest.mark.parametrize("direction", ["from the old one", "to the old one"])
def test_referrers_pass_between_registries_with_and_without_the_api(
    running: Running, old: Running, model: Path, push: Copy, direction: str
) -> None:
    origin, destination = (old, running) if direction == "from the old one" else (running, old)
    first = push(model, at(origin, "team/model"))
    sbom, signature, of_sbom = chain(origin.repository(), first.digest)
    push(f"oci://{at(origin, 'team/model')}", at(destination, "team/copy"))
    there = destination.repository("team/copy")
    assert {r.digest for r in there.list_referrers(first.digest)} == {sbom, signature}
    assert [r.digest for r in there.list_referrers(sbom)] == [of_sbom]


def test_what_a_list_claims_to_be_a_referrer_and_is_none_is_not_copied(running: Running, old: Running) -> None:
    repository, subject, other = old.repository(), Digest("1" * 64), Digest("2" * 64)
    refer(repository, subject, SBOM, b"ours")
    stored = repository.find_manifest(fallback_tag(subject))
    assert stored is not None
    repository.write_manifest(stored.content, stored.media_type, [fallback_tag(other)])
    assert copy_referrers(repository, running.repository(), other) == ()
    assert running.repository().list_referrers(other) == ()


def test_a_referrer_whose_blob_is_damaged_on_its_way_is_not_listed(running: Running, elsewhere: Running) -> None:
    subject = Digest("1" * 64)
    refer(elsewhere.repository(), subject, SBOM, b"text")
    elsewhere.faults.add(Fault.answer("GET", f"/blobs/{Digest.of(b'text')}", 200, body=b"tent", times=99))
    with pytest.raises(ContentMismatch, match=r"^a blob of .*/team/model@sha256:.* did not arrive as"):
        copy_referrers(elsewhere.repository(), running.repository(), subject)
    assert running.repository().list_referrers(subject) == ()


def test_a_referrer_that_is_listed_and_gone_is_told(running: Running, elsewhere: Running) -> None:
    subject = Digest("1" * 64)
    digest = refer(elsewhere.repository(), subject, SBOM, b"text")
    elsewhere.faults.add(Fault.answer("GET", f"/manifests/{digest}", 404))
    with pytest.raises(ImageNotFound, match=re.escape(f"team/model lists {digest}, but does not have it")):
        copy_referrers(elsewhere.repository(), running.repository(), subject)
