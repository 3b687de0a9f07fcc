from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError, ImageNotFound, PromotionError, SourceError
from modelcar.reference import Digest
from registry_service import Running
from wsgi_faults import Fault

SIZE_BYTES = 6 << 20
UPLOAD = "/blobs/uploads/"
SESSION = "/blobs/uploads/."


class Stream:
    """A blob that learns its digest while it is read, and that can fail while it is."""

    def __init__(self, error: PromotionError | None = None) -> None:
        self.digest: Digest | None = None
        self.passes = 0
        self._error = error

    def __len__(self) -> int:
        return SIZE_BYTES

    def __iter__(self) -> Iterator[bytes]:
        self.digest = None
        self.passes += 1
        for number in range(6):
            if number == 3 and self._error is not None:
                raise self._error
            yield bytes([number]) * (1 << 20)
        self.digest = DIGEST


DIGEST = Digest.of(b"".join(bytes([number]) * (1 << 20) for number in range(6)))


@pytest.fixture(params=["stream", "known"])
def stream_or_known(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def send(running: Running, kind: str, blob: Stream, repository: Repository | None = None) -> None:
    repository = repository or running.repository()
    if kind == "stream":
        assert repository.write_stream(blob) == DIGEST
    else:
        repository.write_blob(blob, DIGEST)


def body_method(kind: str) -> str:
    return "PATCH" if kind == "stream" else "PUT"


def test_a_blob_is_read_once_and_sent_once(running: Running, stream_or_known: str) -> None:
    blob = Stream()
    send(running, stream_or_known, blob)
    assert blob.passes == 1
    assert sum(request.bytes_received for request in running.recorder.requests) == SIZE_BYTES
    assert running.repository().has_blob(DIGEST)


def test_a_blob_is_sent_with_its_length_stated(running: Running, stream_or_known: str) -> None:
    send(running, stream_or_known, Stream())
    (request,) = [request for request in running.recorder.requests if request.bytes_received]
    assert request.headers["content-length"] == str(SIZE_BYTES)
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_body_that_is_answered_by_an_error_is_sent_again(running: Running, stream_or_known: str, status: int) -> None:
    blob = Stream()
    running.faults.add(Fault.answer(body_method(stream_or_known), SESSION, status, after_body_bytes=1 << 20))
    send(running, stream_or_known, blob)
    assert (blob.passes, running.repository().has_blob(DIGEST), running.sessions_left) == (2, True, 0)


@pytest.mark.parametrize("status", [401, 413, 429, 500])
def test_an_error_that_arrives_while_the_body_is_sent_is_heard(
    running: Running, stream_or_known: str, status: int
) -> None:
    running.faults.add(
        Fault.answer(body_method(stream_or_known), SESSION, status, after_body_bytes=2 << 20, drain=False)
    )
    send(running, stream_or_known, Stream())
    assert running.faults.fired == 1
    assert (running.repository().has_blob(DIGEST), running.sessions_left) == (True, 0)


@pytest.mark.parametrize("reset", [True, False])
def test_a_known_blob_that_is_cut_in_the_middle_is_sent_again_in_a_new_session(running: Running, reset: bool) -> None:
    blob = Stream()
    running.faults.add(Fault.cut_request("PUT", SESSION, 3 << 20, reset=reset))
    running.repository().write_blob(blob, DIGEST)
    assert (blob.passes, len(running.recorder.seen("POST")), running.sessions_left) == (2, 2, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answer("PUT", SESSION, 429),
        Fault.answer("PUT", SESSION, 500, times=2),
        Fault.cut_request("PUT", SESSION, 0),
        Fault.cut_answer("PUT", SESSION, 0),
    ],
    ids=["429", "500 twice", "cut before", "answer lost"],
)
def test_when_only_the_last_request_fails_no_byte_is_sent_again(running: Running, fault: Fault) -> None:
    stream = Stream()
    running.faults.add(fault)
    assert running.repository().write_stream(stream) == DIGEST
    assert (stream.passes, running.faults.fired) == (1, fault.times)
    assert running.repository().has_blob(DIGEST)
    assert running.sessions_left == 0


def test_a_known_blob_whose_answer_got_lost_is_not_sent_again(running: Running) -> None:
    blob = Stream()
    running.faults.add(Fault.cut_answer("PUT", SESSION, 0))
    running.repository().write_blob(blob, DIGEST)
    assert blob.passes == 1


