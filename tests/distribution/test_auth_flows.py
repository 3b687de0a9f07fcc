from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

import pytest

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.credentials import Credentials
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar_sandbox.oci_registry import Auth, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    pass

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
    "body", [b"", b"{}", b"[]", b"<html>", b'{"token": null}', b'{"token": ["x"]}', b'{"access_token": {}}']
)
def test_an_answer_without_a_token_is_told_as_such(tokens: Running, log_in: LogIn, body: bytes) -> None:
    tokens.faults.add(Fault.answer("GET", "^/token$", 200, body=body))
    with pytest.raises(DistributionError) as caught:
        tokens.repository(log_in(tokens.address)).check_access()
    assert str(caught.value) == (
        f"token server http://{tokens.address}/token of {tokens.address} answered without a token"
    )


@pytest.mark.parametrize("blank", ["\\n", "\\r\\nX: y", "\\u0000", "\\u20ac"])
def test_a_token_that_no_header_can_hold_is_told_and_not_shown(tokens: Running, log_in: LogIn, blank: str) -> None:
    tokens.faults.add(Fault.answer("GET", "^/token$", 200, body=f'{{"token":"{SECRET}{blank}"}}'.encode()))
    with pytest.raises(DistributionError) as caught:
        tokens.repository(log_in(tokens.address)).check_access()
    assert str(caught.value) == (
        f"token server http://{tokens.address}/token of {tokens.address} answered with a token that no header can hold"
    )
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert not caught.value.retryable


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


@pytest.mark.parametrize("flow", ["basic", "token"])
def test_a_refused_password_is_not_sent_again_and_again(
    tmp_path: Path, log_in: LogIn, flow: Literal["basic", "token"]
) -> None:
    with registry(tmp_path / "registry", flow=flow) as running:
        with pytest.raises(RegistryAccessDenied):
            running.repository(log_in(running.address, password="wrong")).check_access()
        assert len(running.recorder.requests) <= 3
