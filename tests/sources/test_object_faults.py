"""What a network and an object store do to a listing and to the bytes on their way."""

from __future__ import annotations

import random
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from model_files import no_check
from modelcar.errors import ContentMismatch, PromotionError, SourceAccessDenied, SourceError, SourceNotFound
from modelcar.image.content import FileStream
from modelcar.snapshot import ModelFile, Source
from modelcar.sources import bucket
from modelcar.sources.open import open_source
from object_store_service import RunningStore
from wsgi_faults import Fault

MIB = 1 << 20
CONTENT = random.Random(5).randbytes(3 * MIB + 4321)
NAME = "model.safetensors"
PLANTED = "planted-secret"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once."""
    monkeypatch.setattr("modelcar.image.content.wait_unless", lambda _cancelled: lambda _delay_s: None)


@pytest.fixture
def listed(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, ModelFile]:
    """A source that has listed one file."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    store.put({NAME: CONTENT}, "faulty/")
    source = open_source(f"s3://{store.bucket}/faulty")
    (file,) = source.snapshot().files
    store.recorder.clear()
    return source, file


def stream(source: Source, file: ModelFile) -> bytes:
    """The whole file, as a layer reads it: what breaks in between is opened again."""
    return b"".join(FileStream(file, source.open, no_check(file), threading.Event()))


def failure(source: Source, file: ModelFile | None = None) -> PromotionError:
    """What stops a listing, or else a file."""
    with pytest.raises(PromotionError) as caught:
        source.snapshot() if file is None else stream(source, file)
    shown = "".join(traceback.format_exception(caught.value)) + (caught.value.hint or "")
    assert PLANTED not in shown
    assert "Signature" not in shown
    assert "Debug source" not in shown
    return caught.value


def error_code(status: int, code: str) -> Fault:
    body = f"<Error><Code>{code}</Code><Message>{PLANTED} status code: 200</Message></Error>".encode()
    return Fault.answer("GET", "", status, body=body, times=999)


