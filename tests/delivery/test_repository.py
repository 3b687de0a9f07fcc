from __future__ import annotations

from pathlib import Path

import pytest

from gitops import PATH, Bare, git, manifest, promote, storage_uri
from modelcar.delivery.repository import Target, open_repository
from modelcar.errors import GitError, Held, InvalidInput, ManifestShapeError, PromotionError, Superseded


def raised(url: str, branch: str = "main", path: str = PATH, name: str = "chat") -> PromotionError:
    with pytest.raises(PromotionError) as caught, open_repository(Target(url, branch, path, name)) as repository:
        repository.read()
    return caught.value


def test_a_promotion_is_one_commit_with_trailers(bare: Bare) -> None:
    delivered = promote(bare.url)
    assert delivered.changed
    assert delivered.commit == git(bare.directory, "rev-parse", "main").strip()
    assert delivered.previous_storage_uri == storage_uri("0")
    assert git(bare.directory, "log", "-1", "--format=%an <%ae>%n%B", "main") == (
        "modelcar <modelcar@users.noreply.invalid>\n"
        "Promote chat\n"
        "\n"
        f"- InferenceService chat: storageUri {storage_uri('0')} -> {storage_uri('a')}\n"
        "- label app: chat\n"
        "\n"
        "Promotion-Key: key-1\n"
        f"Image-Digest: sha256:{'a' * 64}\n"
        f"Previous-Digest: sha256:{'0' * 64}\n"
        "Model-Version-Id: 7\n"
        "\n"
    )


def test_the_commit_changes_the_manifest_only_and_its_diff_is_told(bare: Bare) -> None:
    delivered = promote(bare.url)
    assert git(bare.directory, "diff", "--name-only", "main~1", "main") == f"{PATH}\n"
    after = bare.read().decode()
    assert after == manifest("chat").replace(storage_uri("0"), storage_uri("a")).replace(
        "  name: chat\n", "  name: chat\n  labels:\n    app: chat\n"
    )
    assert f"+      storageUri: {storage_uri('a')}  # image\n" in delivered.diff


def test_a_second_run_finds_the_first_ones_commit(bare: Bare) -> None:
    first, second = promote(bare.url), promote(bare.url)
    assert (second.commit, second.changed, second.diff) == (first.commit, False, "")
    assert bare.commits() == 2


def test_an_image_that_serves_already_needs_no_commit(bare: Bare) -> None:
    bare.write({PATH: manifest("chat").replace(storage_uri("0"), storage_uri("a")).encode()})
    delivered = promote(bare.url)
    assert (delivered.commit, delivered.changed) == (None, False)


def test_the_same_bytes_in_another_registry_are_a_promotion_of_their_own(bare: Bare) -> None:
    bare.write({PATH: manifest("chat").replace(storage_uri("0"), storage_uri("a", "old.example")).encode()})
    assert promote(bare.url).changed
    assert bare.read().decode() == manifest("chat").replace(storage_uri("0"), storage_uri("a")).replace(
        "  name: chat\n", "  name: chat\n  labels:\n    app: chat\n"
    )


def test_a_promotion_key_that_moved_to_another_registry_moves_once_and_not_back(bare: Bare) -> None:
    # The key knows the content, not the registry.
    promote(bare.url, registry="old.example")
    moved = promote(bare.url, registry="new.example")
    again = promote(bare.url, registry="new.example")
    assert (moved.changed, again.changed, again.commit) == (True, False, moved.commit)
    assert storage_uri("a", "new.example") in bare.read().decode()
    with pytest.raises(Held):
        promote(bare.url, registry="old.example")
    assert bare.commits() == 3


def test_a_value_that_was_put_back_by_hand_is_a_hold(bare: Bare) -> None:
    commit = str(promote(bare.url).commit)
    bare.write({PATH: manifest("chat").encode()})
    with pytest.raises(Held) as caught:
        promote(bare.url)
    assert str(caught.value) == (
        f"{PATH} was promoted to {storage_uri('a')} by commit {commit[:12]}, and says {storage_uri('0')} since"
    )
    assert caught.value.hint == (
        "Somebody changed it on purpose; to promote this image again, revert that change in git."
    )
    assert bare.commits() == 3


