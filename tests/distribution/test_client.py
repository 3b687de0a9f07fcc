from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound
from modelcar.reference import Digest
from registry_service import Running, serve
from wsgi_faults import Fault

LogIn = Callable[..., Path]
BLOB = b"blob"
DIGEST = Digest.of(BLOB)
SCOPE = "repository:team/model:pull"


def logged_in(running: Running, log_in: LogIn) -> Registry:
    """A registry that takes passwords, and a client that sends one."""
    registry = running.registry(Access(authfile=log_in(running.address)))
    running.faults.add(Fault.answer("GET", "/v2/$", 401, headers={"WWW-Authenticate": 'Basic realm="r"'}))
    assert registry.request("GET", "/v2/", scope=SCOPE).status_code == 200
    assert running.recorder.requests[-1].authorized
    return registry


def test_a_blob_survives_the_way_there_and_back(running: Running) -> None:
    repository = running.repository()
    repository.write_blob(Content(BLOB), DIGEST)
    assert repository.has_blob(DIGEST)
    assert repository.read_blob(DIGEST) == BLOB


def test_a_blob_that_is_not_there_is_not_there(running: Running) -> None:
    assert not running.repository().has_blob(DIGEST)
    with pytest.raises(ImageNotFound):
        running.repository().read_blob(DIGEST)


