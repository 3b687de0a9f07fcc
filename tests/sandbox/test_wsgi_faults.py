"""The tests' own middlewares do on the socket what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest
import requests

from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ANSWER = b"x" * 100_000
BODY = b"y" * 5_000_000


def read_and_answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read everything, then answer 201."""
    while environ["wsgi.input"].read(1 << 16):
        pass
    start_response("201 Created", [("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


class Bench:
    """Faults between two recorders, on a socket."""

    def __init__(self) -> None:
        self.inside = Recorder(read_and_answer)
        self.faults = Faults(self.inside)
        self.outside = Recorder(self.faults)
        self.service = Service(self.outside)
        self.session = requests.Session()

    def put(self, data: bytes | Iterable[bytes] = BODY) -> requests.Response:
        return self.session.put(f"{self.service.url}/some/path?q=1", data=data, timeout=10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.service, made.session:
        yield made


def chunks() -> Iterator[bytes]:
    """The body without a stated length."""
    for start in range(0, len(BODY), 100_000):
        yield BODY[start : start + 100_000]


def test_a_recorder_writes_down_what_was_asked_and_no_credentials(bench: Bench) -> None:
    bench.session.auth = ("robot", "secret")
    assert bench.put(chunks()).content == ANSWER
    (seen,) = bench.inside.requests
    assert (seen.method, seen.path, seen.query, seen.status) == ("PUT", "/some/path", "q=1", 201)
    assert (seen.bytes_received, seen.authorized) == (len(BODY), True)
    assert seen.headers["transfer-encoding"] == "chunked"
    assert "secret" not in repr(seen)
    assert "authorization" not in seen.headers


def test_a_recorder_finds_by_method_and_path_and_forgets(bench: Bench) -> None:
    bench.put(b"")
    assert len(bench.inside.seen("PUT", r"/path$")) == 1
    assert bench.inside.seen("GET") == bench.inside.seen("PUT", r"^/path") == []
    bench.inside.clear()
    assert bench.inside.requests == []


@pytest.mark.parametrize("data", [BODY, chunks()], ids=["stated", "chunked"])
def test_an_answer_after_the_whole_body_keeps_the_connection(bench: Bench, data: bytes) -> None:
    bench.faults.add(Fault.answer("PUT", "path", 503, headers={"Retry-After": "0"}, body=b"later", after_body_bytes=9))
    answer = bench.put(data)
    assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (503, b"later", "0")
    assert (bench.outside.requests[0].bytes_received, bench.inside.requests) == (len(BODY), [])
    assert bench.put().status_code == 201


@pytest.mark.parametrize("body", [b"no", b""])
def test_an_answer_at_once_leaves_the_body_unread(bench: Bench, body: bytes) -> None:
    bench.faults.add(Fault.answer("PUT", "path", 401, body=body, after_body_bytes=5000, drain=False))
    answer = bench.put()
    assert (answer.status_code, answer.content, answer.headers["Connection"]) == (401, body, "close")
    assert bench.outside.requests[0].bytes_received == 5000


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("data", [BODY, chunks()], ids=["stated", "chunked"])
def test_a_cut_request_gives_the_application_so_many_bytes_and_the_client_no_answer(
    bench: Bench, data: bytes, reset: bool
) -> None:
    bench.faults.add(Fault.cut_request("PUT", "path", 70_000, reset=reset))
    with pytest.raises(requests.ConnectionError):
        bench.put(data)
    (seen,) = bench.inside.requests
    assert (seen.bytes_received, seen.status) == (70_000, None)


@pytest.mark.parametrize(("reset", "message"), [(True, "Connection reset by peer"), (False, "without response")])
def test_an_answer_cut_at_its_start_leaves_the_work_done(bench: Bench, reset: bool, message: str) -> None:
    bench.faults.add(Fault.cut_answer("PUT", "path", 0, reset=reset))
    with pytest.raises(requests.ConnectionError, match=message):
        bench.put()
    assert bench.inside.requests[0].bytes_received == len(BODY)


@pytest.mark.parametrize(("reset", "message"), [(True, "Connection reset by peer"), (False, "5000 bytes read")])
def test_an_answer_cut_in_the_middle_arrives_in_part(bench: Bench, reset: bool, message: str) -> None:
    bench.faults.add(Fault.cut_answer("PUT", "path", 5000, reset=reset))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match=message):
        bench.put()


def test_faults_hit_the_requests_that_they_count_to(bench: Bench) -> None:
    bench.faults.add(Fault.answer("PUT", "path", 500, nth=2, times=2))
    bench.faults.add(Fault.answer("PUT", "elsewhere", 501))
    bench.faults.add(Fault.answer("GET", "path", 502))
    assert [bench.put(b"").status_code for _ in range(5)] == [201, 500, 500, 201, 201]
    assert bench.faults.fired == 2
    bench.faults.clear()
    bench.faults.add(Fault.answer("PUT", "path", 503))
    assert [bench.put(b"").status_code for _ in range(2)] == [503, 201]
    assert bench.faults.fired == 1


def test_a_cut_is_silent_on_the_servers_side(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.faults.add(Fault.cut_request("PUT", "path", 10))
    bench.faults.add(Fault.cut_answer("PUT", "path", 10, nth=2))
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            bench.put()
    assert bench.put().status_code == 201
    assert capfd.readouterr() == ("", "")


def test_a_fault_waits_for_a_request_that_is_long_enough_to_reach_it(bench: Bench) -> None:
    bench.faults.add(Fault.cut_request("PUT", "/some/", 1000))
    assert bench.put(b"y" * 999).status_code == 201
    assert bench.faults.fired == 0
    with pytest.raises(requests.ConnectionError):
        bench.put(b"y" * 1001)
    assert bench.faults.fired == 1
