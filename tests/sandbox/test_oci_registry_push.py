"""Pushing blobs to the sandbox's registry, by the checks of the specification's own conformance suite and some more."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from oci_api import OciApi, codes, digest_of
from wsgi_faults import Fault, Faults

CONTENT = bytes(range(256)) * 12  # 3072 bytes
DIGEST = digest_of(CONTENT)
ABSENT = digest_of(b"never pushed")
ALGORITHMS = pytest.mark.parametrize("algorithm", ["sha256", "sha512"])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[OciApi]:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        yield api


def assert_pulls(api: OciApi, name: str, content: bytes, algorithm: str = "sha256") -> None:
    answer = api.call("GET", f"{name}/blobs/{digest_of(content, algorithm)}")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Docker-Content-Digest"] == digest_of(content, algorithm)
    assert answer.headers["Content-Length"] == str(len(content))


def test_ping_says_that_the_registry_is_there(api: OciApi) -> None:
    answer = api.call("GET", "/v2/")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@ALGORITHMS
def test_post_then_put_pushes_a_blob(api: OciApi, algorithm: str) -> None:
    digest = digest_of(CONTENT, algorithm)
    answer = api.finish(api.begin("a/b"), digest, CONTENT)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, digest)
    assert api.call("GET", answer.headers["Location"]).content == CONTENT
    assert_pulls(api, "a/b", CONTENT, algorithm)


@ALGORITHMS
def test_a_single_post_pushes_a_blob(api: OciApi, algorithm: str) -> None:
    digest = digest_of(CONTENT, algorithm)
    answer = api.call("POST", f"a/b/blobs/uploads/?digest={digest}", data=CONTENT)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, digest)
    assert_pulls(api, "a/b", CONTENT, algorithm)


@ALGORITHMS
def test_one_stream_of_unknown_length_pushes_a_blob(api: OciApi, algorithm: str) -> None:
    patched = api.patch(api.begin("a/b", **{"digest-algorithm": algorithm}), iter([CONTENT[:1000], CONTENT[1000:]]))
    assert (patched.status_code, patched.headers["Range"]) == (202, "0-3071")
    assert api.finish(patched.headers["Location"], digest_of(CONTENT, algorithm)).status_code == 201
    assert_pulls(api, "a/b", CONTENT, algorithm)


def test_chunks_in_order_push_a_blob(api: OciApi) -> None:
    location = api.begin("a/b")
    for start in range(0, 3072, 1024):
        answer = api.patch(location, CONTENT[start : start + 1024], f"{start}-{start + 1023}")
        assert (answer.status_code, answer.headers["Range"]) == (202, f"0-{start + 1023}")
        location = answer.headers["Location"]
    assert api.finish(location, DIGEST).status_code == 201
    assert_pulls(api, "a/b", CONTENT)


def test_the_last_chunk_may_come_with_the_closing_put(api: OciApi) -> None:
    location = api.patch(api.begin("a/b"), CONTENT[:2000], "0-1999").headers["Location"]
    answer = api.finish(location, DIGEST, CONTENT[2000:], {"Content-Range": "2000-3071"})
    assert answer.status_code == 201
    assert_pulls(api, "a/b", CONTENT)


@pytest.mark.parametrize("content_range", ["1001-2000", "0-999", "999-1998", "5000-5999"])
def test_a_chunk_out_of_order_is_refused_and_the_upload_goes_on(api: OciApi, content_range: str) -> None:
    location = api.patch(api.begin("a/b"), CONTENT[:1000], "0-999").headers["Location"]
    refused = api.patch(location, CONTENT[1000:2000], content_range)
    assert (refused.status_code, refused.headers["Range"]) == (416, "0-999")
    status = api.call("GET", location)
    assert (status.status_code, status.headers["Range"], status.content) == (204, "0-999", b"")
    assert api.finish(status.headers["Location"], DIGEST, CONTENT[1000:]).status_code == 201


def test_a_closing_put_out_of_order_is_refused_and_the_upload_goes_on(api: OciApi) -> None:
    location = api.patch(api.begin("a/b"), CONTENT[:1000], "0-999").headers["Location"]
    assert api.finish(location, DIGEST, CONTENT, {"Content-Range": "0-3071"}).status_code == 416
    assert api.finish(location, DIGEST, CONTENT[1000:], {"Content-Range": "1000-3071"}).status_code == 201


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "0-", "-9", "0-9/10", "x-y", ""])
def test_a_content_range_of_another_form_is_refused(api: OciApi, content_range: str) -> None:
    answer = api.patch(api.begin("a/b"), CONTENT[:10], content_range)
    assert (answer.status_code, codes(answer)) == (400, ["BLOB_UPLOAD_INVALID"])


@pytest.mark.parametrize("body", [CONTENT[:9], CONTENT[:11]], ids=["shorter", "longer"])
@pytest.mark.parametrize("stated", [True, False], ids=["stated", "chunked"])
def test_a_chunk_of_another_length_than_its_range_is_not_kept(api: OciApi, body: bytes, stated: bool) -> None:
    location = api.patch(api.begin("a/b"), CONTENT[:10], "0-9").headers["Location"]
    answer = api.patch(location, body if stated else iter([body]), "10-19")
    assert (answer.status_code, codes(answer)) == (400, ["SIZE_INVALID"])
    assert api.call("GET", location).headers["Range"] == "0-9"
    assert api.finish(location, DIGEST, CONTENT[10:]).status_code == 201


@ALGORITHMS
@pytest.mark.parametrize("way", ["post", "put", "patch"])
def test_a_wrong_digest_is_refused_and_nothing_is_kept(api: OciApi, algorithm: str, way: str) -> None:
    digest = digest_of(b"something else", algorithm)
    if way == "post":
        answer = api.call("POST", f"a/b/blobs/uploads/?digest={digest}", data=CONTENT)
    elif way == "put":
        answer = api.finish(api.begin("a/b"), digest, CONTENT)
    else:
        answer = api.finish(api.patch(api.begin("a/b"), CONTENT).headers["Location"], digest)
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert api.call("HEAD", f"a/b/blobs/{digest}").status_code == 404
    assert api.call("HEAD", f"a/b/blobs/{digest_of(CONTENT, algorithm)}").status_code == 404


def test_no_file_is_left_of_a_refused_push(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        api.call("POST", f"a/b/blobs/uploads/?digest={ABSENT}", data=CONTENT)
        api.finish(api.begin("a/b"), ABSENT, CONTENT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("digest", ["sha256:beef", "sha256:" + "G" * 64, "md5:" + "0" * 32, "latest", "", "sha256:"])
def test_something_that_is_no_digest_is_refused(api: OciApi, digest: str) -> None:
    location = api.begin("a/b")
    for answer in (
        api.finish(location, digest, CONTENT),
        api.call("POST", f"a/b/blobs/uploads/?digest={digest}", data=CONTENT),
        api.call("POST", f"a/b/blobs/uploads/?mount={digest}"),
    ):
        assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert api.finish(location, DIGEST, CONTENT).status_code == 201


def test_a_put_without_digest_is_refused(api: OciApi) -> None:
    assert codes(api.call("PUT", api.begin("a/b"), data=CONTENT)) == ["DIGEST_INVALID"]


def test_an_unknown_digest_algorithm_is_refused(api: OciApi) -> None:
    answer = api.call("POST", "a/b/blobs/uploads/?digest-algorithm=blake3")
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])


def test_a_cancelled_upload_is_gone(api: OciApi) -> None:
    location = api.patch(api.begin("a/b"), CONTENT).headers["Location"]
    assert api.call("DELETE", location).status_code == 204
    for answer in (api.call("GET", location), api.patch(location, CONTENT), api.finish(location, DIGEST)):
        assert (answer.status_code, codes(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_an_upload_belongs_to_its_repository(api: OciApi) -> None:
    location = api.begin("a/b").replace("/a/b/", "/a/c/")
    assert codes(api.finish(location, DIGEST, CONTENT)) == ["BLOB_UPLOAD_UNKNOWN"]


@pytest.mark.parametrize("upload", ["../../etc", "%2e%2e", "x", "00000000-0000-0000-0000-00000000000g"])
def test_an_upload_that_never_began_is_not_found(api: OciApi, upload: str) -> None:
    assert api.call("GET", f"{api.url}/v2/a/b/blobs/uploads/{upload}").status_code == 404


@pytest.mark.parametrize("name", ["A/b", "a//b", "a/-b", "a/b-", "a/.b", "a/../b", "a__.b", "ä", "a b", "a" * 256])
def test_a_name_that_is_none_is_refused(api: OciApi, name: str) -> None:
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"))
    path = "".join(c if c.isascii() and c != " " else f"%{byte:02x}" for c in name for byte in c.encode())
    connection.request("POST", f"/v2/{path}/blobs/uploads/")
    answer = connection.getresponse()
    assert (answer.status, b"NAME_INVALID" in answer.read()) == (400, True)
    connection.close()


@pytest.mark.parametrize("name", ["blobs/uploads", "a/tags/list", "manifests/b", "a/blobs/sha256", "a--b.c_d__e/0"])
def test_names_may_hold_the_words_of_the_api(api: OciApi, name: str) -> None:
    api.push_blob(name, CONTENT)
    assert_pulls(api, name, CONTENT)


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2/a/b", "/v2/a/tags", "/v2/a/blobs/", "/v2//blobs/x", "/token"])
def test_a_path_of_no_endpoint_is_not_found(api: OciApi, path: str) -> None:
    answer = api.call("GET", api.url + path)
    assert (answer.status_code, codes(answer)) == (404, ["UNSUPPORTED"])


def test_a_method_of_no_endpoint_is_refused_with_those_that_are(api: OciApi) -> None:
    answer = api.call("PATCH", f"a/blobs/{DIGEST}", data=CONTENT)
    assert (answer.status_code, codes(answer), answer.headers["Allow"]) == (405, ["UNSUPPORTED"], "GET, HEAD, DELETE")


@pytest.mark.parametrize("body", [CONTENT, iter([CONTENT])], ids=["stated", "chunked"])
def test_a_refused_body_leaves_the_connection_usable(api: OciApi, body: bytes) -> None:
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"))
    connection.request("PUT", "/v2/a/blobs/uploads/none", body=body)
    connection.getresponse().read()
    used = connection.sock
    connection.request("GET", "/v2/")
    assert (connection.getresponse().status, connection.sock) == (200, used)
    connection.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(blocks=st.lists(st.binary(min_size=1, max_size=4000), max_size=8), closing=st.binary(max_size=100))
def test_a_blob_is_what_was_streamed_however_it_was_cut(api: OciApi, blocks: list[bytes], closing: bytes) -> None:
    content = b"".join(blocks) + closing
    location = api.patch(api.begin("a/b"), iter(blocks)).headers["Location"]
    assert api.finish(location, digest_of(content), closing).status_code == 201
    assert_pulls(api, "a/b", content)


def test_an_odd_but_lawful_chunked_body_is_read(api: OciApi) -> None:
    location = api.begin("a/b")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"PATCH {location} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + b"00003;name=value\r\nabc\r\n2\r\nde\r\n000\r\nTrailer: x\r\n\r\n"
            + f"GET {location} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        answers = connection.makefile("rb").read()
    assert answers.count(b"Range: 0-4\r\n") == 2


@pytest.mark.parametrize(
    "head", ["Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"]
)
def test_a_broken_chunked_body_is_never_taken_for_a_whole_one(api: OciApi, head: str) -> None:
    location = api.begin("a/b")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"PUT {location}?digest={digest_of(b'abc')} HTTP/1.1\r\nHost: {host}\r\n{head}".encode())
        connection.shutdown(socket.SHUT_WR)
        assert b"201" not in connection.makefile("rb").read()
    assert api.call("HEAD", f"a/b/blobs/{digest_of(b'abc')}").status_code == 404


def test_a_body_shorter_than_stated_is_never_taken_for_a_whole_one(api: OciApi) -> None:
    location = api.begin("a/b")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"PUT {location}?digest={digest_of(b'abc')} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nabc"
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").read() == b""
    assert api.call("GET", location).headers["Range"] == "0-2"


def test_an_upload_that_breaks_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    faulty = Faults(create_app(tmp_path), Fault.cut_request("PATCH", r"/uploads/", 2000))
    with Service(faulty) as service, OciApi(service.url) as api:
        location = api.begin("a/b")
        with pytest.raises(requests.ConnectionError):
            api.patch(location, CONTENT)
        status = api.call("GET", location)
        assert status.headers["Range"] == "0-1999"
        assert api.patch(status.headers["Location"], CONTENT[2000:], "2000-3071").status_code == 202
        assert api.finish(location, DIGEST).status_code == 201
        assert_pulls(api, "a/b", CONTENT)
