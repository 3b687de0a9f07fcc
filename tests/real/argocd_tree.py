"""The GitOps tree in a repository of its own, applied by a real Argo CD."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from kubernetes import client, config

ROOT = Path(__file__).parents[2]
OVERLAY = Path("gitops/overlays/example")
ARGOCD = "openshift-gitops"
APPLICATIONS = ("stage01-model-serving", "stage01-model-registry", "stage01-application")
PERSON = {f"GIT_{role}_{what}": "dev@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class ArgoTree:
    """A repository, and the cluster that follows it.

    Attributes:
        work: A work tree of the repository.
        url: That Argo CD reads it from.
        api: A client of the cluster.
    """

    work: Path
    url: str
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

    def stand_in_for_the_registrys_controllers(self) -> None:
        """Write what the controllers of Deployments, claims and Jobs, and the operator of OpenShift AI, would write."""
        where = ("rhoai-model-registries",)
        ready = {
            "observedGeneration": 1,
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
        }
        client.AppsV1Api(self.api).patch_namespaced_deployment_status("mysql", *where, {"status": ready})
        bound = {"status": {"phase": "Bound"}}
        client.CoreV1Api(self.api).patch_namespaced_persistent_volume_claim_status("mysql-data", *where, bound)
        now = "2026-01-01T00:00:00Z"
        ended = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
        job = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": ended}
        client.BatchV1Api(self.api).patch_namespaced_job_status("mysql-credentials", *where, {"status": job})
        place = ("modelregistry.opendatahub.io", "v1beta1", *where, "modelregistries", "private-ai-model-registry")
        condition = {
            "type": "Available",
            "status": "True",
            "reason": "Available",
            "message": "",
            "lastTransitionTime": now,
        }
        available = {"status": {"conditions": [condition]}}
        self._objects.patch_namespaced_custom_object_status(*place, available)

    @property
    def _objects(self) -> client.CustomObjectsApi:
        return client.CustomObjectsApi(self.api)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return ("argoproj.io", "v1alpha1", ARGOCD, "applications")


@contextmanager
def argo_tree(directory: Path, **settings: str) -> Iterator[ArgoTree]:
    """A copy of the tree, which the parent alone makes come up; everything is deleted at the end.

    Args:
        directory: For the repository.
        settings: Of the overlay, beside the repository's address.
    """
    work, bare = directory / "work", directory / "gitops.git"
    for part in ("gitops", "gitops-apps", "compiled"):
        shutil.copytree(ROOT / part, work / part)
    url = f"file://{bare}"
    change(work / OVERLAY / "settings/settings.yaml", data={"repoURL": url, **settings})
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    tree = ArgoTree(work, url, api)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True)
    tree.git("init", "--quiet", "--initial-branch=main")
    tree.git("remote", "add", "origin", str(bare))
    core = client.CoreV1Api(api)
    # The operator of OpenShift AI makes this one; here it is the test.
    core.create_namespace({"metadata": {"name": "rhoai-model-registries"}})
    checks = yaml.safe_load((work / "gitops-apps/bootstrap/health-checks/argocd-patch.yaml").read_text())
    data = {
        f"resource.customizations.health.{one['group']}_{one['kind']}": one["check"]
        for one in checks["spec"]["resourceHealthChecks"]
    }
    core.patch_namespaced_config_map("argocd-cm", ARGOCD, {"data": data})  # as OpenShift GitOps does with its ArgoCD
    try:
        yield tree
    finally:
        _delete(tree, core)


def change(path: Path, **changes: dict[str, Any]) -> None:
    """Change parts of a YAML document, comments lost."""
    document = yaml.safe_load(path.read_text())
    for key, values in changes.items():
        document[key].update(values)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def kubectl(*words: str) -> str:
    """Run kubectl as an administrator does."""
    command = [f"{os.environ['REAL_BIN']}/kubectl", "--kubeconfig", os.environ["REAL_KUBECONFIG"], *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _delete(tree: ArgoTree, core: client.CoreV1Api) -> None:
    objects = client.CustomObjectsApi(tree.api)
    for name in APPLICATIONS:
        if tree.application(name):
            objects.delete_namespaced_custom_object(*tree._place, name)
    for name in ("private-ai-demo", "rhoai-model-registries"):
        try:
            core.delete_namespace(name)
        except client.ApiException as error:
            if error.status != 404:
                raise
