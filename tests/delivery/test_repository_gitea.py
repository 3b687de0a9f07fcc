"""The same against a real Gitea, and a hunt for the token in everything that is left behind."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from gitops import PATH, Bare, manifest, promote, storage_uri
from modelcar.delivery.repository import Target, open_repository
from modelcar.errors import GitError
from real_servers import require

pytestmark = pytest.mark.real


@pytest.fixture
def gitea() -> str:
    return require("REAL_GITEA_URL", "REAL_GITEA_USER", "REAL_GITEA_TOKEN")


def call(method: str, path: str, body: dict[str, object] | None = None) -> requests.Response:
    headers = {"Authorization": f"token {os.environ['REAL_GITEA_TOKEN']}"}
    url = f"{os.environ['REAL_GITEA_URL']}/api/v1/{path}"
    response = requests.request(method, url, json=body, headers=headers, timeout=30)
    response.raise_for_status()
    return response


@pytest.fixture
def repository(gitea: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Path of a new private repository, `user/name`, whose branch main holds a manifest."""
    name = f"gitops-{uuid.uuid4().hex[:12]}"
    user = os.environ["REAL_GITEA_USER"]
    call("POST", "user/repos", {"name": name, "private": True, "default_branch": "main"})
    monkeypatch.setenv("MODELCAR_GIT_USERNAME", user)
    monkeypatch.setenv("MODELCAR_GIT_TOKEN", os.environ["REAL_GITEA_TOKEN"])
    bare = Bare.create(tmp_path / "seed.git", {PATH: manifest("chat", "draw").encode()})
    credentials = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: token {os.environ['REAL_GITEA_TOKEN']}",
    }
    push = ["git", "push", "--quiet", f"{gitea}/{user}/{name}.git", "main"]
    subprocess.run(push, cwd=bare.directory, env=os.environ | credentials, check=True)
    yield f"{user}/{name}"
    call("DELETE", f"repos/{user}/{name}")


def commits(repository: str) -> list[str]:
    return [commit["sha"] for commit in call("GET", f"repos/{repository}/commits?sha=main&limit=50").json()]


def content(repository: str) -> str:
    return call("GET", f"repos/{repository}/raw/{PATH}?ref=main").text


def test_a_promotion_and_its_rerun(gitea: str, repository: str) -> None:
    url = f"{gitea}/{repository}.git"
    with open_repository(Target(url, "main", PATH, "chat")) as opened:
        opened.check_write_access()
    first, second = promote(url), promote(url)
    assert (first.changed, second.changed) == (True, False)
    assert commits(repository)[0] == first.commit == second.commit
    assert storage_uri("a") in content(repository)


