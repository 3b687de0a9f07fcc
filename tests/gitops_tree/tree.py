"""The GitOps tree as the checks see it: its files as text, and what kustomize makes of them."""

from __future__ import annotations

import copy
import os
import posixpath
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

Object = dict[str, Any]

ROOT: Final = Path(__file__).parents[2]
PARENT, REGISTRY, APPLICATION = "stage01-model-serving", "stage01-model-registry", "stage01-application"
PARENTS_PROJECT, PROJECT = "stage01-apps", "stage01"
ARGOCD_NAMESPACE: Final = "openshift-gitops"
REGISTRY_NAMESPACE: Final = "rhoai-model-registries"
NAMESPACE: Final = "private-ai-demo"
BOOTSTRAP: Final = "gitops-apps/bootstrap"
REFRESH: Final = f"{BOOTSTRAP}/refresh"
HEALTH_CHECKS: Final = f"{BOOTSTRAP}/health-checks/argocd-patch.yaml"
PROMOTIONS: Final = "gitops/stage01-model-serving/promotions/"
SAMPLES: Final = "compiled/tekton/samples/"
KUSTOMIZATION: Final = "kustomization.yaml"
_DIRECTORIES: Final = ("gitops", "gitops-apps", "compiled")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Tree:
    """Everything that is checked. Mutations change a copy of it, in memory.

    Attributes:
        root: Of the repository.
        files: Text by path below `root`, of all that is in gitops, gitops-apps and compiled.
        complaints: What kustomize says of each directory that stands on its own; empty when it says nothing.
        bootstrap: What an administrator applies first: the AppProjects, the parent Application, its readers.
        refresh: What an administrator may apply beside it.
        rendered: By the name of each Application, what Argo CD makes for it; for the parent, its children.
        health_checks: What Argo CD is taught, an entry for each kind.
        specs: PromotionSpecs by path.
        sample_runs: PipelineRuns by path.
        memo: What checks found out about this tree, which does not change once they look at it.
    """

    root: Path
    files: dict[str, str]
    complaints: dict[str, str]
    bootstrap: list[Object]
    refresh: list[Object]
    rendered: dict[str, list[Object]]
    health_checks: list[Object]
    specs: dict[str, Object]
    sample_runs: dict[str, Object]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, root: Path = ROOT) -> Tree:
        """Read and render a repository's tree; what cannot be rendered is empty, and is a complaint."""
        files = dict(_read(root))
        tops = find_tops(files)
        with ThreadPoolExecutor() as pool:  # each is a process, which is waited for
            builds = dict(zip(tops, pool.map(lambda directory: build(root / directory), tops), strict=True))
        bootstrap = _objects(builds, BOOTSTRAP)
        parents = [one for one in bootstrap if one["kind"] == "Application"]
        children = [child for parent in parents for child in _objects(builds, _path(parent))]
        return cls(
            root,
            files,
            {directory: one.complaint for directory, one in builds.items()},
            bootstrap,
            _objects(builds, REFRESH),
            {one["metadata"]["name"]: _objects(builds, _path(one)) for one in (*parents, *children)},
            read_yaml(files[HEALTH_CHECKS])[0]["spec"]["resourceHealthChecks"],
            {path: read_yaml(text)[0] for path, text in files.items() if path.startswith(PROMOTIONS)},
            {path: read_yaml(text)[0] for path, text in files.items() if path.startswith(SAMPLES)},
        )

    def copy(self) -> Tree:
        """Another tree that can be changed without changing this one."""
        shared = ("root", "files", "memo")
        fields = {name: copy.deepcopy(value) for name, value in vars(self).items() if name not in shared}
        return replace(self, files=dict(self.files), memo={}, **fields)

    @property
    def applications(self) -> dict[str, Object]:
        """By name: the parent, from the bootstrap, and its children."""
        found = (*self.bootstrap, *self.rendered.get(PARENT, ()))
        return {one["metadata"]["name"]: one for one in found if one["kind"] == "Application"}

    @property
    def projects(self) -> dict[str, Object]:
        """AppProjects by name."""
        return {one["metadata"]["name"]: one for one in self.bootstrap if one["kind"] == "AppProject"}

    @property
    def objects(self) -> list[Object]:
        """All that is applied to a cluster, whoever applies it."""
        return [*self.bootstrap, *self.refresh, *(one for each in self.rendered.values() for one in each)]

    def of_kind(self, *kinds: str) -> list[Object]:
        """Objects of these kinds, whoever applies them."""
        return [one for one in self.objects if one["kind"] in kinds]

    def get(self, kind: str, name: str, application: str = APPLICATION) -> Object:
        """One object of an Application."""
        found = (one for one in self.rendered[application] if one["kind"] == kind and one["metadata"]["name"] == name)
        return next(found)


