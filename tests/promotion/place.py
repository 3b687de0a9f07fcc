"""Where a promotion goes in these tests, what may be asked there, and what people do there."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from modelcar.distribution.client import Access
from modelcar.promotion import Promotion, promote
from modelcar.spec import PromotionSpec, parse_spec
from modelcar_gitops import NAMESPACE
from modelcar_sandbox.git_tree import INFERENCE_SERVICE, MANIFEST
from promotion.warm import Command

MODELCAR = [sys.executable, "-c", "from modelcar.cli import main; main()"]
PLACEHOLDER = "sha256:" + "0" * 64
MODEL_LABEL = "modelregistry.opendatahub.io/registered-model-id"
VERSION_LABEL = "modelregistry.opendatahub.io/model-version-id"
TIMEOUT_S = 60

_SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
{more}model:
  source: {source}
image:
  repository: {registry}/{repository}
  tag: {tag}
  baseImage: {base_image}
{reuse_from}modelRegistry:
  url: {model_registry}
  registeredModel: {registered_model}
{version}inferenceService:
  repository: {git}
  branch: main
  path: {path}
  name: {name}
  namespace: {namespace}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The servers of one test, and names that no other run uses.

    Attributes:
        root: A directory of the test's own.
        hub_url: The Hub, always the sandbox's.
        model: Its id there.
        registry: `host:port`, plain HTTP.
        repository: In the registry.
        base_image: Of the promotions.
        model_registry: URL.
        registered_model: In the Model Registry.
        git: URL of the GitOps repository.
        git_token: What git is told, by the environment; None where nobody asks.
        secrets: More variables for a promotion.
    """

    root: Path
    hub_url: str
    model: str
    registry: str
    repository: str
    base_image: str
    model_registry: str
    registered_model: str
    git: str
    git_token: str | None = field(default=None, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a promotion."""
        hosts = ",".join({"127.0.0.1", self.registry.partition(":")[0]})
        token = {"MODELCAR_GIT_TOKEN": self.git_token} if self.git_token else {}
        return {"HF_ENDPOINT": self.hub_url, "NO_PROXY": hosts, "no_proxy": hosts, **token, **self.secrets}

    @property
    def process_environment(self) -> dict[str, str]:
        """Variables for a process that has nothing else from this one."""
        for name in ("home", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        return {**kept, "HF_HUB_DISABLE_TELEMETRY": "1", **self.environment}

    def spec_text(self, *, more: str = "", **changes: str) -> str:
        """A PromotionSpec; `changes` by the names in `_SPEC`, `more` are whole lines of the top level."""
        values = {
            "source": f"hf://{self.model}",
            "registry": self.registry,
            "repository": self.repository,
            "tag": "latest",
            "base_image": self.base_image,
            "model_registry": self.model_registry,
            "registered_model": self.registered_model,
            "git": self.git,
            "path": MANIFEST,
            "name": INFERENCE_SERVICE,
            "namespace": NAMESPACE,
        }
        version = f"  version: {changes.pop('version')}\n" if "version" in changes else ""
        reuse_from = f"  reuseFrom: [{changes.pop('reuse_from')}]\n" if "reuse_from" in changes else ""
        return _SPEC.format(more=more, version=version, reuse_from=reuse_from, **{**values, **changes})

    def spec(self, *, more: str = "", **changes: str) -> PromotionSpec:
        """The same, read."""
        return parse_spec(self.spec_text(more=more, **changes), name="promotion.yaml")

    def spec_file(self, file: str = "promotion.yaml", *, more: str = "", **changes: str) -> Path:
        """The same, in a file of that name."""
        path = self.root / file
        path.write_text(self.spec_text(more=more, **changes))
        return path

    def promote(self, *, more: str = "", **changes: str) -> Promotion:
        """Promote in this process."""
        return promote(self.spec(more=more, **changes), access=Access(plain_http=True))

    def start(self, spec: Path, name: str = "command") -> Command:
        """Promote in a process of its own, which keeps what it prints in the directory `name`."""
        arguments = ["promote", "--plain-http", "--json", str(spec)]
        return Command(arguments, self.process_environment, self.root / name)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `modelcar` in a process of its own."""
        return subprocess.run(
            [*MODELCAR, *arguments], env=self.process_environment, capture_output=True, text=True, check=False
        )

    def git_run(self, *arguments: str, directory: Path | None = None) -> bytes:
        """Run git as the people who own the repository; returns its standard output."""
        who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **who}
        if self.git_token:
            login = base64.b64encode(f"x-access-token:{self.git_token}".encode()).decode()
            environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader"}
            environment["GIT_CONFIG_VALUE_0"] = f"Authorization: Basic {login}"
        done = subprocess.run(["git", *arguments], cwd=directory, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def commits(self) -> list[str]:
        """Hashes of the branch's commits, newest first."""
        return self._look("log", "--format=%H", "main").decode().split()

    def message(self, commit: str) -> str:
        """Of a commit."""
        return self._look("log", "-1", "--format=%B", commit).decode()

    def parents(self) -> list[list[str]]:
        """Of each commit, newest first."""
        return [line.split() for line in self._look("log", "--format=%P", "main").decode().splitlines()]

    def changed_paths(self, commit: str) -> list[str]:
        """What a commit touched."""
        return self._look("diff-tree", "--no-commit-id", "--name-only", "-r", commit).decode().split()

    def manifest(self, path: str = MANIFEST, commit: str = "main") -> bytes:
        """The manifest's bytes."""
        return self._look("show", f"{commit}:{path}")

    def commit_as_person(self, files: dict[str, bytes]) -> str:
        """A person changes files on the branch; returns the commit."""
        work = self.root / "person"
        if not work.exists():
            self.git_run("clone", "--quiet", self.git, str(work))
        self.git_run("pull", "--quiet", "origin", "main", directory=work)
        for path, content in files.items():
            (work / path).write_bytes(content)
        self.git_run("add", "--all", directory=work)
        self.git_run("commit", "--quiet", "--message", "By hand", directory=work)
        self.git_run("push", "--quiet", "origin", "HEAD:main", directory=work)
        return self.git_run("rev-parse", "HEAD", directory=work).decode().strip()

    def versions(self) -> list[dict[str, Any]]:
        """What the Model Registry has of the model; none without a model."""
        models = [one for one in self._list("registered_models") if one["name"] == self.registered_model]
        assert len(models) <= 1
        return self._list(f"registered_models/{models[0]['id']}/versions") if models else []

    def artifacts(self, version_id: str) -> list[dict[str, Any]]:
        """Of a version."""
        return self._list(f"model_versions/{version_id}/artifacts")

    def _list(self, path: str) -> list[dict[str, Any]]:
        # Real servers are asked by the older of the two paths, which the sandbox has too.
        answer = requests.get(f"{self.model_registry}/api/model_registry/v1alpha3/{path}", timeout=TIMEOUT_S)
        answer.raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def _look(self, *arguments: str) -> bytes:
        looked = self.root / "look.git"
        if not looked.exists():
            self.git_run("init", "--quiet", "--bare", str(looked))
        self.git_run("fetch", "--quiet", "--force", self.git, "main:main", directory=looked)
        return self.git_run(*arguments, directory=looked)


def assert_promoted_once(place: Place, digest: str) -> None:
    """One version with one LIVE artifact of this digest, and one commit of ours that names it in the manifest."""
    [version] = place.versions()
    [artifact] = place.artifacts(version["id"])
    uri = f"oci://{place.registry}/{place.repository}@{digest}"
    assert (artifact["uri"], artifact["state"]) == (uri, "LIVE")
    commits = place.commits()
    ours = [commit for commit in commits if "Promotion-Key: " in place.message(commit)]
    assert ours == commits[:1]
    assert f"storageUri: {uri}\n".encode() in place.manifest()
