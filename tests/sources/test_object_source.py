"""Against the sandbox's object store; `test_object_faults` has what a network and a store do to the bytes."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from canned_answers import Answer, Canned, serve_answers
from certificates import write_issued_certificate
from modelcar.errors import PromotionError, SourceNotFound, UnsafeContent
from modelcar.snapshot import LeftOut, ModelFile, ModelSnapshot
from modelcar.sources.open import open_source
from modelcar_sandbox.object_store import KEYS
from object_store_service import RunningStore

WEIGHTS = random.Random(3).randbytes((3 << 20) + 4321)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "sub dir/n\u00f6tes.txt": b"deep"}


def failure(uri: str) -> PromotionError:
    with pytest.raises(PromotionError) as caught:
        open_source(uri).snapshot()
    return caught.value


def read(uri: str, path: str, offset: int = 0) -> list[bytes]:
    source = open_source(uri)
    file = next(file for file in source.snapshot().files if file.path == path)
    with source.open(file, offset) as blocks:
        return list(blocks)


def test_a_directory_of_a_bucket_is_listed_without_digests(store: RunningStore) -> None:
    store.put(FILES, "listed/")
    assert open_source(f"s3://{store.bucket}/listed/").snapshot() == ModelSnapshot(
        f"s3://{store.bucket}/listed",
        None,
        None,
        (
            ModelFile("config.json", 2),
            ModelFile("model.safetensors", len(WEIGHTS)),
            ModelFile("sub dir/n\u00f6tes.txt", 4),
        ),
    )
    assert [(one.method, one.path) for one in store.recorder.requests] == [("GET", f"/{store.bucket}")]


def test_what_only_begins_like_the_directory_is_not_in_it(store: RunningStore) -> None:
    store.put({"llama/config.json": b"1", "llama-2/config.json": b"22", "llama.txt": b"333"})
    assert open_source(f"s3://{store.bucket}/llama").snapshot().files == (ModelFile("config.json", 1),)


def test_the_bucket_of_the_data_connection_is_named_in_what_was_resolved(
    store: RunningStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put({"connected/config.json": b"1"})
    monkeypatch.setenv("AWS_S3_BUCKET", store.bucket)
    assert open_source("s3:///connected").snapshot().uri == f"s3://{store.bucket}/connected"


def test_more_objects_than_a_page_holds_are_all_listed(store: RunningStore) -> None:
    store.put({f"many/{number:04}.txt": b"x" for number in range(1001)})
    assert len(open_source(f"s3://{store.bucket}/many").snapshot().files) == 1001
    assert len(store.recorder.seen("GET")) == 2


def test_files_are_sorted_by_the_bytes_of_their_names(store: RunningStore) -> None:
    names = ["Zebra", "apple", "apple-pie", "apple.d/pie", "\u00c4pfel", "\uffff", "\U0001f600"]
    store.put(dict.fromkeys(reversed(names), b"x"), "sorted/")
    snapshot = open_source(f"s3://{store.bucket}/sorted").snapshot()
    assert [file.path for file in snapshot.files] == sorted(names, key=str.encode)


def test_patterns_choose_as_in_other_sources(store: RunningStore) -> None:
    store.put({"chosen/a.json": b"1", "chosen/b.txt": b"22"})
    snapshot = open_source(f"s3://{store.bucket}/chosen", ignore=["*.txt"]).snapshot()
    assert snapshot.files == (ModelFile("a.json", 1),)
    assert snapshot.left_out == (LeftOut("b.txt", 2, "ignore pattern *.txt"),)


def test_keys_that_stand_for_directories_are_passed_over_and_empty_files_are_not(store: RunningStore) -> None:
    store.put({"marked/": b"", "marked/sub/": b"", "marked/sub/a": b"1", "marked/none/": b"", "marked/empty": b""})
    store.put({"marked/marked": b""})
    assert open_source(f"s3://{store.bucket}/marked").snapshot().files == (
        ModelFile("empty", 0),
        ModelFile("marked", 0),
        ModelFile("sub/a", 1),
    )


NAMES = [
    "a b",
    "tail ",
    "a+b",
    "%41",
    "%2541",
    "b%2Fc",
    "%2e%2e",
    "q?x=1",
    "h#a",
    '*~^[x]{y}|`<>"',
    unicodedata.normalize("NFC", "caf\u00e9"),
    unicodedata.normalize("NFD", "na\u00efve"),
    "\U0001f600",
]


def test_each_key_is_read_as_the_object_that_has_it_and_no_other(store: RunningStore) -> None:
    everything = {name: name.encode() for name in [*NAMES, "A", "%25", "a%2Bb"]}
    store.put(everything, "odd/")
    source = open_source(f"s3://{store.bucket}/odd")
    files = source.snapshot().files
    received = {}
    for file in files:
        with source.open(file) as blocks:
            received[file.path] = b"".join(blocks)
    assert received == everything


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a//b", "a//b"), ("/a", "/a"), ("a/../b", "a/../b"), ("./a", "./a"), ("..", ".."), ("a\x01b", r"a\u{1}b")],
)
def test_a_key_that_is_no_path_is_refused_by_name(store: RunningStore, key: str, shown: str) -> None:
    store.put({f"unusable/{key}": b"x"})
    error = failure(f"s3://{store.bucket}/unusable")
    store.delete(f"unusable/{key}")
    assert isinstance(error, UnsafeContent)
    assert str(error) == (f's3://{store.bucket}/unusable holds the key "unusable/{shown}", which is no path of a file')


@pytest.mark.parametrize("key", [".wh.a", "a\\b", "a" * 256])
def test_a_key_that_no_image_can_hold_is_refused_as_from_other_sources(store: RunningStore, key: str) -> None:
    store.put({f"unheld/{key}": b"x"})
    error = failure(f"s3://{store.bucket}/unheld")
    store.delete(f"unheld/{key}")
    assert isinstance(error, UnsafeContent)
    assert str(error).startswith("the file name ")


def test_a_file_and_a_directory_of_one_name_are_refused(store: RunningStore) -> None:
    store.put({"both/a": b"", "both/a/b": b"x"})
    assert str(failure(f"s3://{store.bucket}/both")) == "'a' is a file, and 'a/b' needs a directory of that name"


def test_a_directory_that_is_not_there_is_named(store: RunningStore) -> None:
    error = failure(f"s3://{store.bucket}/absent")
    assert isinstance(error, SourceNotFound)
    assert str(error) == f"s3://{store.bucket}/absent has no files"


def test_a_bucket_that_is_not_there_is_named(store: RunningStore) -> None:
    error = failure("s3://absent/model")
    assert isinstance(error, SourceNotFound)
    assert str(error) == f"{store.address} has no bucket absent"
    assert error.hint == "Check the name. The address is that of AWS_S3_ENDPOINT."


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("offset", [0, 1])
def test_each_file_arrives_from_any_offset_in_blocks(store: RunningStore, path: str, offset: int) -> None:
    store.put(FILES, "read/")
    received = read(f"s3://{store.bucket}/read", path, offset)
    assert b"".join(received) == FILES[path][offset:]
    assert all(0 < len(block) <= 1 << 20 for block in received)


def test_the_end_of_a_file_is_not_asked_for(store: RunningStore) -> None:
    store.put({"end/a": b"1234"})
    assert read(f"s3://{store.bucket}/end", "a", 4) == []
    assert store.recorder.seen("GET", "/end/a") == []


def test_a_file_is_opened_without_a_listing_before(store: RunningStore) -> None:
    store.put({"direct/a": b"1234"})
    with open_source(f"s3://{store.bucket}/direct").open(ModelFile("a", 4)) as blocks:
        assert b"".join(blocks) == b"1234"


def test_a_public_bucket_is_read_without_a_signature(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://{store.address}/{store.bucket}/public/a"
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request"}
    requests.put(url, b"1234", headers=signed | {"x-amz-acl": "public-read"}, timeout=10).raise_for_status()
    store.recorder.clear()
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert read(f"s3://{store.bucket}/public", "a") == [b"1234"]
    assert [one.authorized for one in store.recorder.requests] == [False, False]


def test_a_session_token_goes_along(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put({"token/a": b"1234"})
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted")
    assert read(f"s3://{store.bucket}/token", "a") == [b"1234"]
    assert {one.headers.get("x-amz-security-token") for one in store.recorder.requests} == {"planted"}


ROLE = b"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>key-of-the-role</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture
def role(store: RunningStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Canned]:
    """A pod that has a role and no keys; and who is asked for them, over TLS."""
    (tmp_path / "token").write_text("token-of-the-pod")
    for name in KEYS:
        monkeypatch.delenv(name)
    certificate = write_issued_certificate(tmp_path / "server.pem", tmp_path / "authority.pem")
    with serve_answers(Answer(200, ROLE), certificate=certificate) as service:
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/models")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        yield service


def test_the_role_of_a_pod_gives_keys(store: RunningStore, role: Canned) -> None:
    store.put({"role/a": b"1234"})
    assert read(f"s3://{store.bucket}/role", "a") == [b"1234"]
    assert {one.headers["x-amz-security-token"] for one in store.recorder.requests} == {"session"}
    assert len(role.asked) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "the Security Token Service of AWS gives no keys for s3://models/llama: it answered 403"),
        (503, "the Security Token Service of AWS gives no keys for s3://models/llama"),
    ],
)
def test_a_role_that_gives_no_keys_is_told_without_the_token(
    store: RunningStore, role: Canned, status: int, message: str
) -> None:
    role.answers[:] = [Answer(status, b"<Error><Code>AccessDenied</Code></Error>")]
    error = failure("s3://models/llama")
    assert str(error) == message
    assert error.retryable == (status >= 500)
    assert "token-of-the-pod" not in f"{error} {error.hint}"


LISTING = b"""<ListBucketResult><Contents><Key>llama/a</Key><Size>4</Size><ETag>"1"</ETag>
<LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"""


def test_a_private_authority_is_trusted_when_it_is_named(
    store: RunningStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = write_issued_certificate(tmp_path / "server.pem", tmp_path / "authority.pem")
    with serve_answers(Answer(200, LISTING), certificate=certificate) as server:
        monkeypatch.setenv("AWS_S3_ENDPOINT", server.url)
        host = server.url.removeprefix("https://")
        assert str(failure("s3://models/llama")) == f"{host} cannot be trusted: its certificate is not known here"
        assert server.asked == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        assert open_source("s3://models/llama").snapshot().files == (ModelFile("a", 4),)


def test_a_proxy_is_asked_unless_the_host_is_excepted(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT", "http://store.invalid")
    monkeypatch.setenv("NO_PROXY", "elsewhere.invalid")
    with serve_answers(Answer(200, LISTING)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert open_source("s3://models/llama").snapshot().files == (ModelFile("a", 4),)
        assert proxy.asked == ["GET http://store.invalid/models?list-type=2&prefix=llama%2F"]
        monkeypatch.setenv("NO_PROXY", "store.invalid")
        assert str(failure("s3://models/llama")) == "store.invalid cannot be reached: its name is not known"


def test_a_virtual_host_is_asked_when_that_is_wanted(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT", "http://store.invalid")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
    with serve_answers(Answer(200, LISTING)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        open_source("s3://models/llama").snapshot()
    assert proxy.asked == ["GET http://models.store.invalid/?list-type=2&prefix=llama%2F"]


def test_a_source_that_is_closed_fetches_only_what_is_asked_for(store: RunningStore) -> None:
    store.put({f"closed/{number}.txt": b"x" for number in range(9)})
    source = open_source(f"s3://{store.bucket}/closed")
    files = source.snapshot().files
    source.close()
    store.recorder.clear()
    for file in files[:4]:
        with source.open(file) as blocks:
            assert b"".join(blocks) == b"x"
    assert [one.path.rpartition("/")[2] for one in store.recorder.seen("GET")] == [file.path for file in files[:4]]
