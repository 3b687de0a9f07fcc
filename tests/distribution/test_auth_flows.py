from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

import pytest
import requests

from modelcar.distribution.auth import Authorizer, Challenge, Credentials
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar_sandbox.oci_registry import Auth, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECRET = "s3cret-Pa55"
LogIn = Callable[..., Path]


@dataclass
class Running:
    """A registry that wants to know who asks."""

    address: str
    recorder: Recorder
    faults: Faults

    def repository(self, authfile: Path | None = None, name: str = "team/model") -> Repository:
        return Repository(Registry(self.address, name, Access(authfile=authfile)), name)


@contextmanager
def registry(directory: Path, **auth: Any) -> Iterator[Running]:
    settings = {"users": {"robot": SECRET, "reader": SECRET}, "readers": frozenset({"reader"}), **auth}
    faults = Faults(create_app(directory, auth=Auth(**settings)))
    recorder = Recorder(faults)
    with Service(recorder) as service:
        yield Running(service.address, recorder, faults)


@pytest.fixture(params=["basic", "token"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    with registry(tmp_path / "registry", flow=request.param) as it:
        yield it


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[Running]:
    with registry(tmp_path / "registry") as it:
        yield it


def test_a_blob_is_pushed_and_read_with_the_right_password(running: Running, log_in: LogIn) -> None:
    repository = running.repository(log_in(running.address))
    repository.write_blob(Content(b"blob"), Digest.of(b"blob"))
    assert repository.read_blob(Digest.of(b"blob")) == b"blob"


def test_a_wrong_password_is_denied(running: Running, log_in: LogIn) -> None:
    with pytest.raises(RegistryAccessDenied) as caught:
        running.repository(log_in(running.address, password="wrong")).check_access()
    assert "as robot (from " in str(caught.value)
    assert "podman login" in str(caught.value.hint)


def test_without_credentials_access_is_denied(running: Running) -> None:
    with pytest.raises(RegistryAccessDenied, match="without credentials"):
        running.repository().check_access()


def test_a_user_who_may_only_pull_is_denied_before_any_byte_moves(running: Running, log_in: LogIn) -> None:
    with pytest.raises(RegistryAccessDenied) as caught:
        running.repository(log_in(running.address, user="reader")).check_access()
    assert "refused to push to team/model as reader" in str(caught.value)
    assert sum(request.bytes_received for request in running.recorder.requests) == 0


def test_whoever_may_only_pull_can_look_for_images(running: Running, log_in: LogIn) -> None:
    assert running.repository(log_in(running.address, user="reader")).find_manifest("v1") is None


def test_anonymous_pull_takes_no_credentials(tmp_path: Path) -> None:
    with registry(tmp_path / "registry", anonymous_pull=True) as running:
        assert running.repository().find_manifest("v1") is None


def test_one_token_serves_all_requests_of_a_push(tokens: Running, log_in: LogIn) -> None:
    repository = tokens.repository(log_in(tokens.address))
    for content in (b"one", b"two", b"three"):
        repository.write_blob(Content(content), Digest.of(content))
    (asked,) = tokens.recorder.seen("GET", "^/token$")
    assert parse_qs(asked.query) == {"service": ["modelcar-sandbox"], "scope": ["repository:team/model:pull,push"]}


def test_the_first_look_already_asks_for_the_right_to_push(tokens: Running, log_in: LogIn) -> None:
    repository = tokens.repository(log_in(tokens.address))
    repository.has_blob(Digest.of(b"blob"))
    repository.check_access()
    assert len(tokens.recorder.seen("GET", "^/token$")) == 1


def test_a_token_that_the_registry_has_forgotten_is_fetched_anew(tokens: Running, log_in: LogIn) -> None:
    repository = tokens.repository(log_in(tokens.address))
    repository.check_access()
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{tokens.address}/token",service="modelcar-sandbox"'}
    tokens.faults.add(Fault.answer("PUT", "/blobs/uploads/", 401, headers=challenge))
    repository.write_blob(Content(b"blob"), Digest.of(b"blob"))
    assert [request.status for request in tokens.recorder.seen("PUT")] == [401, 201]
    assert len(tokens.recorder.seen("GET", "^/token$")) == 2


def test_tokens_that_expire_at_once_are_fetched_for_each_request(tmp_path: Path, log_in: LogIn) -> None:
    with registry(tmp_path / "registry", lifetime_s=15) as running:
        repository = running.repository(log_in(running.address))
        repository.check_access()
        first = len(running.recorder.seen("GET", "^/token$"))
        repository.check_access()
        assert len(running.recorder.seen("GET", "^/token$")) > first


def test_mounting_asks_for_both_repositories(tokens: Running, log_in: LogIn) -> None:
    authfile = log_in(tokens.address)
    tokens.repository(authfile, "team/base").write_blob(Content(b"blob"), Digest.of(b"blob"))
    repository = tokens.repository(authfile)
    repository.check_access()
    assert repository.mount(Digest.of(b"blob"), "team/base")
    assert parse_qs(tokens.recorder.seen("GET", "^/token$")[-1].query)["scope"] == [
        "repository:team/model:pull,push",
        "repository:team/base:pull",
    ]


def test_a_mount_that_the_token_server_does_not_want_is_only_no_mount(tokens: Running, log_in: LogIn) -> None:
    repository = tokens.repository(log_in(tokens.address))
    repository.check_access()
    tokens.faults.add(Fault.answer("GET", "^/token$", 403))
    assert not repository.mount(Digest.of(b"blob"), "secret/base")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_server_that_fails_once_is_asked_again(tokens: Running, log_in: LogIn, status: int) -> None:
    tokens.faults.add(Fault.answer("GET", "^/token$", status))
    tokens.repository(log_in(tokens.address)).check_access()
    assert [request.status for request in tokens.recorder.seen("GET", "^/token$")] == [status, 200]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"token": null}', b'{"token":"x","expires_in":"soon"}']
)
def test_an_answer_without_a_token_is_told_as_such(tokens: Running, log_in: LogIn, body: bytes) -> None:
    tokens.faults.add(Fault.answer("GET", "^/token$", 200, body=body))
    with pytest.raises(DistributionError) as caught:
        tokens.repository(log_in(tokens.address)).check_access()
    assert str(caught.value) == (
        f"token server http://{tokens.address}/token of {tokens.address} answered without a token"
    )


