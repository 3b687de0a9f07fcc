"""Blobs in the sandbox's registry: pulled, in parts too, mounted and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.oci_registry.bodies import parse_range
from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.service import Service
from oci_api import OciApi, codes, digest_of

CONTENT = bytes(range(256)) * 12  # 3072 bytes
DIGEST = digest_of(CONTENT)
ABSENT = digest_of(b"never pushed")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[OciApi]:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        yield api


def assert_pulls(api: OciApi, name: str, content: bytes, algorithm: str = "sha256") -> None:
    answer = api.call("GET", f"{name}/blobs/{digest_of(content, algorithm)}")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Docker-Content-Digest"] == digest_of(content, algorithm)
    assert answer.headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize("content", [b"", b"{}"], ids=["empty", "empty JSON"])
def test_tiny_blobs_can_be_pushed_and_pulled(api: OciApi, content: bytes) -> None:
    api.push_blob("a/b", content)
    assert_pulls(api, "a/b", content)
    head = api.call("HEAD", f"a/b/blobs/{digest_of(content)}")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(content)), b"")


def test_a_blob_that_was_not_pushed_is_not_found(api: OciApi) -> None:
    api.push_blob("a/b", CONTENT)
    answer = api.call("GET", f"a/b/blobs/{ABSENT}")
    assert (answer.status_code, codes(answer)) == (404, ["BLOB_UNKNOWN"])
    assert api.call("HEAD", f"a/b/blobs/{ABSENT}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 3072),
        ("bytes=-500", 2572, 3072),
        ("bytes=-5000", 0, 3072),
        ("bytes=3000-5000", 3000, 3072),
        ("bytes=0-0", 0, 1),
    ],
)
def test_a_range_of_a_blob_is_sent(api: OciApi, asked: str, start: int, end: int) -> None:
    api.push_blob("a/b", CONTENT)
    answer = api.call("GET", f"a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/3072"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=3072-", "bytes=-0"])
def test_a_range_without_a_byte_is_refused(api: OciApi, asked: str) -> None:
    api.push_blob("a/b", CONTENT)
    answer = api.call("GET", f"a/b/blobs/{DIGEST}", headers={"Range": asked})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */3072")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes", "bytes=a-b", f"bytes={0:05000}-1"])
def test_a_range_of_another_form_is_answered_with_everything(api: OciApi, asked: str) -> None:
    api.push_blob("a/b", CONTENT)
    assert api.call("GET", f"a/b/blobs/{DIGEST}", headers={"Range": asked}).content == CONTENT


def test_a_range_for_another_version_is_answered_with_everything(api: OciApi) -> None:
    api.push_blob("a/b", CONTENT)
    headers = {"Range": "bytes=0-1", "If-Range": f'"{ABSENT}"'}
    assert api.call("GET", f"a/b/blobs/{DIGEST}", headers=headers).content == CONTENT
    headers["If-Range"] = f'"{DIGEST}"'
    assert api.call("GET", f"a/b/blobs/{DIGEST}", headers=headers).content == CONTENT[:2]


@given(size=st.integers(0, 50), first=st.none() | st.integers(0, 60), last=st.none() | st.integers(0, 60))
def test_ranges_cut_as_http_says(size: int, first: int | None, last: int | None) -> None:
    content = bytes(range(size))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None:
        expected = None if last is None else content[max(size - last, 0) :]
    else:
        expected = content[first : None if last is None else last + 1]
    if expected == b"":
        with pytest.raises(Refusal) as refused:
            parse_range(header, size)
        assert refused.value.status == 416
    else:
        part = parse_range(header, size)
        assert expected == (None if part is None else content[part[0] : part[0] + part[1]])


def test_a_blob_is_visible_only_where_it_was_given(api: OciApi) -> None:
    api.push_blob("team/one", CONTENT)
    assert api.call("HEAD", f"team/two/blobs/{DIGEST}").status_code == 404
    assert api.call("HEAD", f"team/blobs/{DIGEST}").status_code == 404


def test_a_mount_makes_a_blob_visible_in_another_repository(api: OciApi) -> None:
    api.push_blob("team/one", CONTENT)
    answer = api.call("POST", f"team/two/blobs/uploads/?mount={DIGEST}&from=team/one")
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, DIGEST)
    assert api.call("GET", answer.headers["Location"]).content == CONTENT
    assert_pulls(api, "team/two", CONTENT)


def test_a_mount_without_source_finds_the_blob_anywhere(api: OciApi) -> None:
    api.push_blob("team/one", CONTENT)
    assert api.call("POST", f"other/blobs/uploads/?mount={DIGEST}").status_code == 201
    assert_pulls(api, "other", CONTENT)


@pytest.mark.parametrize("source", ["&from=team/two", "&from=nowhere", ""], ids=["elsewhere", "no repository", "gone"])
def test_a_mount_that_finds_nothing_begins_an_upload(api: OciApi, source: str) -> None:
    api.push_blob("team/one", CONTENT)
    api.push_blob("team/two", b"another")
    if not source:
        api.call("DELETE", f"team/one/blobs/{DIGEST}")
    answer = api.call("POST", f"team/three/blobs/uploads/?mount={DIGEST}{source}")
    assert answer.status_code == 202
    assert api.finish(answer.headers["Location"], DIGEST, CONTENT).status_code == 201


def test_a_deleted_blob_is_gone_here_and_stays_elsewhere(api: OciApi) -> None:
    api.push_blob("team/one", CONTENT)
    api.call("POST", f"team/two/blobs/uploads/?mount={DIGEST}&from=team/one")
    assert api.call("DELETE", f"team/one/blobs/{DIGEST}").status_code == 202
    assert api.call("HEAD", f"team/one/blobs/{DIGEST}").status_code == 404
    assert api.call("DELETE", f"team/one/blobs/{DIGEST}").status_code == 404
    assert_pulls(api, "team/two", CONTENT)


def test_a_blob_that_no_repository_has_leaves_the_disk(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        api.push_blob("team/one", CONTENT)
        api.push_blob("team/two", CONTENT)
        api.call("DELETE", f"team/one/blobs/{DIGEST}")
        assert (tmp_path / "blobs/sha256" / DIGEST[7:]).is_file()
        api.call("DELETE", f"team/two/blobs/{DIGEST}")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