# --- in the middle of a file


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("at", [0, 1, MIB, 2 * MIB + 17, len(CONTENT) - 1])
def test_a_connection_that_is_cut_is_taken_up_where_it_broke_off(
    store: RunningStore, listed: tuple[Source, ModelFile], at: int, reset: bool
) -> None:
    store.faults.add(Fault.cut_answer("GET", NAME, at, reset=reset))
    assert stream(*listed) == CONTENT
    first, second = store.recorder.seen("GET", NAME)
    assert "range" not in first.headers
    begin = int(second.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    assert begin <= at
    assert reset or at - begin < 2 * MIB  # what was received is kept, but for one block


def test_each_part_is_asked_for_by_the_tag_that_was_listed(
    store: RunningStore, listed: tuple[Source, ModelFile]
) -> None:
    store.faults.add(Fault.cut_answer("GET", NAME, 2 * MIB))
    stream(*listed)
    first, second = (one.headers["if-match"] for one in store.recorder.seen("GET", NAME))
    assert first == second
    assert first.startswith('"')


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_store_that_is_busy_is_asked_again(
    store: RunningStore, listed: tuple[Source, ModelFile], status: int
) -> None:
    store.faults.add(Fault.answer("GET", NAME, status, times=2))
    assert stream(*listed) == CONTENT
    assert len(store.recorder.seen("GET", NAME)) == 3


def test_a_store_that_stays_busy_is_told_in_one_sentence(store: RunningStore, listed: tuple[Source, ModelFile]) -> None:
    store.faults.add(error_code(503, "SlowDown"))
    error = failure(*listed)
    assert str(error) == f"{store.address} asks to wait: too many requests"
    assert len(store.recorder.seen("GET", NAME)) == 8


def test_a_refusal_in_the_middle_is_told_and_not_tried_again(
    store: RunningStore, listed: tuple[Source, ModelFile]
) -> None:
    store.faults.add(Fault.cut_answer("GET", NAME, 2 * MIB))
    store.faults.add(Fault.answer("GET", NAME, 403, nth=2, times=999))
    error = failure(*listed)
    assert isinstance(error, SourceAccessDenied)
    assert str(error) == f"{store.address} refuses {NAME} of s3://{store.bucket}/faulty"
    assert len(store.recorder.seen("GET", NAME)) == 2


@pytest.mark.parametrize("size_bytes", [len(CONTENT), len(CONTENT) - 5, len(CONTENT) + 5])
def test_an_object_that_was_replaced_after_it_was_listed_is_refused(
    store: RunningStore, listed: tuple[Source, ModelFile], size_bytes: int
) -> None:
    store.put({NAME: bytes(size_bytes)}, "faulty/")
    error = failure(*listed)
    assert isinstance(error, ContentMismatch)
    assert str(error) == f"{NAME} of s3://{store.bucket}/faulty changed since it was listed"
    assert not error.retryable


def test_an_object_that_is_replaced_while_it_is_read_is_never_mixed(
    store: RunningStore, listed: tuple[Source, ModelFile]
) -> None:
    source, file = listed
    store.faults.add(Fault.cut_answer("GET", NAME, 2 * MIB))
    blocks = iter(FileStream(file, source.open, no_check(file), threading.Event()))
    received = [next(blocks)]
    store.put({NAME: bytes(len(CONTENT))}, "faulty/")
    with pytest.raises(ContentMismatch, match="changed since it was listed"):
        received.extend(blocks)
    assert CONTENT.startswith(b"".join(received))


def test_an_object_that_is_deleted_while_it_is_read_is_gone(
    store: RunningStore, listed: tuple[Source, ModelFile]
) -> None:
    source, file = listed
    store.faults.add(Fault.cut_answer("GET", NAME, 2 * MIB))
    blocks = iter(FileStream(file, source.open, no_check(file), threading.Event()))
    next(blocks)
    store.delete(f"faulty/{NAME}")
    with pytest.raises(SourceError) as caught:
        list(blocks)
    assert str(caught.value) == f"{NAME} of s3://{store.bucket}/faulty is gone since it was listed"
    assert not caught.value.retryable


# --- servers that lie


HEAD = "HTTP/1.1 200 OK\r\nLast-Modified: Fri, 27 Nov 2026 00:00:00 GMT\r\n"
PAGE = (
    "<ListBucketResult><Contents><Key>m/{name}</Key><Size>{size}</Size>{tag}"
    "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"
)


@contextmanager
def serve_raw(
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    *,
    tag: str = '<ETag>"1"</ETag>',
    gone: threading.Event | None = None,
) -> Iterator[Source]:
    """A store that lists one file, sends `answer` to whoever reads it, and sets `gone` when that one left."""
    page = PAGE.format(name=NAME, size=len(CONTENT), tag=tag).encode()
    listing = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=speak, args=server.accept()[:1], daemon=True).start()

        def speak(connection: socket.socket) -> None:
            is_reader = False
            with connection, suppress(ConnectionError):
                while asked := connection.recv(1 << 16):
                    is_reader = b"list-type=2" not in asked
                    connection.sendall(answer if is_reader else listing)
            if is_reader and gone is not None:
                gone.set()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_S3_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
        try:
            yield open_source("s3://models/m")
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(length: int, content: bytes, tag: str = '"1"', status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nLast-Modified: Fri, 27 Nov 2026 00:00:00 GMT\r\nETag: {tag}\r\n{more}"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + content


def test_a_store_that_falls_silent_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "READ_TIMEOUT_S", 0.2)
    with serve_raw(monkeypatch, answer(len(CONTENT), CONTENT[:MIB])) as source:
        (file,) = source.snapshot().files
        with pytest.raises(SourceError) as caught, source.open(file) as blocks:
            list(blocks)
    assert str(caught.value).endswith(f" bytes of {NAME} of s3://models/m")
    assert " broke off after " in str(caught.value)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (answer(7, b"another"), "changed since it was listed"),
        (answer(len(CONTENT), CONTENT, tag='"2"'), "changed since it was listed"),
        (answer(0, b"", status="304 Not Modified"), "answered 304 when asked for"),
        (answer(0, b"", status="204 No Content"), "changed since it was listed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n" * 9, "cannot be reached: the connection broke"),
    ],
)
def test_an_answer_that_is_not_the_listed_object_is_refused(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, message: str
) -> None:
    with serve_raw(monkeypatch, sent) as source:
        (file,) = source.snapshot().files
        with pytest.raises(SourceError) as caught, source.open(file) as blocks:
            list(blocks)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "sent",
    [
        answer(len(CONTENT), CONTENT),  # ranges are not heeded
        answer(10, b"0123456789", status="206 Partial Content", more=f"Content-Range: bytes 0-9/{len(CONTENT)}\r\n"),
    ],
)
def test_another_part_than_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    with serve_raw(monkeypatch, sent) as source:
        (file,) = source.snapshot().files
        with pytest.raises(SourceError) as caught, source.open(file, 5) as blocks:
            list(blocks)
    assert str(caught.value).endswith(" does not answer as an S3 server does")
    assert not caught.value.retryable


