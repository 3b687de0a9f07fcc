from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from git_http import GitServer, serve_git
from gitops import PATH, Bare, git, manifest, promote, storage_uri
from modelcar.delivery.credentials import Credentials
from modelcar.delivery.repository import Target, open_repository
from modelcar.errors import GitError, InvalidInput

TOKEN = "planted-c0ffee-token"


@pytest.fixture
def server(bare: Bare) -> Iterator[GitServer]:
    git(bare.directory, "config", "uploadpack.allowFilter", "true")
    git(bare.directory, "config", "http.receivepack", "true")
    with serve_git(bare.directory.parent, token=TOKEN) as server:
        yield server


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCAR_GIT_USERNAME", "robot")
    monkeypatch.setenv("MODELCAR_GIT_TOKEN", TOKEN)


def address(server: GitServer) -> str:
    return f"{server.url}/gitops.git"


def raised(url: str) -> GitError:
    with pytest.raises(GitError) as caught:
        promote(url)
    assert TOKEN not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    return caught.value


@pytest.mark.usefixtures("_credentials")
def test_a_promotion_goes_through_with_a_token(server: GitServer, bare: Bare) -> None:
    assert promote(address(server)).changed
    assert storage_uri("a") in bare.read().decode()


@pytest.mark.usefixtures("_credentials")
def test_every_request_carries_the_token_at_once(server: GitServer) -> None:
    promote(address(server))
    assert {sent for _, sent in server.requests} == {server.authorization}


def test_a_token_is_read_from_its_file_each_time(
    server: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("expired\n")
    monkeypatch.setenv("MODELCAR_GIT_USERNAME", "robot")
    monkeypatch.setenv("MODELCAR_GIT_TOKEN_FILE", str(file))
    raised(address(server))
    file.write_text(f"{TOKEN}\n")
    assert promote(address(server)).changed


@pytest.mark.parametrize("token", [None, "wrong"])
def test_missing_or_wrong_credentials_say_what_to_set(
    server: GitServer, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    if token:
        monkeypatch.setenv("MODELCAR_GIT_TOKEN", token)
    error = raised(address(server))
    assert str(error).startswith(f"{address(server)} does not accept the credentials, or asks for some")
    assert "MODELCAR_GIT_TOKEN" in (error.hint or "")
    assert not error.retryable


@pytest.mark.usefixtures("_credentials")
def test_a_user_who_may_only_read_is_told_before_anything_is_built(server: GitServer) -> None:
    with open_repository(Target(address(server), "main", PATH, "chat")) as repository:
        server.faulty, server.answers = "git-receive-pack", [403]
        with pytest.raises(GitError) as caught:
            repository.check_write_access()
    assert str(caught.value).startswith(f"{address(server)} does not accept the credentials")


@pytest.mark.usefixtures("_credentials")
def test_no_such_repository_on_a_server(server: GitServer) -> None:
    assert str(raised(f"{server.url}/nothing.git")).startswith(
        f"there is no git repository at {server.url}/nothing.git"
    )


@pytest.mark.usefixtures("_credentials")
def test_the_token_follows_no_redirect(server: GitServer, tmp_path: Path) -> None:
    with serve_git(tmp_path) as other:
        server.faulty, server.answers = "git-upload-pack", [302] * 9
        server.location = f"{other.url}/gitops.git/info/refs?service=git-upload-pack"
        error = raised(address(server))
        assert other.requests == []
    assert str(error).startswith(f"{address(server)} redirects elsewhere")


@pytest.mark.usefixtures("_credentials")
def test_a_token_is_sent_to_its_own_server_only(tmp_path: Path, bare: Bare) -> None:
    with serve_git(bare.directory.parent) as server:
        credentials = Credentials.from_environment()
        settings = credentials.settings(address(server))
        assert list(settings) == [f"http.{server.url}/.extraHeader"]
        assert credentials.settings(bare.url) == {}


@pytest.mark.usefixtures("_credentials")
def test_a_server_in_trouble_is_asked_again(server: GitServer, bare: Bare) -> None:
    server.faulty, server.answers = "git-upload-pack", [503, 502]
    assert promote(address(server)).changed
    assert bare.commits() == 2


@pytest.mark.usefixtures("_credentials")
def test_a_push_that_the_server_answered_by_an_error_is_made_again(server: GitServer, bare: Bare) -> None:
    server.faulty, server.answers = "/git-receive-pack", [503]
    assert promote(address(server)).changed
    assert bare.commits() == 2


@pytest.mark.usefixtures("_credentials")
def test_a_push_whose_answer_is_lost_on_the_way_is_found_on_the_branch(server: GitServer, bare: Bare) -> None:
    server.faulty, server.answers = "/git-receive-pack", [0]
    delivered = promote(address(server))
    assert delivered.changed
    assert delivered.commit == git(bare.directory, "rev-parse", "main").strip()
    assert bare.commits() == 2


@pytest.mark.usefixtures("_credentials")
def test_a_server_that_filters_but_gives_no_single_objects_is_cloned_whole(server: GitServer, bare: Bare) -> None:
    server.protocol = 0
    assert promote(address(server)).changed
    assert bare.commits() == 2


def test_an_unreachable_server(tmp_path: Path) -> None:
    with serve_git(tmp_path) as gone:
        url = address(gone)
    error = raised(url)
    assert str(error).startswith(f"{url} cannot be reached")


def test_a_token_and_a_token_file_are_one_too_many() -> None:
    with pytest.raises(InvalidInput):
        Credentials.from_environment({"MODELCAR_GIT_TOKEN": "a", "MODELCAR_GIT_TOKEN_FILE": "b"})


def test_a_token_with_a_line_break_is_refused_and_not_shown(server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCAR_GIT_TOKEN", f"{TOKEN}\r\nX-Evil: 1")
    with pytest.raises(InvalidInput) as caught:
        promote(address(server))
    assert TOKEN not in str(caught.value)


def test_credentials_do_not_show_their_token() -> None:
    assert TOKEN not in repr(Credentials(token=TOKEN))
    assert Credentials(token=TOKEN).redact(f"x {TOKEN} y") == "x *** y"


def test_a_manifest_can_be_read_from_a_public_repository_without_credentials(bare: Bare) -> None:
    with (
        serve_git(bare.directory.parent) as public,
        open_repository(Target(address(public), "main", PATH, "chat")) as repository,
    ):
        assert repository.read().text == manifest("chat")
