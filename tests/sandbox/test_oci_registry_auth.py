"""Who may do what in the sandbox's registry."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from modelcar_sandbox.oci_registry import Auth, create_app
from modelcar_sandbox.service import Service
from oci_api import OciApi, codes, digest_of

USERS = {"robot": "s3cret:with:colons", "reader": "läsare", "empty": ""}
ROBOT, READER = ("robot", USERS["robot"]), ("reader", USERS["reader"].encode())
CONTENT = b"content"
DIGEST = digest_of(CONTENT)
Registry = Callable[..., OciApi]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with ExitStack() as stack:

        def start(**auth: Any) -> OciApi:
            app = create_app(tmp_path, auth=Auth(USERS, readers=frozenset({"reader"}), **auth))
            return stack.enter_context(OciApi(stack.enter_context(Service(app)).url))

        yield start


def challenge(answer: requests.Response) -> dict[str, str]:
    """The parts of a `Bearer` challenge."""
    kind, _, parts = answer.headers["WWW-Authenticate"].partition(" ")
    assert kind == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', parts))


def fetch_token(api: OciApi, scope: str, credentials: Any = None) -> requests.Response:
    query = {"service": "modelcar-sandbox", "scope": scope}
    return requests.get(f"{api.url}/token", params=query, auth=credentials, timeout=10)


def sign_in(api: OciApi, scope: str, credentials: Any = ROBOT) -> None:
    """Send a token of this scope from now on."""
    token = fetch_token(api, scope, credentials).json()["token"]
    api.session.headers["Authorization"] = f"Bearer {token}"


@pytest.mark.parametrize("flow", ["basic", "token"])
@pytest.mark.parametrize("anonymous_pull", [True, False])
def test_the_ping_challenges_whoever_gives_no_name(registry: Registry, flow: str, anonymous_pull: bool) -> None:
    api = registry(flow=flow, anonymous_pull=anonymous_pull)
    answer = api.call("GET", "/v2/")
    assert (answer.status_code, codes(answer)) == (401, ["UNAUTHORIZED"])
    expected = f'Bearer realm="{api.url}/token",service="modelcar-sandbox"' if flow == "token" else "Basic realm="
    assert answer.headers["WWW-Authenticate"].startswith(expected)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", f"a/b/blobs/{DIGEST}", "repository:a/b:pull"),
        ("HEAD", "a/b/manifests/v1", "repository:a/b:pull"),
        ("GET", "a/b/tags/list", "repository:a/b:pull"),
        ("GET", f"a/b/referrers/{DIGEST}", "repository:a/b:pull"),
        ("PUT", "a/b/manifests/v1", "repository:a/b:pull,push"),
        ("POST", "a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", f"a/b/blobs/uploads/?mount={DIGEST}&from=c/d", "repository:a/b:pull,push repository:c/d:pull"),
        ("GET", "a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", "a/b/blobs/uploads/x", "repository:a/b:pull,push"),
        ("DELETE", f"a/b/blobs/{DIGEST}", "repository:a/b:delete"),
        ("DELETE", "a/b/manifests/v1", "repository:a/b:delete"),
    ],
)
def test_a_challenge_names_the_scope_that_is_needed(registry: Registry, method: str, path: str, scope: str) -> None:
    api = registry()
    answer = api.call(method, path)
    assert answer.status_code == 401
    assert challenge(answer) == {"realm": f"{api.url}/token", "service": "modelcar-sandbox", "scope": scope}


def test_a_token_says_what_it_is(registry: Registry) -> None:
    answer = fetch_token(registry(), "repository:a/b:pull,push", ROBOT).json()
    assert answer["token"] == answer["access_token"]
    assert answer["expires_in"] == 300
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["issued_at"])
    claims = json.loads(base64.urlsafe_b64decode(answer["token"].split(".")[1] + "=="))
    assert claims["access"] == [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}]


def test_a_token_of_the_right_scope_lets_push_and_pull(registry: Registry) -> None:
    api = registry()
    sign_in(api, "repository:a/b:pull,push")
    api.push_blob("a/b", CONTENT)
    assert api.call("GET", f"a/b/blobs/{DIGEST}").content == CONTENT
    assert api.call("GET", "/v2/").status_code == 200


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("repository:a/b:pull", "POST", "a/b/blobs/uploads/"),
        ("repository:a/b:pull,push", "POST", "a/c/blobs/uploads/"),
        ("repository:a/b:pull,push", "DELETE", f"a/b/blobs/{DIGEST}"),
        ("repository:a/b:pull,push", "POST", f"a/b/blobs/uploads/?mount={DIGEST}&from=c/d"),
        ("registry:catalog:*", "GET", "a/b/tags/list"),
        ("", "GET", "a/b/tags/list"),
    ],
)
def test_a_token_of_a_smaller_scope_is_not_enough(registry: Registry, scope: str, method: str, path: str) -> None:
    api = registry()
    sign_in(api, scope)
    answer = api.call(method, path)
    assert (answer.status_code, challenge(answer)["error"]) == (401, "insufficient_scope")


def test_one_token_can_hold_several_scopes(registry: Registry) -> None:
    api = registry()
    sign_in(api, "repository:c/d:pull,push repository:a/b:pull,push")
    api.push_blob("c/d", CONTENT)
    assert api.call("POST", f"a/b/blobs/uploads/?mount={DIGEST}&from=c/d").status_code == 201


def test_an_expired_token_is_invalid(registry: Registry) -> None:
    api = registry(lifetime_s=0)
    sign_in(api, "repository:a/b:pull")
    answer = api.call("GET", "a/b/tags/list")
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")
    assert challenge(answer)["scope"] == "repository:a/b:pull"


def test_a_token_of_another_process_is_invalid(registry: Registry) -> None:
    first, second = registry(), registry()
    token = fetch_token(first, "repository:a/b:pull", ROBOT).json()["token"]
    second.session.headers["Authorization"] = f"Bearer {token}"
    assert challenge(second.call("GET", "/v2/"))["error"] == "invalid_token"


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "ä", "a.b", ".", "..", "Ä" * 5000])
def test_nonsense_is_no_token(registry: Registry, token: str) -> None:
    api = registry()
    answer = api.call("GET", "/v2/", headers={"Authorization": f"Bearer {token}".encode()})
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")


def test_a_changed_token_is_invalid(registry: Registry) -> None:
    api = registry()
    head, claims, signature = fetch_token(api, "repository:a/b:pull", ROBOT).json()["token"].split(".")
    more = json.loads(base64.urlsafe_b64decode(claims + "=="))
    more["access"][0]["actions"] = ["pull", "push"]
    forged = base64.urlsafe_b64encode(json.dumps(more).encode()).decode().rstrip("=")
    answer = api.call("GET", "/v2/", headers={"Authorization": f"Bearer {head}.{forged}.{signature}"})
    assert challenge(answer)["error"] == "invalid_token"


@pytest.mark.parametrize(
    "credentials", [None, ("robot", "wrong"), ("nobody", USERS["robot"]), ("", ""), ("robot", ""), ("nobody", "")]
)
def test_wrong_credentials_get_no_token(registry: Registry, credentials: tuple[str, str] | None) -> None:
    answer = fetch_token(registry(), "repository:a/b:pull", credentials)
    assert (answer.status_code, codes(answer)) == (401, ["UNAUTHORIZED"])
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_wrong_credentials_get_no_anonymous_token_either(registry: Registry) -> None:
    api = registry(anonymous_pull=True)
    assert fetch_token(api, "repository:a/b:pull", ("robot", "wrong")).status_code == 401


def test_a_reader_gets_a_token_for_less_than_asked(registry: Registry) -> None:
    api = registry()
    sign_in(api, "repository:a/b:pull,push,delete", READER)
    assert challenge(api.call("POST", "a/b/blobs/uploads/"))["error"] == "insufficient_scope"
    assert codes(api.call("GET", "a/b/tags/list")) == ["NAME_UNKNOWN"]


def test_nobody_may_pull_with_an_anonymous_token_where_that_is_allowed(registry: Registry) -> None:
    api = registry(anonymous_pull=True)
    sign_in(api, "repository:a/b:pull,push", None)
    assert codes(api.call("GET", "a/b/tags/list")) == ["NAME_UNKNOWN"]
    assert challenge(api.call("POST", "a/b/blobs/uploads/"))["error"] == "insufficient_scope"


def test_a_token_is_only_given_to_get(registry: Registry) -> None:
    assert registry().call("POST", "/token", data={"grant_type": "password"}).status_code == 405


def test_the_token_flow_takes_no_password(registry: Registry) -> None:
    api = registry()
    assert api.call("GET", "/v2/", auth=ROBOT).status_code == 401


def test_the_basic_flow_takes_the_password_every_time(registry: Registry) -> None:
    api = registry(flow="basic")
    api.session.auth = ROBOT
    assert api.call("GET", "/v2/").status_code == 200
    api.push_blob("a/b", CONTENT)
    assert api.call("GET", f"a/b/blobs/{DIGEST}").content == CONTENT
    assert api.call("DELETE", f"a/b/blobs/{DIGEST}").status_code == 202
    assert api.call("GET", "/token").status_code == 404


@pytest.mark.parametrize("credentials", [("robot", "wrong"), ("nobody", ""), ("robot", ""), ("", "")])
@pytest.mark.parametrize("anonymous_pull", [True, False])
def test_the_basic_flow_refuses_wrong_credentials(
    registry: Registry, credentials: tuple[str, str], anonymous_pull: bool
) -> None:
    api = registry(flow="basic", anonymous_pull=anonymous_pull)
    for path in ("/v2/", "a/b/tags/list"):
        answer = api.call("GET", path, auth=credentials)
        assert (answer.status_code, codes(answer)) == (401, ["UNAUTHORIZED"])


@pytest.mark.parametrize("header", [b"Basic", b"Basic !", b"Basic cm9ib3Q=", b"Basic \xff\xfe", b"Bearer x", b"x"])
def test_the_basic_flow_refuses_nonsense(registry: Registry, header: bytes) -> None:
    answer = registry(flow="basic").call("GET", "/v2/", headers={"Authorization": header})
    assert answer.status_code == 401


def test_the_basic_flow_denies_a_reader_to_push(registry: Registry) -> None:
    api = registry(flow="basic")
    assert codes(api.call("GET", "a/b/tags/list", auth=READER)) == ["NAME_UNKNOWN"]
    answer = api.call("POST", "a/b/blobs/uploads/", auth=READER)
    assert (answer.status_code, codes(answer)) == (403, ["DENIED"])


def test_the_basic_flow_lets_nobody_pull_where_that_is_allowed(registry: Registry) -> None:
    api = registry(flow="basic", anonymous_pull=True)
    assert codes(api.call("GET", "a/b/tags/list")) == ["NAME_UNKNOWN"]
    assert api.call("POST", "a/b/blobs/uploads/").status_code == 401


def test_an_upload_without_credentials_is_refused_and_read_to_its_end(registry: Registry) -> None:
    api = registry()
    answer = api.call("PUT", "a/b/manifests/v1", data=b" " * 20_000_000)
    assert answer.status_code == 401


def test_passwords_are_not_in_what_auth_prints() -> None:
    assert "s3cret" not in repr(Auth(USERS))
