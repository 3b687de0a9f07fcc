from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from modelcar.errors import GitError
from modelcar_sandbox.git_tree import DEMO_MODEL, INFERENCE_SERVICE, MANIFEST, PARTS, create_gitops_repository

NEVER_BUILT = f"models/demo-llama@sha256:{'0' * 64}"
ROOT = Path(__file__).parents[2]


def git(*arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True, text=True).stdout


def test_main_has_one_commit_which_is_always_the_same(tmp_path: Path) -> None:
    one, two = create_gitops_repository(tmp_path / "1"), create_gitops_repository(tmp_path / "2")
    assert one == tmp_path / "1" / "git" / "gitops.git"
    (commit,) = git("-C", str(one), "rev-list", "--all").splitlines()
    assert git("-C", str(two), "rev-list", "--all").splitlines() == [commit]


def test_the_users_own_git_settings_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[user]\n\tname = Somebody\n[commit]\n\tgpgSign = true\n[core]\n\tautocrlf = true\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody else")
    one, two = create_gitops_repository(tmp_path / "1"), create_gitops_repository(tmp_path / "2")
    monkeypatch.delenv("GIT_DIR")
    assert git("-C", str(one), "rev-parse", "main") == git("-C", str(two), "rev-parse", "main")
    assert git("-C", str(one), "log", "--format=%an <%ae>") == "Sandbox <sandbox@example.invalid>\n"


def test_a_repository_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    repository = create_gitops_repository(tmp_path, registry="127.0.0.1:5000")
    before = git("-C", str(repository), "rev-parse", "main")
    assert create_gitops_repository(tmp_path, registry="127.0.0.1:6000") == repository
    assert git("-C", str(repository), "rev-parse", "main") == before


def test_nothing_but_the_repository_is_left_behind(tmp_path: Path) -> None:
    create_gitops_repository(tmp_path)
    assert [path.name for path in (tmp_path / "git").iterdir()] == ["gitops.git"]


def test_the_manifest_names_an_image_of_the_registry_that_was_never_built(tmp_path: Path) -> None:
    repository = create_gitops_repository(tmp_path, registry="127.0.0.1:5000")
    manifest = git("-C", str(repository), "show", f"main:{MANIFEST}")
    assert f"\n      storageUri: oci://127.0.0.1:5000/{NEVER_BUILT}\n" in manifest
    assert f"\n  name: {INFERENCE_SERVICE}\n" in manifest
    assert '\n    serving.kserve.io/stop: "true" ' in manifest


def test_it_is_this_projects_own_tree_and_one_model_more(tmp_path: Path) -> None:
    repository = create_gitops_repository(tmp_path, registry="127.0.0.1:5000")
    git("clone", "--quiet", str(repository), str(tmp_path / "clone"))
    ours = {path.relative_to(ROOT): path.read_bytes() for part in PARTS for path in (ROOT / part).rglob("*.*")}
    theirs = {
        path.relative_to(tmp_path / "clone"): path.read_bytes()
        for part in PARTS
        for path in (tmp_path / "clone" / part).rglob("*.*")
    }
    vllm = Path(MANIFEST).parent
    promotion = Path("gitops/stage01-model-serving/promotions/demo-llama.yaml")
    assert theirs.keys() - ours.keys() == {Path(MANIFEST), promotion}
    assert ours.keys() <= theirs.keys()
    assert [path for path in ours if ours[path] != theirs[path]] == [vllm / "kustomization.yaml"]
    assert f'source: "hf://{DEMO_MODEL}"\n' in theirs[promotion].decode()


def test_a_sparse_clone_without_blobs_is_served_and_can_push(tmp_path: Path) -> None:
    url = create_gitops_repository(tmp_path).as_uri()
    clone = str(tmp_path / "clone")
    git("clone", "--quiet", "--filter=blob:none", "--sparse", "--branch=main", url, clone)
    missing = git("-C", clone, "rev-list", "--objects", "--all", "--missing=print").count("\n?")
    git("-C", clone, "-c", "user.name=x", "-c", "user.email=x@x.invalid", "commit", "-q", "--allow-empty", "-m", "Next")
    git("-C", clone, "push", "--quiet")
    blobs = git("--git-dir", str(tmp_path / "git" / "gitops.git"), "ls-tree", "-r", "--object-only", "main~1").split()
    assert missing == len(set(blobs)) > 50  # all: none of its files is at the top, which is all that is checked out
    assert git("--git-dir", str(tmp_path / "git" / "gitops.git"), "log", "-1", "--format=%s", "main") == "Next\n"


def test_without_git_there_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match=r"^git cannot be started$"):
        create_gitops_repository(tmp_path)
    assert not (tmp_path / "git" / "gitops.git").exists()
