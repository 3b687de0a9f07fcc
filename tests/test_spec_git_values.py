from __future__ import annotations

import pytest

from modelcar.errors import InvalidInput
from modelcar.spec.values import read_branch, read_git_remote, read_path


@pytest.mark.parametrize(
    "remote",
    [
        "https://git.example.com:8443/a/b.git",
        "http://127.0.0.1:3000/a/b",
        "ssh://git@git.example.com:2222/a/b.git",
        "ssh://git.example.com/a/b.git",
        "git@github.com:acme/serving.git",
        "git.example.com:acme/serving.git",
        "file:///srv/gitops.git",
        "file:///srv/a directory/gitops.git",
        "/srv/gitops.git",
    ],
)
def test_what_git_can_clone_from_is_kept_as_it_is(remote: str) -> None:
    assert read_git_remote(remote) == remote


@pytest.mark.parametrize(
    "remote",
    [
        "serving",
        "../serving",
        "--upload-pack=sh",
        "-u@host:x",
        "ext::sh -c id",
        "ext::id",
        "ssh://-oProxyCommand=id/x",
        "ftp://host/x",
        "git://host/x",
        "file://host/x",
        "https:host/x",
        "C:\\git",
    ],
)
def test_what_git_must_not_be_given_is_refused(remote: str) -> None:
    with pytest.raises(InvalidInput):
        read_git_remote(remote)


@pytest.mark.parametrize("name", ["main", "release/1.0", "a-b", "feature/@x", "ä"])
def test_a_branch_is_kept_as_it_is(name: str) -> None:
    assert read_branch(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "-x",
        "/x",
        "x/",
        "x.",
        ".x",
        "a/.b",
        "a//b",
        "a..b",
        "a~b",
        "a^b",
        "a:b",
        "a?b",
        "a*b",
        "a[b",
        "a\\b",
        "@",
        "a@{b",
        "x.lock",
        "x.lock/y",
        "HEAD",
        "refs/heads/main",
    ],
)
def test_what_git_refuses_as_a_branch_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not the name of a branch"):
        read_branch(name)


@pytest.mark.parametrize("path", ["..", "a/../b", "a/..", "./a", "a//b", "a/", ".git/x", "a\\b", "/a", ".GIT/config"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not (a path inside the repository|the path of a file)"):
        read_path(path)