def test_a_later_promotion_is_not_undone_and_not_taken_for_a_person(bare: Bare) -> None:
    first, later = str(promote(bare.url).commit), str(promote(bare.url, "b", key="key-2").commit)
    with pytest.raises(Held) as caught:
        promote(bare.url)
    assert str(caught.value) == (
        f"{PATH} was promoted to {storage_uri('a')} by commit {first[:12]}, "
        f"and commit {later[:12]} promoted {storage_uri('b')} since"
    )
    assert caught.value.hint == (
        "An old promotion that runs again does not undo a newer one; revert that commit in git, "
        "or promote under another version name."
    )
    assert bare.commits() == 3


def test_what_that_hint_says_is_true(bare: Bare) -> None:
    first, later = promote(bare.url), promote(bare.url, "b", key="key-2")
    bare.write({PATH: git(bare.directory, "show", f"{later.commit}^:{PATH}").encode()})  # what a revert leaves
    assert promote(bare.url).commit == first.commit
    promote(bare.url, "c", key="key-3")
    assert promote(bare.url, key="key-4").changed  # another version name makes another key


def test_a_person_is_not_taken_for_an_earlier_promotion_of_what_they_put_back(bare: Bare) -> None:
    promote(bare.url, "b", key="key-2")
    before = bare.read()
    promote(bare.url)
    bare.write({PATH: before})
    with pytest.raises(Held, match="and says "):
        promote(bare.url)


def test_a_later_promotion_of_a_neighbour_in_the_file_is_not_blamed_for_a_person(bare: Bare) -> None:
    bare.write({PATH: manifest("chat", "code").encode()})
    promote(bare.url)
    bare.write({PATH: bare.read().replace(storage_uri("a").encode(), storage_uri("b").encode())})
    promote(bare.url, "b", key="key-2", name="code")
    with pytest.raises(Held, match=f"and says {storage_uri('b')} since"):
        promote(bare.url)


def test_another_promotion_may_follow_a_hold(bare: Bare) -> None:
    promote(bare.url)
    bare.write({PATH: manifest("chat").encode()})
    assert promote(bare.url, "b", key="key-2").changed


def test_a_value_that_the_plan_did_not_see_stops_the_promotion(bare: Bare) -> None:
    with pytest.raises(Superseded):
        promote(bare.url, expect=storage_uri("f"))
    assert bare.commits() == 1


def test_the_key_counts_in_the_history_of_this_manifest_only(bare: Bare) -> None:
    promote(bare.url)
    bare.write({"other.yaml": manifest("chat").encode()})
    with open_repository(Target(bare.url, "main", "other.yaml", "chat")) as repository:
        assert repository.history("Promotion-Key") == []
    with open_repository(Target(bare.url, "main", PATH, "chat")) as repository:
        assert [keys for _, keys in repository.history("Promotion-Key")] == [["key-1"]]


def test_a_key_is_found_behind_later_commits_and_merges(bare: Bare, tmp_path: Path) -> None:
    commit = promote(bare.url).commit
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", bare.url, str(work))
    git(work, "checkout", "--quiet", "-b", "side", "HEAD~1")
    git(work, "commit", "--quiet", "--allow-empty", "--message=side")
    git(work, "merge", "--quiet", "--message=merge", "origin/main")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    assert promote(bare.url).commit == commit


