from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_registry_server import Server, answering
from modelcar.errors import InvalidInput, ModelRegistryError
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Existing, check
from modelcar_sandbox.model_registry import create_app
from wsgi_faults import Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Serve = Callable[[WSGIApplication], str]

TOKEN = "planted-7oKeN"
NEW = "/api/model_registry/v1"
NOTHING = Existing(None, None, None)


class Bearer:
    """Lets in who knows the token of the moment."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.token = TOKEN

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        known = environ.get("HTTP_AUTHORIZATION") == f"Bearer {self.token}"
        return (self._app if known else answering("401 Unauthorized", b"{}"))(environ, start_response)


def look(connection: Connection) -> Existing:
    return check(connection, "nobody's", None)


def test_a_token_is_asked_for(tmp_path: Path, serve: Serve) -> None:
    url = serve(create_app(tmp_path, token=TOKEN))
    with pytest.raises(ModelRegistryError, match=r"asks for a token \(401\)") as raised:
        look(Connection(url))
    assert raised.value.hint is not None
    assert "MODEL_REGISTRY_TOKEN" in raised.value.hint


def test_the_right_token_opens(tmp_path: Path, serve: Serve) -> None:
    assert look(Connection(serve(create_app(tmp_path, token=TOKEN)), token=f"{TOKEN}\n")) == NOTHING


def test_a_wrong_token_is_called_wrong_and_not_shown(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = Connection(serve(create_app(tmp_path, token="other")), token=TOKEN)
    with pytest.raises(ModelRegistryError, match=r"does not accept the token \(401\)") as raised:
        look(connection)
    shown = "".join(traceback.format_exception(raised.value)) + repr(connection) + repr(vars(connection)) + caplog.text
    assert TOKEN not in shown


def test_what_is_forbidden_is_called_so(serve: Serve) -> None:
    with pytest.raises(ModelRegistryError, match=r"does not allow this \(403\)") as raised:
        look(Connection(serve(answering("403 Forbidden", b"{}"))))
    assert not raised.value.retryable


def test_a_token_file_is_read_for_each_request(tmp_path: Path, serve: Serve) -> None:
    door = Bearer(create_app(tmp_path / "db"))
    file = tmp_path / "token"
    connection = Connection(serve(door), token_file=file)
    for token in ("first", "second"):
        door.token = token
        file.write_text(f"{token}\n")
        assert look(connection) == NOTHING


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("\n", "is empty"),
        (f"{TOKEN}\nX-Evil: 1", "holds more than a token"),
        (f"{TOKEN} x", "holds more than a token"),
        ("tökén", "holds more than a token"),
    ],
)
def test_a_token_file_without_a_token_is_refused(
    tmp_path: Path, sandbox: Server, content: str | None, message: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInput, match=message) as raised:
        look(Connection(sandbox.url, token_file=file))
    assert str(file) in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_passwords_in_a_netrc_file_stay_there(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login robot password s3cret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    recorder = Recorder(create_app(tmp_path))
    url = serve(recorder)
    assert look(Connection(url)) == NOTHING
    assert not any(r.authorized for r in recorder.requests)
    assert look(Connection(url, token=TOKEN)) == NOTHING
    assert recorder.requests[-1].authorized
