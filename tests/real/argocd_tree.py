"""The GitOps tree in a repository of its own, applied by a real Argo CD."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from kubernetes import client, config

from gitops_tree.tree import (
    APPLICATION,
    ARGOCD_NAMESPACE,
    BOOTSTRAP,
    HEALTH_CHECKS,
    NAMESPACE,
    PARENT,
    REFRESH,
    REGISTRY,
    REGISTRY_NAMESPACE,
    ROOT,
)
from real.argocd_stand_ins import end_namespaces, kubectl

OVERLAY: Final = "gitops/overlays/example"
APPLICATIONS: Final = (PARENT, REGISTRY, APPLICATION)
PERSON: Final = {f"GIT_{role}_{what}": "dev@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class ArgoTree:
    """A repository, and the cluster that follows it.

    Attributes:
        work: A work tree of the repository.
        api: A client of the cluster.
    """

    work: Path
    api: Any

    def commit(self, message: str) -> str:
        """Commit and push what stands in the work tree, and let Argo CD look; the commit's hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.push()

    def push(self) -> str:
        """Push what is committed, and let Argo CD look; the last commit's hash."""
        self.git("push", "--quiet", "origin", "main")
        self.refresh()
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        """Run git in the work tree."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.work.parent), **PERSON}
        done = subprocess.run(["git", *words], cwd=self.work, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def refresh(self) -> None:
        """Let Argo CD look at git now."""
        for name in APPLICATIONS:
            body = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}
            try:
                self._objects.patch_namespaced_custom_object(*self._place, name, body)
            except client.ApiException as error:
                if error.status != 404:
                    raise

    def application(self, name: str) -> dict[str, Any]:
        """An Application; empty when there is none."""
        try:
            found: dict[str, Any] = self._objects.get_namespaced_custom_object(*self._place, name)
        except client.ApiException as error:
            if error.status == 404:
                return {}
            raise
        return found

    def wait(self, holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Look until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {[self.describe(name) for name in APPLICATIONS]}"
            time.sleep(0.5)  # between looks at the server

    def is_synced(self, name: str, commit: str) -> bool:
        """Whether what is live is that commit."""
        found = self.application(name).get("status", {})
        sync = found.get("sync", {})
        ended = found.get("operationState", {}).get("phase") != "Running"
        return bool(sync.get("status") == "Synced" and sync.get("revision") == commit and ended)

    def wait_until_synced(self, commit: str, *names: str) -> None:
        """Wait until Applications are at a commit."""
        for name in names or APPLICATIONS:
            self.wait(lambda name=name: self.is_synced(name, commit), f"{name} at {commit[:8]}")  # type: ignore[misc]

    def apply(self) -> str:
        """Apply the bootstrap directory by hand, and nothing else; the commit that the cluster comes up from."""
        commit = self.commit("The tree as it is")
        kubectl("apply", "-k", str(self.work / OVERLAY / "bootstrap"))
        return commit

    def health(self, name: str) -> str:
        """How an Application is: of all that is in it, the worst."""
        return str(self.application(name).get("status", {}).get("health", {}).get("status"))

    def wait_until_health(self, name: str, health: str) -> None:
        """Wait until an Application is so."""
        self.wait(lambda: self.health(name) == health, f"{name} gets {health}")

    def describe(self, name: str) -> dict[str, Any]:
        """What people look at when something is wrong."""
        status = self.application(name).get("status", {})
        return {
            "name": name,
            "sync": status.get("sync", {}).get("status"),
            "health": status.get("health", {}).get("status"),
            "operation": status.get("operationState", {}).get("message"),
            "conditions": [one["message"] for one in status.get("conditions", ())],
            "out of sync": [
                f"{one['kind']}/{one['name']}" for one in status.get("resources", ()) if one.get("status") != "Synced"
            ],
        }

    def resources(self, name: str) -> list[dict[str, Any]]:
        """What an Application has, as Argo CD sees it."""
        found: list[dict[str, Any]] = self.application(name).get("status", {}).get("resources", [])
        return found

    @contextmanager
    def commits(self, message: str, files: Mapping[str, str]) -> Iterator[str]:
        """A commit that writes files, by their path, and another that takes them back, which has to arrive."""
        paths = {name: self.work / name for name in files}
        before = {name: path.read_text(encoding="utf-8") if path.exists() else None for name, path in paths.items()}
        try:
            for name, text in files.items():
                paths[name].write_text(text, encoding="utf-8")
            yield self.commit(message)
        finally:
            for name, old in before.items():
                if old is None:
                    paths[name].unlink()
                else:
                    paths[name].write_text(old, encoding="utf-8")
            back = self.commit(f"Take back: {message}")
        self.wait_until_synced(back)

    @property
    def _objects(self) -> client.CustomObjectsApi:
        return client.CustomObjectsApi(self.api)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return ("argoproj.io", "v1alpha1", ARGOCD_NAMESPACE, "applications")


@contextmanager
def argo_tree(directory: Path, *, applications_have_health: bool = True) -> Iterator[ArgoTree]:
    """A copy of the tree, in a cluster that has nothing of it yet; everything is deleted at the end.

    Args:
        directory: For the repository.
        applications_have_health: Whether Argo CD is taught how an Application is, beside all other kinds.
    """
    work, bare = directory / "work", directory / "gitops.git"
    for part in ("gitops", "gitops-apps", "compiled"):
        shutil.copytree(ROOT / part, work / part)
    url = f"file://{bare}"
    settings = work / OVERLAY / "settings/settings.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("https://github.com/example/gitops.git", url), encoding="utf-8")
    tree = ArgoTree(work, config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True)
    tree.git("init", "--quiet", "--initial-branch=main")
    tree.git("remote", "add", "origin", str(bare))
    _clear(tree)  # of a run that was killed
    # The operator of OpenShift AI makes this one; here it is the test.
    client.CoreV1Api(tree.api).create_namespace({"metadata": {"name": REGISTRY_NAMESPACE}})
    _teach(tree, applications_have_health)
    try:
        yield tree
    finally:
        _clear(tree)


def _teach(tree: ArgoTree, applications_have_health: bool) -> None:
    """Give Argo CD the health checks, as OpenShift GitOps does with those of its ArgoCD."""
    checks = yaml.safe_load((tree.work / HEALTH_CHECKS).read_text(encoding="utf-8"))["spec"]["resourceHealthChecks"]
    data = {f"resource.customizations.health.{one['group']}_{one['kind']}": one["check"] for one in checks}
    if not applications_have_health:
        del data["resource.customizations.health.argoproj.io_Application"]
    core = client.CoreV1Api(tree.api)
    found = core.read_namespaced_config_map("argocd-cm", ARGOCD_NAMESPACE)
    found.data = data
    core.replace_namespaced_config_map("argocd-cm", ARGOCD_NAMESPACE, found)


def _clear(tree: ArgoTree) -> None:
    kinds = "applications.argoproj.io,appprojects.argoproj.io"
    kubectl("delete", kinds, "-n", ARGOCD_NAMESPACE, "--all", "--wait=false")
    for part in (BOOTSTRAP, REFRESH):
        kubectl("delete", "-k", str(tree.work / part), "--ignore-not-found", "--wait=false")
    end_namespaces(tree.api, NAMESPACE, REGISTRY_NAMESPACE)
