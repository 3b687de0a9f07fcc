from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.distribution.credentials import Credentials, find_credentials
from modelcar.errors import InvalidInput

SECRET = "s3cret-Pa55"


def entry(user: str = "robot", password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def env_of(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), **more}


def find(path: Path, registry: str = "quay.io", repository: str = "team/model") -> Credentials | None:
    return find_credentials(registry, repository, authfile=path, env={})


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docker-credential-vault`, which answers from answer.json and writes down what it was asked."""
    program = tmp_path / "bin" / "docker-credential-vault"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/asked\ncat {tmp_path}/answer.json || exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


def test_credentials_are_read_from_dockers_and_podmans_form(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"quay.io": entry()}})
    assert find(path) == Credentials("robot", SECRET, "", str(path))


def test_a_password_may_hold_colons_and_letters_of_any_language(tmp_path: Path) -> None:
    found = find(write(tmp_path / "auth.json", {"auths": {"quay.io": entry("robot", "ä:b:c")}}))
    assert found is not None
    assert found.password == "ä:b:c"


def test_user_and_password_may_stand_in_the_clear(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"quay.io": {"username": "robot", "password": SECRET}}})
    assert find(path) == Credentials("robot", SECRET, "", str(path))


def test_an_identity_token_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"quay.io": {"identitytoken": "refresh"}}})
    assert find(path) == Credentials("", "", "refresh", str(path))


@pytest.mark.parametrize("value", [{}, None, {"auth": ""}])
def test_an_empty_entry_is_none(tmp_path: Path, value: Any) -> None:
    assert find(write(tmp_path / "auth.json", {"auths": {"quay.io": value}})) is None


def test_a_registry_that_no_file_names_is_asked_without_credentials(tmp_path: Path) -> None:
    assert find(write(tmp_path / "auth.json", {"auths": {"ghcr.io": entry()}})) is None


@pytest.mark.parametrize("document", [{}, {"auths": None}, {"auths": {}}])
def test_a_file_without_entries_is_fine(tmp_path: Path, document: Any) -> None:
    assert find(write(tmp_path / "auth.json", document)) is None


def test_the_longest_path_wins(tmp_path: Path) -> None:
    names = ["quay.io", "quay.io/team", "quay.io/team/model", "quay.io/team/model/deeper", "quay.io/te"]
    path = write(tmp_path / "auth.json", {"auths": {name: entry(name) for name in names}})
    repositories = ["team/model", "team/other", "other/model", "team/model/deeper/still", "te/am"]
    found = [find(path, repository=repository) for repository in repositories]
    assert [credentials and credentials.username for credentials in found] == [
        "quay.io/team/model",
        "quay.io/team",
        "quay.io",
        "quay.io/team/model/deeper",
        "quay.io/te",
    ]


def test_a_port_is_part_of_the_registrys_name(tmp_path: Path) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"localhost:5000": entry()}})
    assert find(path, "localhost:5000") is not None
    assert find(path, "localhost") is None


@pytest.mark.parametrize("key", ["https://quay.io", "https://quay.io/v1/", "https://quay.io/v2/", "http://quay.io/"])
def test_old_docker_files_name_registries_by_url(tmp_path: Path, key: str) -> None:
    assert find(write(tmp_path / "config.json", {"auths": {key: entry()}})) is not None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
@pytest.mark.parametrize("registry", ["docker.io", "registry-1.docker.io", "index.docker.io"])
def test_docker_hub_is_one_registry_under_all_its_names(tmp_path: Path, key: str, registry: str) -> None:
    assert find(write(tmp_path / "config.json", {"auths": {key: entry()}}), registry) is not None


def test_files_are_searched_in_podmans_order(tmp_path: Path) -> None:
    env = env_of(tmp_path, REGISTRY_AUTH_FILE=str(tmp_path / "named.json"))
    places = [
        "named.json",
        "run/containers/auth.json",
        ".config/containers/auth.json",
        ".docker/config.json",
        ".docker/.dockerconfigjson",
    ]
    for place in places:
        write(tmp_path / place, {"auths": {"quay.io": entry(place)}})
    order = []
    while (found := find_credentials("quay.io", "team/model", env=env)) is not None:
        order.append(found.username)
        write(tmp_path / found.username, {"auths": {}})
    assert order == places


def test_the_places_of_the_files_may_be_named(tmp_path: Path) -> None:
    env = env_of(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg"), DOCKER_CONFIG=str(tmp_path / "docker"))
    write(tmp_path / ".config/containers/auth.json", {"auths": {"quay.io": entry("wrong")}})
    write(tmp_path / ".docker/config.json", {"auths": {"quay.io": entry("wrong")}})
    write(tmp_path / "docker/config.json", {"auths": {"quay.io": entry("second")}})
    write(tmp_path / "xdg/containers/auth.json", {"auths": {"ghcr.io": entry("first")}})
    names = [find_credentials(registry, "team/model", env=env) for registry in ("ghcr.io", "quay.io")]
    assert [found and found.username for found in names] == ["first", "second"]


def test_a_named_auth_file_is_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {"quay.io": entry()}})
    named = write(tmp_path / "auth.json", {"auths": {}})
    assert find_credentials("quay.io", "team/model", authfile=named, env=env_of(tmp_path)) is None


def test_a_named_auth_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        find(tmp_path / "auth.json")
    assert str(caught.value) == f"auth file {tmp_path}/auth.json is not there"


def test_an_auth_file_of_the_environment_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        find_credentials("quay.io", "a", env=env_of(tmp_path, REGISTRY_AUTH_FILE="/nowhere/auth.json"))
    assert str(caught.value) == "REGISTRY_AUTH_FILE names /nowhere/auth.json, which is not there"


@pytest.mark.skipif(os.getuid() == 0, reason="root may look into every directory")
def test_a_home_that_may_not_be_looked_into_holds_no_credentials(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0)
    assert find_credentials("quay.io", "a", env=env_of(tmp_path / "home")) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"auths": 7}', '{"auths": ["a"]}', '{"auths": {"quay.io": 7}}', '{"credHelpers": ["x"]}'],
)
def test_a_file_of_another_form_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "auth.json"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        find(path)
    assert str(caught.value) == f"{path} cannot be read as a docker or podman auth file: it is not JSON of that form"


@pytest.mark.parametrize("auth", ["%%%", "bm90aGluZw==", base64.b64encode(b"\xff\xfe:").decode(), 7, ["a"]])
def test_an_entry_that_is_no_user_and_password_is_named_and_not_quoted(tmp_path: Path, auth: Any) -> None:
    path = write(tmp_path / "auth.json", {"auths": {"quay.io": {"auth": auth}}})
    with pytest.raises(InvalidInput) as caught:
        find(path)
    assert str(caught.value) == f"{path}: the auth entry of quay.io is not base64 of user:password"


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.text(), st.lists), max_size=3))
def test_no_auth_file_breaks_the_search(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    path = write(tmp_path_factory.mktemp("auth") / "auth.json", {"auths": {"quay.io": document}})
    try:
        find(path)
    except InvalidInput as error:
        assert str(path) in str(error)  # noqa: PT017 - most documents are fine


@pytest.mark.parametrize("setting", [{"credHelpers": {"quay.io": "vault"}}, {"credsStore": "vault"}])
def test_a_credential_helper_is_asked_for_the_registry(helper: Path, setting: dict[str, Any]) -> None:
    write(helper / "answer.json", {"ServerURL": "quay.io", "Username": "robot", "Secret": SECRET})
    found = find(write(helper / "config.json", {"auths": {"quay.io": {}}, **setting}))
    assert found == Credentials("robot", SECRET, "", "docker-credential-vault")
    assert (helper / "arguments").read_text().split() == ["get"]
    assert (helper / "asked").read_text() == "quay.io"


def test_a_helper_knows_docker_hub_by_its_old_url(helper: Path) -> None:
    write(helper / "answer.json", {"Username": "robot", "Secret": SECRET})
    assert find(write(helper / "config.json", {"credsStore": "vault"}), "docker.io") is not None
    assert (helper / "asked").read_text() == "https://index.docker.io/v1/"


def test_a_helper_may_give_an_identity_token(helper: Path) -> None:
    write(helper / "answer.json", {"Username": "<token>", "Secret": "refresh"})
    found = find(write(helper / "config.json", {"credsStore": "vault"}))
    assert found == Credentials("", "", "refresh", "docker-credential-vault")


def test_a_registrys_own_helper_goes_before_its_entry_and_the_store(helper: Path) -> None:
    write(helper / "answer.json", {"Username": "from-helper", "Secret": SECRET})
    document = {"auths": {"quay.io": entry()}, "credHelpers": {"quay.io": "vault"}, "credsStore": "missing"}
    found = find(write(helper / "config.json", document))
    assert found is not None
    assert found.username == "from-helper"


def test_a_helper_that_knows_nothing_means_no_credentials(helper: Path) -> None:
    assert find(write(helper / "config.json", {"credsStore": "vault"})) is None


def test_a_registrys_own_helper_that_is_not_installed_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json", {"credHelpers": {"quay.io": "nowhere"}})
    with pytest.raises(InvalidInput) as caught:
        find(path)
    assert str(caught.value) == (
        f"credential helper docker-credential-nowhere is not installed, and {path} names it for quay.io"
    )
    assert caught.value.hint == "Install it, or name another auth file with --authfile."


def test_a_store_that_is_not_installed_is_warned_of_once_and_holds_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "config.json", {"credsStore": "gone", "credHelpers": {"ghcr.io": "nowhere"}})
    assert [find(path), find(path, "docker.io")] == [None, None]
    assert caplog.messages == [
        "credential store docker-credential-gone is not installed; going on without the logins that it may hold"
    ]


def test_what_a_missing_store_does_not_know_may_stand_in_the_next_file(tmp_path: Path) -> None:
    write(tmp_path / "run/containers/auth.json", {"credsStore": "gone-too"})
    path = write(tmp_path / ".docker/config.json", {"auths": {"quay.io": entry()}})
    found = find_credentials("quay.io", "team/model", env=env_of(tmp_path))
    assert found == Credentials("robot", SECRET, "", str(path))


def test_a_store_that_is_there_and_cannot_run_is_an_error(helper: Path) -> None:
    (helper / "bin/docker-credential-vault").write_text("#!/nowhere/sh\n")
    (helper / "bin/docker-credential-vault").chmod(0o644)
    with pytest.raises(InvalidInput, match=r"docker-credential-vault for quay.io does not work: PermissionError"):
        find(write(helper / "config.json", {"credsStore": "vault"}))


@pytest.mark.parametrize("answer", [SECRET, f'["{SECRET}"]', f'{{"Secret": "{SECRET}"}}'])
def test_what_a_broken_helper_says_is_not_shown(helper: Path, answer: str) -> None:
    (helper / "answer.json").write_text(answer)
    with pytest.raises(InvalidInput) as caught:
        find(write(helper / "config.json", {"credsStore": "vault"}))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_credentials_do_not_show_themselves() -> None:
    credentials = Credentials("robot", SECRET, SECRET, "auth.json")
    assert repr(credentials) == "Credentials(username='robot', origin='auth.json')"