def test_eight_at_once_are_one_commit(gitea: str, repository: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        delivered = list(pool.map(lambda _: promote(f"{gitea}/{repository}.git"), range(8)))
    assert len({one.commit for one in delivered}) == 1
    assert len(commits(repository)) == 2


def test_two_inference_services_of_one_file_at_once_both_land(gitea: str, repository: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        names = ["chat", "draw"]
        list(pool.map(lambda name: promote(f"{gitea}/{repository}.git", key=f"key-{name}", name=name), names))
    assert len(commits(repository)) == 3
    assert content(repository).count(storage_uri("a")) == 2


def test_a_protected_branch_is_final(gitea: str, repository: str) -> None:
    call("POST", f"repos/{repository}/branch_protections", {"rule_name": "main", "enable_push": False})
    with pytest.raises(GitError) as caught:
        promote(f"{gitea}/{repository}.git")
    assert "refused the push to branch main" in str(caught.value)
    assert not caught.value.retryable
    assert len(commits(repository)) == 1


def test_a_wrong_token(gitea: str, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELCAR_GIT_TOKEN", "0" * 40)
    with pytest.raises(GitError) as caught:
        promote(f"{gitea}/{repository}.git")
    assert str(caught.value).startswith(f"{gitea}/{repository}.git does not accept the credentials")


def test_a_missing_repository(gitea: str, repository: str) -> None:
    with pytest.raises(GitError) as caught:
        promote(f"{gitea}/{repository}-missing.git")
    assert str(caught.value).startswith(f"there is no git repository at {gitea}/{repository}-missing.git")


@pytest.fixture
def ssh(repository: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Address of the repository for ssh, with a key file that the group can read, as in a mounted Secret."""
    server = os.environ.get("REAL_GITEA_SSH") or pytest.skip("REAL_GITEA_SSH is not set")
    host, port = server.split(":")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    key.chmod(0o644)
    public = call("POST", "user/keys", {"title": key.parent.name, "key": key.with_suffix(".pub").read_text()}).json()
    scan = subprocess.run(["ssh-keyscan", "-p", port, host], capture_output=True, check=True)
    (tmp_path / "known_hosts").write_bytes(scan.stdout)
    monkeypatch.setenv("MODELCAR_GIT_SSH_KEY_FILE", str(key))
    monkeypatch.setenv("MODELCAR_GIT_SSH_KNOWN_HOSTS_FILE", str(tmp_path / "known_hosts"))
    yield f"ssh://git@{server}/{repository}.git"
    call("DELETE", f"user/keys/{public['id']}")


def test_a_promotion_by_ssh(repository: str, ssh: str) -> None:
    assert promote(ssh).changed
    assert len(commits(repository)) == 2


def test_a_host_that_is_not_known_is_not_trusted(ssh: str, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(GitError) as caught:
        promote(ssh)
    assert str(caught.value).startswith(f"the host key of {ssh} is not known")


def test_a_key_that_is_not_registered(ssh: str, tmp_path: Path) -> None:
    (tmp_path / "key").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    with pytest.raises(GitError) as caught:
        promote(ssh)
    assert str(caught.value).startswith(f"{ssh} does not accept the ssh key")


def test_the_token_shows_nowhere(gitea: str, repository: str, tmp_path: Path) -> None:
    """Not in output, exceptions, files that stay or that exist meanwhile, nor in any command line."""
    token = os.environ["REAL_GITEA_TOKEN"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = (
        "import logging, sys, gitops; logging.basicConfig(level=logging.DEBUG);"
        "print(gitops.promote(sys.argv[1])); gitops.promote(sys.argv[1] + 'missing')"
    )
    traced = {name: "1" for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE", "GIT_TRACE_PACKET")}
    files = {"GIT_TRACE2": str(scratch / "trace2"), "GIT_TRACE_SETUP": str(scratch / "setup"), "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, "-c", program, f"{gitea}/{repository}.git"],
        cwd=Path(__file__).parent.parent,
        env=os.environ | traced | {"GIT_TRACE_REDACT": "0"} | files,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    seen: dict[str, bytes] = {}
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(ended, scratch, seen))
    watcher.start()
    output, _ = process.communicate(timeout=120)
    ended.set()
    watcher.join()
    assert b"changed=True" in output
    assert b"there is no git repository" in output
    encoded = _encoded(os.environ["REAL_GITEA_USER"], token)
    everything = {"output": output, **seen}
    assert any(b"git\0push\0" in line for line in seen.values())
    assert any(name.endswith("repository.git/config") for name in seen)
    assert [name for name, found in everything.items() if token.encode() in found or encoded in found] == []


def _encoded(user: str, token: str) -> bytes:
    return base64.b64encode(f"{user}:{token}".encode())


def _watch(ended: threading.Event, scratch: Path, seen: dict[str, bytes]) -> None:
    """Collect all command lines and all files below `scratch`, again and again until `ended`."""
    last = False
    while not last:
        last = ended.is_set()
        processes = [Path("/proc", name, "cmdline") for name in os.listdir("/proc") if name.isdigit()]
        files = [Path(directory, name) for directory, _, names in os.walk(scratch) for name in names]
        for path in (*processes, *files):
            try:
                found = path.read_bytes()
            except OSError:  # gone meanwhile
                continue
            seen[f"{path} {found[:200]!r}" if path.name == "cmdline" else str(path)] = found
