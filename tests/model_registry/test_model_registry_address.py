from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelcar.errors import InvalidInput
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Existing, check
from modelcar_sandbox.model_registry import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    Serve = Callable[[WSGIApplication], str]

TOKEN = "planted-7oKeN"
NEW = "/api/model_registry/v1"
NOTHING = Existing(None, None, None)


def look(connection: Connection) -> Existing:
    return check(connection, "nobody's", None)


@pytest.mark.parametrize(
    "url",
    ["", "registry.example", "ftp://registry.example", "http://", "http://h:x", "http://h:99999", "http://h?x=1",
     "http://h#x", "http://h o", "http://[::1", "http://h/\n"],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="URL"):
        Connection(url)


@pytest.mark.parametrize("url", [f"https://me:{TOKEN}@h", f"https://{TOKEN}@h", f"http://:{TOKEN}@h"])
def test_credentials_in_the_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput, match="holds a user name or a password") as raised:
        Connection(url)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("url", ["http://registry.example", "http://10.0.0.1:8080", "http://localhost.example"])
def test_a_token_does_not_travel_in_the_clear(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="would travel unencrypted") as raised:
        Connection(url, token=TOKEN)
    assert raised.value.hint is not None
    assert "https://" in raised.value.hint
    with pytest.raises(InvalidInput, match="would travel unencrypted"):
        Connection(url, token_file=tmp_path / "token")


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080", "https://h"])
def test_a_token_may_travel_on_this_machine_or_encrypted(url: str) -> None:
    assert Connection(url, token=TOKEN).url == url


def test_the_environment_names_the_server_and_the_token(tmp_path: Path, serve: Serve) -> None:
    url = serve(create_app(tmp_path, token=TOKEN))
    file = tmp_path / "token"
    file.write_text(TOKEN)
    for env in (
        {"MODEL_REGISTRY_TOKEN": TOKEN, "MODEL_REGISTRY_TOKEN_FILE": "/nowhere"},
        {"MODEL_REGISTRY_TOKEN": "", "MODEL_REGISTRY_TOKEN_FILE": str(file)},
    ):
        assert look(Connection.from_environment(env={"MODEL_REGISTRY_URL": url, **env})) == NOTHING
        assert look(Connection.from_environment(url, {"MODEL_REGISTRY_URL": "http://other", **env})) == NOTHING


def test_without_a_server_the_variable_is_named() -> None:
    with pytest.raises(InvalidInput, match="no Model Registry is named") as raised:
        Connection.from_environment(env={"MODEL_REGISTRY_URL": ""})
    assert raised.value.hint is not None
    assert "MODEL_REGISTRY_URL" in raised.value.hint
