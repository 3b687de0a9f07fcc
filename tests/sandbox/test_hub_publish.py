from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelcar.errors import InvalidInput
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.hub.objects import directory_ids, large_file_pointer

FILES: dict[str, bytes | Path] = {"README.md": b"card", "a/b.txt": b"deep", "a.txt": b"beside a/", "empty": b""}


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub")


def test_publishing_the_same_files_again_makes_no_commit(hub: Hub) -> None:
    assert hub.publish("org/model", FILES) == hub.publish("org/model", FILES)


def test_the_same_history_gives_the_same_hash_in_another_place(hub: Hub, tmp_path: Path) -> None:
    other = Hub(tmp_path / "other")
    for each in (hub, other):
        each.publish("org/model", FILES)
    assert hub.publish("org/model", {"x": b"2"}) == other.publish("org/model", {"x": b"2"})


def test_a_directory_and_a_mapping_of_its_files_are_the_same(hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    for path, content in FILES.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(content, bytes)
        (directory / path).write_bytes(content)
    (directory / ".git").mkdir()
    (directory / ".git" / "HEAD").write_bytes(b"not part of the model")
    assert hub.publish("org/one", directory) == hub.publish("org/two", FILES)


def test_a_source_file_that_changes_later_does_not_change_what_was_published(hub: Hub, tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(b"before")
    commit = hub.resolve("org/model", hub.publish("org/model", {"weights": source}))
    source.write_bytes(b"behind")
    assert commit is not None
    assert hub.content_path("org/model", commit.files[0].sha256).read_bytes() == b"before"


def test_old_commits_stay(hub: Hub) -> None:
    first = hub.publish("org/model", FILES)
    second = hub.publish("org/model", {"x": b"2"})
    old, new = hub.resolve("org/model", first), hub.resolve("org/model", "main")
    assert old is not None
    assert new is not None
    assert [file.path for file in old.files] == ["README.md", "a.txt", "a/b.txt", "empty"]
    assert (new.commit_hash, new.parent) == (second, first)


def test_a_new_branch_begins_at_main(hub: Hub) -> None:
    first = hub.publish("org/model", FILES)
    commit = hub.resolve("org/model", hub.publish("org/model", {"x": b"2"}, revision="dev"))
    main = hub.resolve("org/model", "main")
    assert commit is not None
    assert main is not None
    assert (commit.parent, main.commit_hash) == (first, first)


def test_commits_of_several_publishers_at_once_are_all_in_the_history(hub: Hub) -> None:
    with ThreadPoolExecutor(8) as pool:
        publish = [pool.submit(hub.publish, "org/model", {"x": bytes([number])}) for number in range(8)]
        commits = {future.result() for future in publish}
    history = []
    revision: str | None = "main"
    while revision and (commit := hub.resolve("org/model", revision)):
        history.append(commit.commit_hash)
        revision = commit.parent
    assert (len(history), set(history)) == (8, commits)


def test_a_tag_stays_where_it_is_when_the_branch_moves(hub: Hub) -> None:
    first = hub.publish("org/model", FILES)
    hub.tag("org/model", "v1", first)
    hub.publish("org/model", {"x": b"2"})
    tagged = hub.resolve("org/model", "v1")
    assert tagged is not None
    assert tagged.commit_hash == first


def test_a_tag_needs_a_commit(hub: Hub) -> None:
    with pytest.raises(InvalidInput, match="has no commit"):
        hub.tag("org/model", "v1", "0" * 40)


def test_repositories_are_listed_by_their_ids(hub: Hub) -> None:
    hub.publish("org/two", FILES)
    hub.publish("org/one", FILES)
    assert hub.repositories() == ["org/one", "org/two"]


@pytest.mark.parametrize("repo_id", ["", "model", "a/b/c", "../x", "org/..", "/org/model", "api/models", "cdn/x"])
def test_what_cannot_be_the_id_of_a_repository_is_refused(hub: Hub, repo_id: str) -> None:
    with pytest.raises(InvalidInput, match="is no id of a Hub repository"):
        hub.publish(repo_id, FILES)


@pytest.mark.parametrize("paths", [["../x"], ["/x"], ["a//b"], ["./x"], ["a", "a/b"]])
def test_what_cannot_be_the_path_of_a_file_is_refused(hub: Hub, paths: list[str]) -> None:
    with pytest.raises(InvalidInput, match="cannot be a file of org/model"):
        hub.publish("org/model", dict.fromkeys(paths, b""))


def test_a_commit_hash_is_no_name_for_a_branch(hub: Hub) -> None:
    with pytest.raises(InvalidInput, match="is no name for a branch"):
        hub.publish("org/model", FILES, revision="0" * 40)


def test_no_files_are_no_commit(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no file to publish as org/model"):
        hub.publish("org/model", tmp_path)


def git(directory: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_NAME": "sandbox" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "sandbox@example.invalid" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": "2026-01-01T00:01:00+0000" for who in ("AUTHOR", "COMMITTER")},
    }
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_ids_are_those_that_git_gives(hub: Hub, tmp_path: Path) -> None:
    files = {**FILES, "a-b": b"sorts before a/", "w/x.safetensors": b"large by its name"}
    commit = hub.resolve("org/model", hub.publish("org/model", files))
    assert commit is not None
    large = next(file for file in commit.files if file.is_large)
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--object-format=sha1")
    for path, content in files.items():
        (work / path).parent.mkdir(exist_ok=True)
        assert isinstance(content, bytes)
        (work / path).write_bytes(content)
    (work / large.path).write_bytes(large_file_pointer(large.sha256, large.size_bytes))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Publish")
    assert git(work, "rev-parse", "HEAD:w/x.safetensors") == large.git_blob_id
    assert git(work, "rev-parse", "HEAD:a") == directory_ids(commit.files)["a"]
    assert git(work, "rev-parse", "HEAD") == commit.commit_hash