def test_windows_line_endings_stay_whatever_git_is_told(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = manifest("chat").replace("\n", "\r\n").encode()
    bare.write({PATH: before})
    work = tmp_path / "git" / "gitops.git-work"
    (work / ".gitattributes").write_text("*.yaml text eol=lf working-tree-encoding=UTF-16 filter=bad\n")
    git(work, "add", ".gitattributes")
    git(work, "commit", "--quiet", "--message=attributes")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[core]\n\tautocrlf = input\n[filter "bad"]\n\tclean = false\n\trequired = true\n')
    monkeypatch.setenv("HOME", str(home))
    promote(bare.url)
    after = bare.read()
    assert after.count(b"\r\n") == after.count(b"\n") == before.count(b"\n") + 2


def test_the_users_git_environment_does_not_reach_git(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "GIT_DIR": "/nonexistent",
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_TRACE_CURL": str(tmp_path / "trace"),
        "GIT_AUTHOR_DATE": "nonsense",
        "GIT_CONFIG_COUNT": "1",
        "LANG": "de_DE.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    assert promote(bare.url).changed
    assert not (tmp_path / "trace").exists()


def test_git_works_for_a_user_without_home(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert promote(bare.url).changed


def test_nothing_is_left_behind(bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    promote(bare.url)
    assert list(scratch.iterdir()) == []


def test_the_author_is_who_the_environment_names(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCAR_GIT_AUTHOR_NAME", "Ada L")
    monkeypatch.setenv("MODELCAR_GIT_AUTHOR_EMAIL", "ada@example.com")
    promote(bare.url)
    assert git(bare.directory, "log", "-1", "--format=%an %ae %cn %ce", "main") == (
        "Ada L ada@example.com Ada L ada@example.com\n"
    )


def test_the_mode_of_the_manifest_stays(bare: Bare, tmp_path: Path) -> None:
    work = tmp_path / "git" / "gitops.git-work"
    (work / PATH).chmod(0o755)
    bare.write({"x": b"x"})
    promote(bare.url)
    assert git(bare.directory, "ls-tree", "main", PATH).startswith("100755 ")


def test_a_clone_brings_no_file_but_the_manifest(bare: Bare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(bare.directory, "config", "uploadpack.allowFilter", "true")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_repository(Target(bare.url, "main", PATH, "chat")) as repository:
        repository.read()
        (clone,) = tmp_path.glob("modelcar-git-*/repository.git")
        objects = git(clone, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)")
        assert objects.split().count("blob") == 1
        assert objects.split().count("commit") == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("git version 2.30.2", "git version 2.30.2 is too old for us"),
        ("git version 2.35.9 (Apple Git-137)", "git version 2.35.9 (Apple Git-137) is too old for us"),
        ("git version 1.99", "git version 1.99 is too old for us"),
        ("", "git without a version is too old for us"),
    ],
)
def test_a_git_that_would_pass_over_our_settings_is_refused(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, sentence: str
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    error = raised(bare.url)
    assert (str(error), error.hint) == (sentence, "Install git 2.36 or newer.")


def test_a_machine_without_git_is_told(bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    error = raised(bare.url)
    assert (str(error), error.hint) == ("git is not installed", "Install git 2.36 or newer.")


def test_a_dry_run_pushes_nothing(bare: Bare) -> None:
    with open_repository(Target(bare.url, "main", PATH, "chat")) as repository:
        repository.check_write_access()
    assert bare.commits() == 1


def test_a_branch_that_moved_meanwhile_is_no_lack_of_access(bare: Bare) -> None:
    with open_repository(Target(bare.url, "main", PATH, "chat")) as repository:
        bare.write({"x": b"x"})
        repository.check_write_access()


def test_a_hook_that_declines_is_final_and_heard(bare: Bare) -> None:
    bare.hook("pre-receive", "echo Only on Mondays. >&2; echo x >> tries; exit 1")
    with pytest.raises(GitError) as caught:
        promote(bare.url)
    assert str(caught.value) == (
        f"{bare.url} refused the push to branch main: [remote rejected] (pre-receive hook declined) (Only on Mondays.)"
    )
    assert not caught.value.retryable
    assert (bare.directory / "tries").read_text() == "x\n"
    assert bare.commits() == 1


def test_a_push_whose_answer_was_lost_counts_once(bare: Bare) -> None:
    bare.hook("post-receive", "kill -9 $(ps -o ppid= -p $PPID) $PPID")
    assert promote(bare.url).changed
    assert bare.commits() == 2


def test_a_branch_that_moves_under_the_push_is_answered_by_a_new_edit(bare: Bare, tmp_path: Path) -> None:
    # The first push meets a commit that lands between its check and its update.
    bare.hook(
        "update",
        "test -e moved && exit 0; touch moved; unset GIT_QUARANTINE_PATH; "
        "git update-ref refs/heads/main $(GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x"
        " GIT_COMMITTER_EMAIL=x git commit-tree -p $2 -m other $2^{tree})",
    )
    assert promote(bare.url).changed
    assert git(bare.directory, "log", "--format=%s", "main") == "Promote chat\nother\nby hand\n"


def test_no_such_repository(tmp_path: Path) -> None:
    error = raised(f"file://{tmp_path}/nothing.git")
    assert str(error).startswith(f"there is no git repository at file://{tmp_path}/nothing.git (")
    assert isinstance(error, GitError)


def test_no_such_branch_names_a_similar_one(bare: Bare) -> None:
    error = raised(bare.url, branch="mian")
    assert (str(error), error.hint) == (f"{bare.url} has no branch mian", "It has main.")


def test_an_empty_repository_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    error = raised(f"file://{tmp_path}/empty.git")
    assert error.hint == "It is empty; push a first commit to it."


def test_no_such_file_names_similar_ones(bare: Bare) -> None:
    error = raised(bare.url, path="gitop/chat.yaml")
    assert str(error) == f"branch main of {bare.url} has no file gitop/chat.yaml"
    assert error.hint == f"Did you mean {PATH}?"


def test_no_such_inference_service(bare: Bare) -> None:
    assert isinstance(raised(bare.url, name="chatt"), ManifestShapeError)


@pytest.mark.parametrize("path", ["../chat.yaml", "/etc/passwd", "", "gitops/../gitops/chat.yaml", "./x", "a\nb"])
def test_a_path_outside_the_repository_is_refused(bare: Bare, path: str) -> None:
    assert str(raised(bare.url, path=path)) == f"{path!r} is not a path in the git repository"


@pytest.mark.parametrize("path", ["link.yaml", "linked/chat.yaml"])
def test_a_path_through_a_symbolic_link_is_refused(bare: Bare, tmp_path: Path, path: str) -> None:
    work = tmp_path / "git" / "gitops.git-work"
    (work / "link.yaml").symlink_to(PATH)
    (work / "linked").symlink_to("gitops")
    bare.write({"x": b"x"})
    assert "is a symbolic link" in str(raised(bare.url, path=path))


def test_a_directory_is_no_manifest(bare: Bare) -> None:
    assert str(raised(bare.url, path="gitops")) == f"gitops in {bare.url} is not a file"


def test_a_file_that_is_not_text_is_refused(bare: Bare) -> None:
    bare.write({PATH: "a: ä".encode("utf-16")})
    assert str(raised(bare.url)) == f"{PATH} is not UTF-8 text"


@pytest.mark.parametrize(
    "url",
    ["", "gitops", "ext::sh -c id", "-oProxyCommand=id:x", "ftp://host/x", "https://", "https://[x/", "https://h/a b"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    assert isinstance(raised(url), InvalidInput)


@pytest.mark.parametrize(
    "url", ["https://robot:planted@host/x.git", "https://planted@host/x.git", "ssh://git:planted@host/x.git"]
)
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    error = raised(url)
    assert isinstance(error, InvalidInput)
    assert "planted" not in f"{error} {error.hint}"


@pytest.mark.parametrize("branch", ["a..b", "", "a b"])
def test_a_name_that_no_branch_can_have_is_refused(bare: Bare, branch: str) -> None:
    assert str(raised(bare.url, branch=branch)) == f"{branch!r} is not a name for a branch"


@pytest.mark.parametrize("key", ["", "two words", "a\nb"])
def test_a_key_that_no_trailer_can_hold_is_refused(bare: Bare, key: str) -> None:
    with pytest.raises(InvalidInput):
        promote(bare.url, key=key)