def test_a_manifest_that_another_writer_has_half_written_is_put_again(running: Running) -> None:
    content = b'{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json"}'
    running.faults.add(Fault.answer("PUT", "/manifests/v1$", 400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'))
    repository = running.repository()
    repository.write_manifest(content, "application/vnd.oci.image.index.v1+json", ["v1"])
    assert len(running.recorder.seen("PUT")) == 2
    found = repository.find_manifest("v1")
    assert found is not None
    assert found.content == content


def test_a_manifest_is_found_by_tag_and_by_digest(running: Running) -> None:
    content = b'{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json"}'
    repository = running.repository()
    repository.write_manifest(content, "application/vnd.oci.image.index.v1+json", ["v1", "v2"])
    by_tag, by_digest = repository.find_manifest("v2"), repository.find_manifest(str(Digest.of(content)))
    assert by_tag == by_digest
    assert by_tag is not None
    assert (by_tag.content, by_tag.media_type) == (content, "application/vnd.oci.image.index.v1+json")


def test_a_tag_that_is_not_there_is_none(running: Running) -> None:
    assert running.repository().find_manifest("v1") is None


def test_a_manifest_of_another_digest_than_asked_for_is_refused(running: Running) -> None:
    running.faults.add(Fault.answer("GET", "/manifests/", 200, body=b"{}"))
    with pytest.raises(ContentMismatch, match="with a manifest of digest sha256:44136fa355b3"):
        running.repository().find_manifest(str(DIGEST))


def test_a_blob_of_another_digest_than_asked_for_is_refused(running: Running) -> None:
    running.faults.add(Fault.answer("GET", "/blobs/", 200, body=b"other"))
    with pytest.raises(ContentMismatch, match="with other content"):
        running.repository().read_blob(DIGEST)


def test_a_blob_that_breaks_off_is_read_again(running: Running) -> None:
    repository = running.repository()
    repository.write_blob(Content(BLOB), DIGEST)
    running.faults.add(Fault.cut_answer("GET", "/blobs/", 2))
    assert repository.read_blob(DIGEST) == BLOB
    assert running.faults.fired == 1


def test_cookies_are_not_sent_back(running: Running) -> None:
    registry = running.registry()
    running.faults.add(Fault.answer("GET", "/v2/$", 200, headers={"Set-Cookie": "sid=1; Path=/"}))
    for _ in range(2):
        registry.request("GET", "/v2/", scope=SCOPE)
    assert ["cookie" in request.headers for request in running.recorder.seen("GET", "/v2/$")] == [False, False]


def test_passwords_of_a_netrc_are_not_used(running: Running, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login robot password secret\n")
    (home / ".netrc").chmod(0o600)
    registry = running.registry()
    registry.request("GET", "/v2/", scope=SCOPE)
    assert not any(request.authorized for request in running.recorder.requests)


def test_nobody_is_asked_to_compress_what_has_a_digest(running: Running) -> None:
    running.registry().request("GET", "/v2/", scope=SCOPE)
    assert running.recorder.requests[-1].headers["accept-encoding"] == "identity"


def test_a_blob_kept_on_another_host_is_fetched_there_without_credentials(
    running: Running, elsewhere: Running, log_in: LogIn
) -> None:
    elsewhere.repository().write_blob(Content(BLOB), DIGEST)
    location = f"http://{elsewhere.address}/v2/team/model/blobs/{DIGEST}"
    registry = logged_in(running, log_in)
    running.faults.add(Fault.answer("GET", "/blobs/", 307, headers={"Location": location}))
    assert Repository(registry, "team/model").read_blob(DIGEST) == BLOB
    (there,) = elsewhere.recorder.seen("GET", "/blobs/sha256:")
    assert not there.authorized


def test_a_redirect_within_the_registry_keeps_the_credentials(running: Running, log_in: LogIn) -> None:
    registry = logged_in(running, log_in)
    running.faults.add(Fault.answer("HEAD", f"/blobs/{DIGEST}", 307, headers={"Location": "/v2/team/model/tags/list"}))
    registry.request("HEAD", f"/v2/team/model/blobs/{DIGEST}", scope=SCOPE)
    assert running.recorder.requests[-1].path == "/v2/team/model/tags/list"
    assert running.recorder.requests[-1].authorized


def test_an_upload_to_another_host_carries_no_credentials(running: Running, elsewhere: Running, log_in: LogIn) -> None:
    registry = logged_in(running, log_in)
    taken = {"Location": f"http://{elsewhere.address}/v2/team/model/blobs/uploads/1?state=a%2Fb"}
    running.faults.add(Fault.answer("POST", "/uploads/", 202, headers=taken))
    elsewhere.faults.add(Fault.answer("PUT", "/uploads/1$", 201))
    Repository(registry, "team/model").write_blob(Content(BLOB), DIGEST)
    (put,) = elsewhere.recorder.seen("PUT")
    assert (put.authorized, put.bytes_received) == (False, 4)
    assert put.query == f"state=a%2Fb&digest=sha256%3A{DIGEST.hex}"


class Stream:
    """A blob that learns its digest while it is read."""

    def __init__(self, content: bytes = BLOB) -> None:
        self.content = content
        self.digest: Digest | None = None
        self.passes = 0

    def __len__(self) -> int:
        return len(self.content)

    def __iter__(self) -> Iterator[bytes]:
        self.digest = None
        self.passes += 1
        yield self.content
        self.digest = Digest.of(self.content)


def test_each_request_of_an_upload_goes_where_the_last_answer_said(running: Running) -> None:
    for method, status, location in (
        ("POST", 202, "/v2/team/model/blobs/uploads/1?_state=one"),
        ("PATCH", 202, "2?_state=two%3D"),
    ):
        running.faults.add(Fault.answer(method, "/uploads/", status, headers={"Location": location}))
    running.faults.add(Fault.answer("PUT", "/uploads/", 201))
    assert running.repository().write_stream(Stream()) == DIGEST
    upload = [(r.method, r.path.rpartition("/")[2], r.query) for r in running.recorder.requests if "uploads" in r.path]
    assert upload == [
        ("POST", "", ""),
        ("PATCH", "1", "_state=one"),
        ("PUT", "2", f"_state=two%3D&digest=sha256%3A{DIGEST.hex}"),
    ]


def test_a_patch_answered_without_a_location_ends_where_it_was(running: Running) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", 202, headers={"Location": "/v2/team/model/blobs/uploads/1"}))
    running.faults.add(Fault.answer("PATCH", "/uploads/1$", 201))
    running.faults.add(Fault.answer("PUT", "/uploads/1$", 204))
    assert running.repository().write_stream(Stream()) == DIGEST


def test_a_registry_that_takes_itself_for_plain_http_is_still_spoken_to_with_credentials(
    running: Running, log_in: LogIn
) -> None:
    registry = logged_in(running, log_in)
    location = f"https://{running.address}/v2/team/model/blobs/uploads/1"
    running.faults.add(Fault.answer("POST", "/uploads/", 202, headers={"Location": location}))
    running.faults.add(Fault.answer("PUT", "/uploads/1$", 201))
    Repository(registry, "team/model").write_blob(Content(BLOB), DIGEST)
    assert running.recorder.seen("PUT")[0].authorized


@pytest.mark.parametrize(
    ("own", "given", "ours"),
    [
        ("registry.test", "https://REGISTRY.test/v2/x", "https://registry.test/v2/x"),
        ("registry.test", "https://registry.test:443/v2/x?a=b%2F", "https://registry.test/v2/x?a=b%2F"),
        ("registry.test", "http://registry.test/v2/x", "https://registry.test/v2/x"),
        ("registry.test", "http://registry.test:80/v2/x", "https://registry.test/v2/x"),
        ("registry.test:443", "https://registry.test/v2/x", "https://registry.test:443/v2/x"),
        ("registry.test:5000", "HTTP://Registry.Test:5000/v2/x", "https://registry.test:5000/v2/x"),
        ("registry.test", "https://registry.test:444/v2/x", None),
        ("registry.test:5000", "https://registry.test/v2/x", None),
        ("registry.test", "https://registry.test.evil/v2/x", None),
        ("registry.test", "https://registry.test@evil.test/v2/x", None),
        ("registry.test", "ftp://registry.test/v2/x", None),
    ],
)
def test_an_address_is_the_registrys_own_however_it_is_written(own: str, given: str, ours: str | None) -> None:
    assert Registry(own, "team/model", Access())._resolve(given) == (ours or given, ours is not None)


def test_an_upload_that_is_sent_to_the_registry_in_capitals_carries_its_credentials(
    tmp_path: Path, log_in: LogIn
) -> None:
    with serve(tmp_path / "named") as running:
        running.address = running.address.replace("127.0.0.1", "localhost")
        registry = logged_in(running, log_in)
        location = f"http://{running.address.replace('localhost', 'LocalHost')}/v2/team/model/blobs/uploads/1"
        running.faults.add(Fault.answer("POST", "/uploads/", 202, headers={"Location": location}))
        running.faults.add(Fault.answer("PUT", "/uploads/1$", 201))
        Repository(registry, "team/model").write_blob(Content(BLOB), DIGEST)
        assert running.recorder.seen("PUT")[0].authorized


def test_tags_are_set_in_the_order_given(running: Running) -> None:
    content = b'{"schemaVersion":2,"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json"}'
    running.repository().write_manifest(content, "application/vnd.oci.image.index.v1+json", ["lasting", "v1"])
    assert [request.path.rpartition("/")[2] for request in running.recorder.seen("PUT")] == ["lasting", "v1"]


def test_an_error_tells_how_long_the_registry_wants_to_be_left_alone(running: Running) -> None:
    running.faults.add(Fault.answer("PUT", "/uploads/", 429, headers={"Retry-After": "7"}))
    registry = running.registry()
    error = registry.error(registry.request("PUT", "/v2/a/blobs/uploads/1", scope=SCOPE), "push to a")
    assert (error.retryable, error.retry_after_s) == (True, 7.0)


def test_access_is_checked_without_leaving_an_upload_behind(running: Running) -> None:
    running.repository().check_access()
    assert [(r.method, r.status) for r in running.recorder.seen("POST")] == [("POST", 202)]
    assert [r.status for r in running.recorder.seen("DELETE", "/uploads/")] == [204]


def test_access_is_fine_where_uploads_cannot_be_given_back(running: Running) -> None:
    running.faults.add(Fault.cut_request("DELETE", "/uploads/", 0))
    running.faults.add(Fault.answer("DELETE", "/uploads/", 405, times=9))
    running.repository().check_access()


def test_a_manifest_that_no_registry_takes_is_refused_before_it_is_sent(running: Running) -> None:
    with pytest.raises(DistributionError) as caught:
        running.repository().write_manifest(bytes((4 << 20) + 1), "application/json", ["v1"])
    assert str(caught.value) == "the manifest has 4194305 bytes, and registries take 4194304"
    assert running.recorder.seen("PUT") == []


def test_a_layer_may_be_mounted_from_the_repository_beside(running: Running) -> None:
    Repository(running.registry(), "team/base").write_blob(Content(BLOB), DIGEST)
    assert running.repository().mount(DIGEST, "team/base")
    assert running.repository().has_blob(DIGEST)


def test_what_is_not_there_cannot_be_mounted_and_leaves_no_upload_behind(running: Running) -> None:
    assert not running.repository().mount(DIGEST, "team/base")
    assert [r.status for r in running.recorder.seen("DELETE", "/uploads/")] == [204]


@pytest.mark.parametrize("status", [400, 403, 404, 405])
def test_a_registry_that_knows_no_mount_is_no_error(running: Running, status: int) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", status))
    assert not running.repository().mount(DIGEST, "team/base")
    assert len(running.recorder.seen("POST")) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_mount_that_cannot_be_done_just_now_is_tried_again(running: Running, status: int) -> None:
    Repository(running.registry(), "team/base").write_blob(Content(BLOB), DIGEST)
    running.faults.add(Fault.answer("POST", "/uploads/", status, headers={"Retry-After": "0"}))
    assert running.repository().mount(DIGEST, "team/base")


def test_a_mount_that_is_never_answered_well_is_an_error_and_not_a_copy(running: Running) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", 503, headers={"Retry-After": "0"}, times=99))
    with pytest.raises(DistributionError, match="push to team/model: HTTP 503"):
        running.repository().mount(DIGEST, "team/base")


def test_many_threads_share_one_registry(running: Running) -> None:
    repository = running.repository()
    blobs = [bytes([number]) * 1000 for number in range(16)]
    threads = [threading.Thread(target=repository.write_blob, args=(Content(blob), Digest.of(blob))) for blob in blobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(repository.read_blob(Digest.of(blob)) == blob for blob in blobs)


@pytest.mark.parametrize("status", [400, 401, 403, 405, 501])
def test_a_registry_that_deletes_no_manifest_says_so_once(running: Running, status: int) -> None:
    running.faults.add(Fault.answer("DELETE", "/manifests/", status, times=9))
    assert not running.repository().remove_manifest(DIGEST, None)
    assert len(running.recorder.seen("DELETE")) == 1


def test_a_manifest_that_cannot_be_deleted_just_now_is_deleted_later(running: Running) -> None:
    running.faults.add(Fault.answer("DELETE", "/manifests/", 503, headers={"Retry-After": "0"}))
    assert running.repository().remove_manifest(DIGEST, None)
    assert len(running.recorder.seen("DELETE")) == 2
