"""The sandbox's GitOps repository: this project's own tree, with the demo model added to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from modelcar.errors import GitError
from modelcar_gitops.served_model import ServedModel
from modelcar_gitops.tree import SERVED, GitOpsTree

BRANCH = "main"
INFERENCE_SERVICE = "demo-llama"
MANIFEST = (SERVED / f"{INFERENCE_SERVICE}.yaml").as_posix()
NO_REGISTRY = "registry.invalid"
PARTS = ("gitops", "gitops-apps", "compiled")
"""Directories that the tree consists of."""
DEMO_MODEL = "sandbox/demo-llama"

_PACKAGED = Path(__file__).parent / "gitops_tree"
"""Where an installed package has the tree; a clone has it beside the packages."""
_PERSON = {  # a commit's hash covers who made it, and when
    "NAME": "Sandbox",
    "EMAIL": "sandbox@example.invalid",
    "DATE": "2026-01-01T00:00:00+0000",
}


def create_gitops_repository(directory: Path, *, registry: str = NO_REGISTRY) -> Path:
    """Make the repository `directory/git/gitops.git`; one that is there is left as it is.

    Its branch `main` has one commit, whose hash depends on the tree and on `registry` alone. It serves sparse and
    blobless clones.

    Args:
        directory: Of the sandbox; made when it is not there.
        registry: `host:port` in the demo model's storageUri, which names an image that was never built.

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
        copy_tree(work)
        GitOpsTree(work).add(demo_model(registry))
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
            "Stage 01, and demo-llama, which is not built yet",
        )
        for leftover in ("index", "COMMIT_EDITMSG"):  # a bare repository has none
            (made / leftover).unlink()
        made.rename(repository)
    return repository


def copy_tree(directory: Path) -> None:
    """Copy this project's GitOps tree, as it is.

    Args:
        directory: Made.
    """
    root = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2]
    for part in PARTS:
        shutil.copytree(root / part, directory / part)


def demo_model(registry: str) -> ServedModel:
    """What the tree is told to serve: the demo model, on a CPU.

    Args:
        registry: `host:port` that its images are pushed to.
    """
    return ServedModel(
        INFERENCE_SERVICE,
        f"hf://{DEMO_MODEL}",
        "Demo Llama",
        "A few random weights, to try a promotion with",
        cpu=1,
        memory="8Gi",
        gpus=0,
        arguments=("--max-model-len=1024", "--dtype=bfloat16"),  # as long as the demo model's context
        repository=f"{registry}/models/{INFERENCE_SERVICE}",
    )


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
