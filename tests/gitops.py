"""Small GitOps repositories to promote to."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelcar.delivery.inference_service import Edit
from modelcar.delivery.repository import Delivered, Target, deliver, open_repository

PATH = "gitops/chat.yaml"


def storage_uri(digit: str, registry: str = "registry.example") -> str:
    """A reference whose digest is 64 times `digit`."""
    return f"oci://{registry}/team/chat@sha256:{digit * 64}"


def manifest(*names: str) -> str:
    """One InferenceService per name, each with the digest of zeros and a comment."""
    return "---\n".join(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
        f"metadata:\n  name: {name}\nspec:\n  predictor:\n    model:\n      storageUri: {storage_uri('0')}  # image\n"
        for name in names
    )


def git(directory: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git as a person would, apart from this machine's configuration; gives its standard output."""
    identity = {f"GIT_{role}_{what}": "dev@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent", **identity}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env=environment, input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode()


@dataclass(frozen=True)
class Bare:
    """A bare repository with a branch `main`."""

    directory: Path

    @classmethod
    def create(cls, directory: Path, files: dict[str, bytes]) -> Bare:
        """A new repository with one commit."""
        directory.mkdir(parents=True)
        git(directory, "init", "--quiet", "--bare", "--initial-branch=main")
        bare = cls(directory)
        bare.write(files)
        return bare

    def write(self, files: dict[str, bytes]) -> None:
        """Commit files as a person would."""
        work = self.directory.parent / f"{self.directory.name}-work"
        if not work.exists():
            git(self.directory.parent, "clone", "--quiet", str(self.directory), str(work))
        else:
            git(work, "pull", "--quiet", "origin", "main")
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message=by hand")
        git(work, "push", "--quiet", "origin", "HEAD:main")

    def hook(self, name: str, script: str) -> None:
        """Install a hook of the server."""
        path = self.directory / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def read(self, path: str = PATH) -> bytes:
        """A file at the tip."""
        return git(self.directory, "cat-file", "blob", f"main:{path}").encode()

    def commits(self) -> int:
        """How many commits the branch has."""
        return int(git(self.directory, "rev-list", "--count", "main"))

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"file://{self.directory}"


def promote(
    url: str,
    digit: str = "a",
    *,
    key: str = "key-1",
    name: str = "chat",
    expect: str | None = None,
    registry: str = "registry.example",
) -> Delivered:
    """Deliver the image whose digest is 64 times `digit`."""
    edit = Edit(name=name, storage_uri=storage_uri(digit, registry), labels={"app": "chat"}, expect=expect)
    with open_repository(Target(url, "main", PATH, name)) as repository:
        return deliver(
            repository, edit, promotion_key=key, trailers={"Model-Version-Id": "7"}, subject=f"Promote {name}"
        )