def test_a_store_without_tags_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_raw(monkeypatch, b"", tag="") as source:
        assert str(failure(source)).endswith(" does not answer as an S3 server does")


def test_a_reader_that_stops_early_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    with serve_raw(monkeypatch, answer(len(CONTENT), CONTENT[:MIB]), gone=gone) as source:
        (file,) = source.snapshot().files
        with source.open(file) as blocks:
            assert CONTENT.startswith(next(blocks))
            assert not gone.is_set()
        assert gone.wait(10)


# --- refusals


@pytest.mark.parametrize(
    ("status", "code", "kind", "message"),
    [
        (404, "NoSuchBucket", SourceNotFound, "{host} has no bucket {bucket}"),
        (403, "AccessDenied", SourceAccessDenied, "{host} refuses {uri}"),
        (403, "", SourceAccessDenied, "{host} refuses {uri}"),
        (401, "", SourceAccessDenied, "{host} refuses {uri}"),
        (403, "InvalidAccessKeyId", SourceAccessDenied, "{host} does not know the access key"),
        (403, "SignatureDoesNotMatch", SourceAccessDenied, "{host} does not accept the secret key"),
        (400, "ExpiredToken", SourceAccessDenied, "{host} does not accept the session token"),
        (403, "RequestTimeTooSkewed", SourceAccessDenied, "{host} refuses the request for its time"),
        (301, "PermanentRedirect", SourceNotFound, "the bucket {bucket} is not in the region us-east-1 of {host}"),
        (
            400,
            "AuthorizationHeaderMalformed",
            SourceNotFound,
            "the bucket {bucket} is not in the region us-east-1 of {host}",
        ),
        (400, "InvalidRequest", SourceError, "{host} answered 400 (InvalidRequest) when asked for {uri}"),
        (501, "NotImplemented", SourceError, "{host} answered 501 (NotImplemented) when asked for {uri}"),
        (418, "<b>&", SourceError, "{host} answered 418 when asked for {uri}"),
    ],
)
def test_a_refusal_is_told_with_its_reason(
    store: RunningStore, listed: tuple[Source, ModelFile], status: int, code: str, kind: type[SourceError], message: str
) -> None:
    store.faults.add(error_code(status, code))
    error = failure(listed[0])
    assert type(error) is kind
    uri = f"s3://{store.bucket}/faulty"
    assert str(error) == message.format(host=store.address, bucket=store.bucket, uri=uri)
    assert error.hint is not None
    assert error.retryable == (status >= 500)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{}"])
def test_an_answer_that_is_no_listing_is_told(
    store: RunningStore, listed: tuple[Source, ModelFile], body: bytes
) -> None:
    store.faults.add(Fault.answer("GET", "", 200, body=body))
    assert str(failure(listed[0])) == f"{store.address} does not answer as an S3 server does"


def test_a_listing_that_breaks_off_may_be_asked_again(store: RunningStore, listed: tuple[Source, ModelFile]) -> None:
    store.faults.add(Fault.cut_answer("GET", f"^/{store.bucket}$", 20))
    error = failure(listed[0])
    assert error.retryable
    assert str(error) == f"{store.address} cannot be reached: the connection broke"
    assert listed[0].snapshot().files == (ModelFile(NAME, len(CONTENT)),)


def test_a_store_that_is_not_there_may_be_asked_again(monkeypatch: pytest.MonkeyPatch, store: RunningStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("AWS_S3_ENDPOINT", f"http://{host}")
    error = failure(open_source("s3://models/llama"))
    assert str(error) == f"{host} cannot be reached: Connection refused"
    assert error.retryable