@pytest.mark.parametrize("body", [b"", b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'])
def test_a_lost_session_is_replaced_by_a_new_one(running: Running, stream_or_known: str, body: bytes) -> None:
    blob = Stream()
    running.faults.add(Fault.answer(body_method(stream_or_known), SESSION, 404, body=body))
    send(running, stream_or_known, blob)
    assert (blob.passes, len(running.recorder.seen("POST"))) == (2, 2)


def test_a_session_that_is_lost_before_its_last_request_is_replaced_by_a_new_one(running: Running) -> None:
    stream = Stream()
    running.faults.add(Fault.answer("PUT", SESSION, 404, times=3))
    assert running.repository().write_stream(stream) == DIGEST
    assert (stream.passes, running.sessions_left) == (2, 0)


@pytest.mark.parametrize("fault", [Fault.answer("POST", UPLOAD, 503), Fault.cut_answer("POST", UPLOAD, 0)])
def test_a_session_that_does_not_open_is_asked_for_again(running: Running, stream_or_known: str, fault: Fault) -> None:
    blob = Stream()
    running.faults.add(fault)
    send(running, stream_or_known, blob)
    assert blob.passes == 1


def test_an_upload_whose_answer_lacks_its_address_is_opened_again(running: Running, stream_or_known: str) -> None:
    blob = Stream()
    running.faults.add(Fault.answer("POST", UPLOAD, 202))
    send(running, stream_or_known, blob)
    assert (blob.passes, len(running.recorder.seen("POST"))) == (1, 2)


def test_a_registry_that_never_says_where_an_upload_goes_is_told_so(running: Running, stream_or_known: str) -> None:
    running.faults.add(Fault.answer("POST", UPLOAD, 202, times=99))
    with pytest.raises(DistributionError, match="opened an upload to team/model and did not say where"):
        send(running, stream_or_known, Stream())


def test_a_registry_that_asks_for_a_second_gets_it(running: Running) -> None:
    running.faults.add(Fault.answer("POST", UPLOAD, 429, headers={"Retry-After": "1"}))
    started = time.monotonic()
    running.repository().write_blob(Content(b"blob"), Digest.of(b"blob"))
    assert time.monotonic() - started >= 1


def test_a_registry_that_always_fails_is_given_up_with_its_last_answer(running: Running, stream_or_known: str) -> None:
    blob, repository = Stream(), running.repository()
    assert repository.find_manifest("v1") is None  # who has answered once is met with patience
    method = body_method(stream_or_known)
    running.faults.add(Fault.answer(method, SESSION, 500, body=b'{"errors":[{"message":"disk full"}]}', times=99))
    with pytest.raises(DistributionError) as caught:
        send(running, stream_or_known, blob, repository)
    assert str(caught.value).endswith(": push to team/model: HTTP 500, disk full")
    assert (blob.passes, running.sessions_left) == (8, 0)


@pytest.mark.parametrize("status", [400, 403])
def test_what_will_not_get_better_is_not_tried_again(running: Running, stream_or_known: str, status: int) -> None:
    blob = Stream()
    running.faults.add(Fault.answer(body_method(stream_or_known), SESSION, status))
    with pytest.raises(DistributionError) as caught:
        send(running, stream_or_known, blob)
    assert (caught.value.status, blob.passes, running.sessions_left) == (status, 1, 0)


def test_a_project_that_is_not_there_is_told_at_once(running: Running, stream_or_known: str) -> None:
    running.faults.add(Fault.answer("POST", UPLOAD, 404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}'))
    with pytest.raises(ImageNotFound, match="push to team/model: HTTP 404 NAME_UNKNOWN"):
        send(running, stream_or_known, Stream())


def test_what_reading_raises_comes_through_as_it_is_and_ends_the_upload(running: Running, stream_or_known: str) -> None:
    error = SourceError("the disk is broken")
    with pytest.raises(SourceError) as caught:
        send(running, stream_or_known, Stream(error))
    assert caught.value is error
    assert len(running.recorder.seen("POST")) == 1
    assert running.sessions_left == 0


def test_a_registry_that_answers_before_it_has_everything_is_not_believed(running: Running) -> None:
    stream = Stream()
    running.faults.add(Fault.answer("PATCH", SESSION, 202, after_body_bytes=1 << 20, drain=False))
    assert running.repository().write_stream(stream) == DIGEST
    assert stream.passes == 2


def test_a_blob_of_another_digest_is_refused_and_not_sent_again(running: Running) -> None:
    blob = Stream()
    with pytest.raises(DistributionError) as caught:
        running.repository().write_blob(blob, Digest.of(b"other"))
    assert caught.value.code == "DIGEST_INVALID"
    assert (blob.passes, running.sessions_left) == (1, 0)
