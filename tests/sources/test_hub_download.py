"""What a network and its servers do to a file on its way; the application below plays Hub and storage."""

from __future__ import annotations

import gzip
import random
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from modelcar.errors import ContentMismatch, PromotionError, SourceError
from modelcar.sources import download
from modelcar.sources.download import RemoteFile, new_session, read
from modelcar.sources.refusal import Request
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTENT = random.Random(2).randbytes((1 << 20) + 4321)
TOKEN = "hf_planted"
Answer = tuple[int, Mapping[str, str], Iterable[bytes]]
Serve = Callable[[Callable[[Mapping[str, str]], Answer]], str]


def application(answer: Callable[[Mapping[str, str]], Answer]) -> WSGIApplication:
    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = {key.removeprefix("HTTP_").lower(): value for key, value in environ.items() if isinstance(value, str)}
        status, headers, body = answer(asked)
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return body

    return serve


def whole(_asked: Mapping[str, str]) -> Answer:
    return 200, {"Content-Length": str(len(CONTENT))}, [CONTENT]


def ranged(asked: Mapping[str, str]) -> Answer:
    if "range" not in asked:
        return whole(asked)
    start = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
    span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return 206, {"Content-Length": str(len(CONTENT) - start), "Content-Range": span}, [CONTENT[start:]]


def redirect(target: str, status: int = 302) -> Callable[[Mapping[str, str]], Answer]:
    return lambda _asked: (status, {"Location": target, "Content-Length": "0"}, [])


@pytest.fixture
def start() -> Iterator[Callable[[WSGIApplication], str]]:
    with ExitStack() as running:
        yield lambda app: running.enter_context(Service(app)).url


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as session:
        yield session


def remote(url: str, size_bytes: int = len(CONTENT)) -> RemoteFile:
    headers = {"authorization": f"Bearer {TOKEN}", "user-agent": "test"}
    return RemoteFile(url, headers, size_bytes, Request("hub", "org/name", "main", True, "w.safetensors"))


def fetch(session: requests.Session, url: str, offset: int = 0, size_bytes: int = len(CONTENT)) -> bytes:
    with read(session, remote(url, size_bytes), offset) as blocks:
        return b"".join(blocks)


def failure(session: requests.Session, url: str, offset: int = 0, size_bytes: int = len(CONTENT)) -> PromotionError:
    with pytest.raises(PromotionError) as caught:
        fetch(session, url, offset, size_bytes)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    return caught.value


Start = Callable[["WSGIApplication"], str]


# --- ranges


@pytest.mark.parametrize("offset", [1, 1 << 20, len(CONTENT) - 1])
@pytest.mark.parametrize("server", [ranged, whole])
def test_a_file_continues_where_it_broke_off_whether_the_server_has_ranges_or_not(
    start: Start, session: requests.Session, server: Callable[[Mapping[str, str]], Answer], offset: int
) -> None:
    assert fetch(session, start(application(server)), offset) == CONTENT[offset:]


def test_the_end_of_a_file_is_not_asked_for(session: requests.Session) -> None:
    assert fetch(session, "http://nobody.invalid/", len(CONTENT)) == b""
    assert fetch(session, "http://nobody.invalid/", 0, 0) == b""


def test_another_part_than_asked_for_is_refused(start: Start, session: requests.Session) -> None:
    def elsewhere(_asked: Mapping[str, str]) -> Answer:
        return 206, {"Content-Range": f"bytes 9-{len(CONTENT) - 1}/{len(CONTENT)}"}, [CONTENT[9:]]

    assert "answers with another part of" in str(failure(session, start(application(elsewhere)), 5))


@pytest.mark.parametrize("span", ["bytes \u00b2-9/10", "bytes -9/10", "9", ""])
def test_a_part_that_is_named_by_no_number_is_refused(start: Start, session: requests.Session, span: str) -> None:
    url = start(application(lambda _asked: (206, {"Content-Range": span}, [CONTENT[5:]])))
    assert "answers with another part of" in str(failure(session, url, 5))


# --- sizes


@pytest.mark.parametrize("published_bytes", [len(CONTENT) - 1, len(CONTENT) + 1])
@pytest.mark.parametrize(("server", "offset"), [(whole, 0), (ranged, 7)])
def test_another_size_than_published_is_told_before_a_byte_is_used(
    start: Start,
    session: requests.Session,
    server: Callable[[Mapping[str, str]], Answer],
    offset: int,
    published_bytes: int,
) -> None:
    error = failure(session, start(application(server)), offset, published_bytes)
    assert str(error) == (f"w.safetensors of org/name has {len(CONTENT)} bytes, but {published_bytes} were published")
    assert (type(error), error.retryable) == (ContentMismatch, False)


def test_a_stream_without_length_may_not_have_more(start: Start, session: requests.Session) -> None:
    url = start(application(lambda _asked: (200, {}, [CONTENT])))
    assert fetch(session, url) == CONTENT
    assert "has more bytes, but 100 were published" in str(failure(session, url, 0, 100))


def test_a_stream_without_length_that_ends_early_is_retryable(start: Start, session: requests.Session) -> None:
    url = start(application(lambda _asked: (200, {}, [CONTENT[:500]])))
    error = failure(session, url)
    assert f"broke off after 500 of {len(CONTENT)} bytes of w.safetensors of org/name" in str(error)
    assert (type(error), error.retryable) == (SourceError, True)