def test_no_secret_is_in_logs_errors_or_what_objects_say_of_themselves(
    tokens: Running, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    repository = tokens.repository(log_in(tokens.address))
    repository.write_blob(Content(b"blob"), Digest.of(b"blob"))
    tokens.faults.add(Fault.answer("HEAD", "/blobs/", 403))
    with pytest.raises(RegistryAccessDenied) as caught:
        repository.has_blob(Digest.of(b"other"))
    issued = {token for token, _ in repository._registry._authorizer._tokens.values()}
    told = "".join([caplog.text, *traceback.format_exception(caught.value), repr(vars(repository))])
    basic = Credentials("robot", SECRET).basic.removeprefix("Basic ")
    assert issued
    assert not [secret for secret in (SECRET, basic, *issued) if secret in told]
    assert "/v2/team/model/blobs/" in caplog.text


class TokenServer:
    """The token endpoint in a test's hands."""

    def __init__(self, **answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        query = environ["wsgi.input"].read(length).decode() if length else environ["QUERY_STRING"]
        self.asked.append((environ["REQUEST_METHOD"], parse_qs(query), environ.get("HTTP_AUTHORIZATION", "")))
        body = json.dumps(self.answer).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def challenge_with(header: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 401
    response.headers["WWW-Authenticate"] = header
    response.request = requests.Request("GET", "http://registry.test/").prepare()
    return response


@contextmanager
def authorizer(server: TokenServer, credentials: Credentials | None = None) -> Iterator[tuple[Authorizer, Clock]]:
    clock = Clock()
    with Service(server) as service, requests.Session() as session:
        made = Authorizer("registry.test", credentials, session.request, plain_http=True, clock=clock)
        assert made.challenged(challenge_with(f'Bearer realm="{service.url}/token",service="registry"'), "scope")
        yield made, clock


@pytest.mark.parametrize(
    ("answer", "lives_s"),
    [({"token": "T", "expires_in": 300}, 280), ({"access_token": "T"}, 40), ({"token": "T", "expires_in": 0}, 40)],
)
def test_a_token_is_renewed_shortly_before_it_expires(answer: dict[str, Any], lives_s: float) -> None:
    server = TokenServer(**answer)
    with authorizer(server) as (made, clock):
        assert made.header("scope") == {"Authorization": "Bearer T"}
        clock.now_s += lives_s - 1
        made.header("scope")
        assert len(server.asked) == 1
        clock.now_s += 1
        made.header("scope")
        assert len(server.asked) == 2


def test_two_threads_whose_token_is_refused_share_the_next_one() -> None:
    server = TokenServer(token="old", expires_in=300)
    with authorizer(server) as (made, _):
        refusal = challenge_with('Bearer realm="' + made._challenge.parameters["realm"] + '"')  # type: ignore[union-attr]
        refusal.request.headers.update(made.header("scope"))
        server.answer["token"] = "new"
        assert made.challenged(refusal, "scope")
        assert made.header("scope") == {"Authorization": "Bearer new"}
        assert made.challenged(refusal, "scope")
        assert made.header("scope") == {"Authorization": "Bearer new"}
    assert len(server.asked) == 2


def test_what_a_redirect_leads_to_cannot_send_credentials_elsewhere() -> None:
    with authorizer(TokenServer(token="T"), Credentials("robot", SECRET)) as (made, _):
        foreign = challenge_with('Bearer realm="http://elsewhere.test/token"')
        foreign.history = [challenge_with("")]
        assert not made.challenged(foreign, "scope")
        assert made.header("scope") == {"Authorization": "Bearer T"}


def test_each_scope_has_its_own_token() -> None:
    server = TokenServer(token="T", expires_in=300)
    with authorizer(server) as (made, _):
        for scope in ("one", "two", "one"):
            made.header(scope)
    assert [query["scope"] for _, query, _ in server.asked] == [["one"], ["two"]]


def test_a_password_is_sent_to_the_token_server_as_basic() -> None:
    server = TokenServer(token="T")
    with authorizer(server, Credentials("robot", SECRET)) as (made, _):
        made.header("scope")
    assert server.asked == [("GET", {"service": ["registry"], "scope": ["scope"]}, Credentials("robot", SECRET).basic)]


def test_an_identity_token_is_sent_in_a_form_and_nowhere_else() -> None:
    server = TokenServer(access_token="T")
    with authorizer(server, Credentials("", "", "refresh")) as (made, _):
        assert made.header("scope") == {"Authorization": "Bearer T"}
    (asked,) = server.asked
    assert asked[0] == "POST"
    assert asked[1]["refresh_token"] == ["refresh"]
    assert asked[1]["grant_type"] == ["refresh_token"]
    assert asked[2] == ""


@pytest.mark.parametrize("realm", ["http://auth.test/token", "ftp://auth.test", "/token", ""])
def test_credentials_go_to_a_token_server_by_https_only(realm: str) -> None:
    made = Authorizer("registry.test", Credentials("robot", SECRET), requests.request)
    made.challenged(challenge_with(f'Bearer realm="{realm}",service="registry"'), "scope")
    with pytest.raises(DistributionError, match="credentials travel by HTTPS only") as caught:
        made.header("scope")
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Bearer realm="https://a/t",service="s, x"', "bearer", {"realm": "https://a/t", "service": "s, x"}),
        ("bearer Realm=https://a/t, service=s", "bearer", {"realm": "https://a/t", "service": "s"}),
        ('Basic realm="r"', "basic", {"realm": "r"}),
        ("Basic", "basic", {}),
        ('Negotiate, Basic realm="r"', "basic", {"realm": "r"}),
        ('Bearer realm="https://a/t",scope="x", Basic realm="r"', "bearer", {"realm": "https://a/t", "scope": "x"}),
    ],
)
def test_a_challenge_is_read_however_it_is_written(header: str, scheme: str, parameters: dict[str, str]) -> None:
    assert Challenge.parse(header) == Challenge(scheme, parameters)


@pytest.mark.parametrize("header", ["", "Negotiate", 'Digest realm="r"', "Basically"])
def test_other_challenges_cannot_be_answered(header: str) -> None:
    assert Challenge.parse(header) is None


@pytest.mark.parametrize("flow", ["basic", "token"])
def test_a_refused_password_is_not_sent_again_and_again(
    tmp_path: Path, log_in: LogIn, flow: Literal["basic", "token"]
) -> None:
    with registry(tmp_path / "registry", flow=flow) as running:
        with pytest.raises(RegistryAccessDenied):
            running.repository(log_in(running.address, password="wrong")).check_access()
        assert len(running.recorder.requests) <= 3