@dataclass(frozen=True)
class Build:
    """What kustomize makes of a directory.

    Attributes:
        objects: Empty when it makes nothing.
        complaint: What it says beside that, an error or a warning.
    """

    objects: list[Object]
    complaint: str


def build(directory: Path) -> Build:
    """Run kustomize."""
    done = subprocess.run([*_kustomize(), str(directory)], capture_output=True, text=True, check=False)
    objects = yaml.load_all(done.stdout, Loader=_LOADER) if done.returncode == 0 else ()
    return Build(list(objects), done.stderr.strip() or ("" if done.returncode == 0 else f"exit {done.returncode}"))


def render(directory: Path) -> list[Object]:
    """The objects of a directory; an error or a warning fails the test."""
    made = build(directory)
    assert made.complaint == ""
    return made.objects


@cache
def load_tree() -> Tree:
    """This repository's tree, rendered once; tests change copies only."""
    return Tree.load()


@cache
def read_yaml(text: str) -> tuple[Any, ...]:
    """The documents of a file; read once, so nobody may change them."""
    return tuple(one for one in yaml.load_all(text, Loader=_LOADER) if one is not None)


def find_tops(files: Mapping[str, str]) -> list[str]:
    """Directories that are applied, or that no other one lists: kustomize is run in these."""
    found = {posixpath.dirname(path): read_yaml(text)[0] for path, text in files.items() if _is_kustomization(path)}
    listed = {
        posixpath.normpath(posixpath.join(directory, entry))
        for directory, one in found.items()
        for entry in (*one.get("resources", ()), *one.get("components", ()))
    }
    sources = {_path(one) for path, text in files.items() if path.endswith(".yaml") for one in _applications(text)}
    standing = {directory for directory, one in found.items() if one.get("kind") != "Component"} - listed
    return sorted(standing | ({BOOTSTRAP, REFRESH, *sources} & set(found)))


@cache
def _kustomize() -> tuple[str, ...]:
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), os.environ.get("REAL_BIN"))))
    for program, argument in (("kustomize", "build"), ("kubectl", "kustomize"), ("oc", "kustomize")):
        if found := shutil.which(program, path=path):
            return found, argument
    pytest.skip("no kustomize, kubectl or oc on PATH")


def _read(root: Path) -> Iterator[tuple[str, str]]:
    for directory in _DIRECTORIES:
        for path in sorted((root / directory).rglob("*")):
            if path.is_file():
                with path.open(encoding="utf-8", newline="") as file:
                    yield path.relative_to(root).as_posix(), file.read()


def _objects(builds: Mapping[str, Build], directory: str) -> list[Object]:
    return builds[directory].objects if directory in builds else []


def _path(application: Object) -> str:
    return str(application["spec"]["source"]["path"])


def _applications(text: str) -> list[Object]:
    if "kind: Application\n" not in text:
        return []
    return [one for one in read_yaml(text) if isinstance(one, dict) and one.get("kind") == "Application"]


def _is_kustomization(path: str) -> bool:
    return posixpath.basename(path) == KUSTOMIZATION