def test_a_compressed_answer_is_unpacked_and_counted(start: Start, session: requests.Session) -> None:
    packed = gzip.compress(CONTENT)
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}
    assert fetch(session, start(application(lambda _asked: (200, headers, [packed])))) == CONTENT


def test_a_range_behind_the_end_is_a_mismatch(start: Start, session: requests.Session) -> None:
    url = start(application(lambda _asked: (416, {"Content-Range": "bytes */50", "Content-Length": "0"}, [])))
    assert isinstance(failure(session, url, 100), ContentMismatch)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("after_bytes", [0, 1000])
def test_a_cut_connection_is_retryable(start: Start, session: requests.Session, reset: bool, after_bytes: int) -> None:
    faults = Faults(application(whole), Fault.cut_answer("GET", "", after_bytes, reset=reset))
    url = start(faults)
    assert failure(session, url).retryable is True
    assert fetch(session, url) == CONTENT


def test_leaving_early_is_not_an_error(start: Start, session: requests.Session) -> None:
    url = start(application(whole))
    with read(session, remote(url), 0) as blocks:
        assert next(blocks) == CONTENT[: 1 << 20]
    assert fetch(session, url) == CONTENT


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_stays_with_its_host(start: Start, session: requests.Session, status: int) -> None:
    storage = Recorder(application(ranged))
    target = start(storage) + "/signed?signature=abc"
    hub = Recorder(application(redirect(target, status)))
    assert fetch(session, start(hub), 10) == CONTENT[10:]
    assert [request.authorized for request in hub.requests] == [True]
    assert [(request.authorized, request.query) for request in storage.requests] == [(False, "signature=abc")]


def test_the_token_stays_on_a_relative_redirect(start: Start, session: requests.Session) -> None:
    def hub(asked: Mapping[str, str]) -> Answer:
        return ranged(asked) if asked["path_info"] == "/cache" else redirect("/cache")(asked)

    recorder = Recorder(application(hub))
    assert fetch(session, start(recorder) + "/resolve") == CONTENT
    assert [(request.path, request.authorized) for request in recorder.requests] == [
        ("/resolve", True),
        ("/cache", True),
    ]


def test_netrc_does_not_replace_the_token(
    start: Start, session: requests.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password geheim\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    def storage(asked: Mapping[str, str]) -> Answer:
        seen.append(asked.get("authorization"))
        return whole(asked)

    def hub(asked: Mapping[str, str]) -> Answer:
        seen.append(asked.get("authorization"))
        return redirect(target)(asked)

    target = start(application(storage))
    fetch(session, start(application(hub)))
    assert seen == [f"Bearer {TOKEN}", None]


def test_cookies_are_not_kept(start: Start, session: requests.Session) -> None:
    def baker(asked: Mapping[str, str]) -> Answer:
        status, headers, body = whole(asked)
        seen.append("cookie" in asked)
        return status, {**headers, "Set-Cookie": "a=b; Path=/"}, body

    seen: list[bool] = []
    url = start(application(baker))
    fetch(session, url)
    fetch(session, url)
    assert seen == [False, False]


def test_each_read_asks_the_hub_for_a_new_address(start: Start, session: requests.Session) -> None:
    storage = Faults(application(whole), Fault.answer("GET", "", 403, body=b"Request has expired"))
    target = start(storage)
    hub = Recorder(application(redirect(f"{target}/signed?signature=abc")))
    url = start(hub)
    error = failure(session, url)
    assert "does not accept the signed address of w.safetensors of org/name; it may have expired" in str(error)
    assert "abc" not in "".join(traceback.format_exception(error))
    assert error.retryable is True
    assert fetch(session, url) == CONTENT
    assert len(hub.requests) == 2


def test_an_outage_behind_a_redirect_does_not_show_the_signature(start: Start, session: requests.Session) -> None:
    with Service(application(whole)) as gone:
        target = f"{gone.url}/signed?signature=geheim"
    error = failure(session, start(application(redirect(target))))
    assert str(error) == f"{gone.address} cannot be reached: Connection refused"
    assert "geheim" not in "".join(traceback.format_exception(error))


def test_redirects_without_end_are_refused(start: Start, session: requests.Session) -> None:
    error = failure(session, start(application(redirect("/again"))))
    assert str(error) == "hub redirects more than 10 times for w.safetensors of org/name"


@pytest.mark.parametrize("target", ["ftp://storage/x", "http://storage:port/x", "file:///etc/passwd", "http://[/"])
def test_a_redirect_to_something_else_is_refused(start: Start, session: requests.Session, target: str) -> None:
    assert "redirects to something that is no address" in str(failure(session, start(application(redirect(target)))))


@pytest.mark.parametrize("status", [304, 400])
def test_any_other_answer_is_not_the_file(start: Start, session: requests.Session, status: int) -> None:
    error = failure(session, start(application(lambda _asked: (status, {}, []))))
    assert str(error) == f"hub answered {status} when asked for w.safetensors of org/name"


def test_a_redirect_does_not_give_up_tls() -> None:
    with pytest.raises(SourceError, match=r"^hub redirects to something that is no address, or to one without TLS$"):
        download._redirect("https://hub/x", "http://storage/x")
