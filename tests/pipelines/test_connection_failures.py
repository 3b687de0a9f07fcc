"""Every way in which a request to a pipeline server fails: one sentence, and a way out."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from canned_answers import Answer, Canned, serve_answers
from modelcar.errors import InvalidInput, PipelineServerAccessDenied, PipelineServerError, PromotionError
from modelcar_pipelines import transport
from modelcar_pipelines.connection import Server
from modelcar_pipelines.failures import Conflict, NotFound, Refused

TOKEN = "planted-5ecret-token"
PAGE = b"\n<!DOCTYPE html><html><title>Log in</title></html>"
HEALTH = {"multi_user": False}
STACK = "Failed to read it\ngithub.com/kubeflow/pipelines/server.go:115\nnet/http.HandlerFunc.ServeHTTP"


@dataclass(frozen=True)
class Case:
    """An answer, and what becomes of it.

    Attributes:
        answer: Of the server.
        kind: Class of the error.
        text: Its whole message; `URL` is the server's address.
        hint: Part of its hint; empty when it has none.
        again: Whether asking again may help.
        token: Whether one was sent.
    """

    answer: Answer
    kind: type[PromotionError]
    text: str
    hint: str = ""
    again: bool = False
    token: bool = True


CASES = {
    "a page to log in": Case(
        Answer(200, PAGE, {"Content-Type": "text/html"}),
        PipelineServerAccessDenied,
        "URL answers with a page to log in, not as a pipeline server",
        "Put a token that it accepts into KF_PIPELINES_TOKEN, or into a file that KF_PIPELINES_TOKEN_FILE names",
    ),
    "another page": Case(
        Answer(200, b"<html><title>Welcome to nginx!</title></html>"),
        PipelineServerError,
        "URL is not a pipeline server: it answers with a web page",
        "Check --endpoint and KF_PIPELINES_ENDPOINT: it is the API's address, without /apis at its end.",
    ),
    "a page to log in, without a token": Case(
        Answer(200, PAGE),
        PipelineServerAccessDenied,
        "URL answers with a page to log in, not as a pipeline server",
        "Put a token into KF_PIPELINES_TOKEN, ",
        token=False,
    ),
    "a redirect to a page to log in": Case(
        Answer(302, b"", {"Location": "https://sso.example.com/login"}),
        PipelineServerAccessDenied,
        "URL answers with a page to log in, not as a pipeline server",
        "oc whoami -t",
    ),
    "401 with a token": Case(
        Answer(401, b"Unauthorized"),
        PipelineServerAccessDenied,
        "the pipeline server at URL does not accept the token (401)",
        "Put a new one into KF_PIPELINES_TOKEN or the file that KF_PIPELINES_TOKEN_FILE names.",
    ),
    "401 without a token": Case(
        Answer(401, b"Unauthorized"),
        PipelineServerAccessDenied,
        "the pipeline server at URL asks for a token (401)",
        "Put one into KF_PIPELINES_TOKEN, or into a file that KF_PIPELINES_TOKEN_FILE names.",
        token=False,
    ),
    "403": Case(
        Answer(403, PAGE),
        PipelineServerAccessDenied,
        "the pipeline server at URL does not allow this (403)",
        "Ask for a role in its namespace",
    ),
    "404 of the server": Case(
        Answer(404, {"code": 5, "message": "Run nope not found", "details": []}),
        NotFound,
        "the pipeline server at URL does not have that: Run nope not found",
    ),
    "404 of a proxy": Case(
        Answer(404, b"<h1>Application is not available</h1>"),
        PipelineServerError,
        "URL is not a pipeline server: it answered 404",
        "Check --endpoint and KF_PIPELINES_ENDPOINT",
    ),
    "404 of a kube-apiserver": Case(
        Answer(404, {"kind": "Status", "code": 404, "message": "the server could not find the requested resource"}),
        PipelineServerError,
        "URL is not a pipeline server: it answered 404",
        "without /apis at its end",
    ),
    "409": Case(
        Answer(409, {"code": 6, "message": "The name x already exists", "details": []}),
        Conflict,
        "the pipeline server at URL has one of that name already: The name x already exists",
    ),
    "400": Case(
        Answer(400, {"code": 3, "message": "Invalid input error:\n no such parameter"}),
        Refused,
        "the pipeline server at URL refuses this: Invalid input error: no such parameter",
    ),
    "400 of an upload, with a stack trace": Case(
        Answer(400, {"error_message": "Failed to read a pipeline spec file", "error_details": STACK}),
        Refused,
        "the pipeline server at URL refuses this: Failed to read a pipeline spec file",
    ),
    "400 of an upload, as text": Case(
        Answer(400, b"Failed to read pipeline from file\n"),
        Refused,
        "the pipeline server at URL refuses this: Failed to read pipeline from file",
    ),
    "400 without a word": Case(Answer(400), Refused, "the pipeline server at URL refuses this: it does not say why"),
    "a long 400": Case(
        Answer(400, {"code": 3, "message": "x" * 1000}),
        Refused,
        f"the pipeline server at URL refuses this: {'x' * 300}…",
    ),
    "405": Case(
        Answer(405, b"Method Not Allowed"),
        PipelineServerError,
        "URL is not a pipeline server: it answered 405",
        "Check",
    ),
    "429": Case(Answer(429), PipelineServerError, "the pipeline server at URL answered 429", "try again", again=True),
    "500": Case(
        Answer(500, {"code": 13, "message": "database is gone", "details": []}),
        PipelineServerError,
        "the pipeline server at URL answered 500: database is gone",
        "what their logs say",
        again=True,
    ),
    "501": Case(
        Answer(501, {"code": 12, "message": "not implemented"}),
        PipelineServerError,
        "the pipeline server at URL answered 501: not implemented",
        "Look",
    ),
    "503 of a router": Case(
        Answer(503, PAGE), PipelineServerError, "the pipeline server at URL answered 503", "its pods run", again=True
    ),
    "text": Case(
        Answer(200, b"hello"), PipelineServerError, "URL is not a pipeline server: its answer is no JSON", "Check"
    ),
    "nothing": Case(Answer(204), PipelineServerError, "URL is not a pipeline server: its answer is no JSON", "Check"),
    "a JSON list": Case(
        Answer(200, []), PipelineServerError, "URL is not a pipeline server: its answer is no JSON object", "Check"
    ),
    "bytes that are no text": Case(
        Answer(200, b'{"a": "\xff"}'),
        PipelineServerError,
        "URL is not a pipeline server: its answer is no JSON",
        "Check",
    ),
    "another service's JSON": Case(
        Answer(200, {"status": "ok"}),
        PipelineServerError,
        "URL is not a pipeline server: it does not tell its health as one",
        "Check",
    ),
    "members of another kind": Case(
        Answer(200, b'{"multi_user": false, "pipelines": 7}'),
        PipelineServerError,
        "URL is not a pipeline server: its answer has another shape",
        "Check",
    ),
}


@pytest.fixture
def canned() -> Iterator[Canned]:
    with serve_answers(Answer(200, HEALTH)) as server:
        yield server


def ask(server: Server) -> None:
    server.call(server.pipelines.pipeline_service_list_pipelines)
    server.check()


def fail(url: str, **settings: Any) -> PromotionError:
    with pytest.raises(PromotionError) as raised:
        ask(Server(url, attempts=1, **settings))
    return raised.value


@pytest.mark.parametrize("name", CASES)
def test_what_a_wrong_answer_means(canned: Canned, name: str) -> None:
    case = CASES[name]
    canned.answers = [case.answer]
    error = fail(canned.url, token=TOKEN if case.token else None)
    assert type(error) is case.kind
    assert str(error) == case.text.replace("URL", canned.url)
    assert case.hint in (error.hint or "")
    assert bool(case.hint) == (error.hint is not None)
    assert error.retryable == case.again
    assert TOKEN not in f"{error} {error.hint}"
    assert canned.authorizations[-1] == (f"Bearer {TOKEN}" if case.token else None)


@pytest.mark.parametrize("kind", [PipelineServerAccessDenied, NotFound, Refused])
def test_what_the_caller_can_mend_ends_with_2(kind: type[PromotionError]) -> None:
    assert kind.exit_code == 2


def test_a_redirect_is_not_followed(canned: Canned) -> None:
    canned.answers = [Answer(307, b"", {"Location": f"{canned.url}/login"})]
    fail(canned.url, token=TOKEN)
    assert canned.asked == ["GET /apis/v2beta1/pipelines"]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    error = fail(url)
    assert str(error) == f"the pipeline server at {url} cannot be reached: Connection refused"
    assert error.hint == "Check the address, and that the server runs and may be reached from here."
    assert error.retryable


def test_a_name_that_nobody_knows() -> None:
    error = fail("http://pipelines.invalid")
    assert str(error) == (
        "the pipeline server at http://pipelines.invalid cannot be reached: nobody knows a host of that name"
    )


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(transport, "READ_TIMEOUT_S", 0.1)


@pytest.mark.usefixtures("_impatient")
def test_a_host_that_swallows_packets_is_not_asked_twice() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        with socket.create_connection(address), pytest.raises(PipelineServerError) as raised:
            ask(Server(f"http://127.0.0.1:{address[1]}"))
    assert str(raised.value).endswith(" cannot be reached: no answer in time")
    assert not raised.value.retryable


@pytest.mark.usefixtures("_impatient")
def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = fail(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert str(error).endswith(" cannot be reached: no answer in time")
    assert error.retryable


def answer_raw(listening: socket.socket, answer: bytes) -> None:
    """Take one request, send bytes, and hang up."""
    connection, _ = listening.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "it broke the connection, or does not speak HTTP"),
        (b"", "it broke the connection, or does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "it broke the connection, or does not speak HTTP"),
    ],
)
def test_half_an_answer(answer: bytes, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer_raw, args=(listening, answer), daemon=True)
        thread.start()
        error = fail(f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
    assert str(error).endswith(f" cannot be reached: {reason}")
    assert error.retryable


def test_a_lost_answer_to_a_change_is_not_sent_again_and_says_so(canned: Canned) -> None:
    server = Server(canned.url, attempts=3)
    ask(server)
    canned.answers = [Answer(200, b"{", {"Content-Length": "100", "Connection": "close"})]
    del canned.asked[:]
    with pytest.raises(PipelineServerError) as raised:
        server.call(server.pipelines.pipeline_service_create_pipeline, {"display_name": "a"})
    assert raised.value.hint == "It may have happened all the same: look before you do it again."
    assert len(canned.asked) == 1


def test_a_server_behind_an_unknown_ca(certificate: Path) -> None:
    with serve_answers(Answer(200, HEALTH), certificate=certificate) as server:
        error = fail(server.url, token=TOKEN)
    assert str(error).startswith(f"the pipeline server at {server.url} cannot be trusted: self")
    assert "--ca-file or in PIPELINES_SSL_CA_CERTS" in (error.hint or "")
    assert not error.retryable
    assert server.asked == []


def test_a_certificate_for_another_host(certificate: Path) -> None:
    with serve_answers(Answer(200, HEALTH), certificate=certificate) as server:
        error = fail(server.url.replace("127.0.0.1", "localhost"), ca_file=certificate)
    assert " cannot be trusted: Hostname mismatch" in str(error)


def test_a_plain_server_behind_https(canned: Canned) -> None:
    error = fail(canned.url.replace("http:", "https:"))
    assert str(error).endswith(" does not speak TLS")
    assert error.hint == "Check the port, or write http://."


def test_a_tls_server_behind_http(certificate: Path) -> None:
    with serve_answers(Answer(200, HEALTH), certificate=certificate) as server:
        error = fail(server.url.replace("https:", "http:"))
    assert " cannot be reached: " in str(error)


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:{TOKEN}@127.0.0.1:{closed_port()}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    error = fail("http://pipelines.example.com")
    assert str(error) == (
        "the pipeline server at http://pipelines.example.com cannot be reached through the proxy: Connection refused"
    )
    assert error.hint == "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "'' is not the URL of a pipeline server"),
        ("ds-pipeline.example.com", "'ds-pipeline.example.com' is not the URL of a pipeline server"),
        ("ftp://host", "'ftp://host' is not the URL of a pipeline server"),
        ("https://", "'https://' is not the URL of a pipeline server"),
        ("https://host?x=1", "'https://host?x=1' is not the URL of a pipeline server"),
        ("https://host:port", "the pipeline server's URL does not parse"),
        (f"https://me:{TOKEN}@host", "the pipeline server's URL (host host) holds a user name or a password"),
    ],
)
def test_an_address_that_is_none(url: str, text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Server(url)
    assert str(raised.value) == text
    assert raised.value.hint is not None
    assert TOKEN not in raised.value.hint


def test_a_token_does_not_travel_in_the_clear_unless_asked() -> None:
    with pytest.raises(InvalidInput) as raised:
        Server("http://pipelines.example.com", token=TOKEN)
    assert str(raised.value) == (
        "a token would travel unencrypted to the pipeline server at http://pipelines.example.com"
    )
    Server("http://pipelines.example.com", token=TOKEN, token_in_clear=True)
    Server("http://localhost:8888", token=TOKEN)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty"),
        ("two words", "holds more than a token"),
    ],
)
def test_a_token_file_that_is_none(canned: Canned, tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    error = fail(canned.url, token_file=path)
    assert str(error) == f"the pipeline server's token file {path} {text}"
    assert error.exit_code == 2
    assert canned.asked == []


@pytest.mark.parametrize(
    ("content", "text"), [(None, "cannot be read: No such file or directory"), ("no", "holds no certificate")]
)
def test_a_ca_file_that_is_none(tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput) as raised:
        Server("https://pipelines.example.com", ca_file=path)
    assert str(raised.value) == f"the CA file {path} {text}"


def test_a_proxy_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(InvalidInput) as raised:
        Server("https://pipelines.example.com")
    assert str(raised.value) == "the proxy that the environment names cannot be used"


def test_the_certificates_are_those_of_the_system_and_the_files(certificate: Path) -> None:
    alone = len(ssl.create_default_context().get_ca_certs())
    server = Server("https://pipelines.example.com", ca_file=certificate)
    pool = server._transport._pool
    assert len(pool.connection_pool_kw["ssl_context"].get_ca_certs()) == alone + 1
