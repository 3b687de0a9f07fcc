from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import requests

from modelcar.distribution.auth import Authorizer, Challenge
from modelcar.distribution.credentials import Credentials
from modelcar.errors import DistributionError
from modelcar_sandbox.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECRET = "s3cret-Pa55"


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


ODD: list[Any] = [0, -1, "soon", "\u00b2", [1], {}, True, float("nan")]


@pytest.mark.parametrize(
    ("answer", "lives_s"),
    [
        ({"token": "T", "expires_in": 300}, 280),
        ({"token": "T", "expires_in": "300"}, 280),
        ({"access_token": "T"}, 40),
        *(({"token": "T", "expires_in": odd}, 40) for odd in ODD),
    ],
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
