"""The sandbox's GitOps repository: a bare git repository with a small tree that Argo CD could apply."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from modelcar.errors import GitError

BRANCH = "main"
MANIFEST = "gitops/stage01-model-serving/application/demo-llama.yaml"
INFERENCE_SERVICE = "demo-llama"
NAMESPACE = "private-ai-demo"
NO_REGISTRY = "registry.invalid"

_TREE = Path(__file__).parent / "gitops_tree"
_PERSON = {  # a commit's hash covers who made it, and when
    "NAME": "Sandbox",
    "EMAIL": "sandbox@example.invalid",
    "DATE": "2026-01-01T00:00:00+0000",
}


def create_gitops_repository(directory: Path, *, registry: str = NO_REGISTRY) -> Path:
    """Make the repository `directory/git/gitops.git`; one that is there is left as it is.

    Its branch `main` has one commit, whose hash depends on `registry` alone. It serves sparse and blobless clones.

    Args:
        directory: Of the sandbox; made when it is not there.
        registry: `host:port` in the InferenceService's storageUri, which names an image that was never built.

    Returns:
        The repository's path.

    Raises:
        GitError: There is no git, or it failed.
    """
    repository = directory / "git" / "gitops.git"
    if repository.exists():
        return repository
    repository.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".making-") as temporary:
        work, made = Path(temporary) / "work", Path(temporary) / "gitops.git"
        shutil.copytree(_TREE, work)
        manifest = (work / MANIFEST).read_bytes()
        (work / MANIFEST).write_bytes(manifest.replace(f"oci://{NO_REGISTRY}/".encode(), f"oci://{registry}/".encode()))
        _git("init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(made))
        for setting in ("allowFilter", "allowAnySHA1InWant"):
            _git("--git-dir", str(made), "config", f"uploadpack.{setting}", "true")
        in_work = ("--git-dir", str(made), "--work-tree", str(work))
        _git(*in_work, "add", "--all")
        _git(
            "-c",
            "core.logAllRefUpdates=false",
            *in_work,
            "commit",
            "--quiet",
            "--message",
            "Prepare to serve demo-llama, which is not built yet",
        )
        for leftover in ("index", "COMMIT_EDITMSG"):  # a bare repository has none
            (made / leftover).unlink()
        made.rename(repository)
    return repository


def _git(*arguments: str) -> None:
    """Run git with nobody's settings but ours."""
    people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **people,
    }
    try:
        subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True, text=True)
    except OSError as error:
        raise GitError("git cannot be started", hint="Install git, or add it to PATH.") from error
    except subprocess.CalledProcessError as error:
        raise GitError(f"git could not make the sandbox's repository: {error.stderr.strip()}") from error
