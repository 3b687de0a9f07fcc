"""A place on a real cluster for promotions to run: Hub, git, registry and Model Registry that pods reach.

The Hub is the sandbox's, on the node's address; everything else is a real server. Settings and secrets are objects of
the namespace, as a team would have them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from kubernetes import client, config

from modelcar_sandbox.base_image import push_base_image
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox

VARIABLES = (
    "REAL_KUBECONFIG",
    "REAL_NODE_IP",
    "REAL_OCI_REGISTRY",
    "REAL_MODEL_REGISTRY_URL",
    "REAL_GITEA_URL",
    "REAL_GITEA_USER",
    "REAL_GITEA_TOKEN",
    "REAL_STEP_IMAGE",
)


_ANOTHERS = (
    (r'("[A-Za-z]*(?:Id|id|TimeSinceEpoch)": )"[0-9]+"', r'\1"…"'),
    (r'("date": )"[^"]+"', r'\1"…"'),
    (r"(-id: )(\\+\")?[0-9]+", r"\1…"),
    (r"(Promotion-Key: )[0-9a-f]{64}", r"\1…"),
    (r"(Model-Version-Id: )[0-9]+", r"\1…"),
    (r'("externalId": )"[^"]+"', r'\1"…"'),
)
"""Patterns of what is another's at each promotion."""


@dataclass(frozen=True)
class RealPlace:
    """Where promotions of one test module go.

    Attributes:
        name: Unique; part of every name below.
        sandbox: Its Hub holds the demo model.
        repository: Path of the git repository in Gitea.
        base_image: In the real registry.
    """

    name: str
    sandbox: Sandbox
    repository: str
    base_image: str

    @property
    def git_url(self) -> str:
        return f"{os.environ['REAL_GITEA_URL']}/{self.repository}.git"

    def spec(self, service: str, more: str = "", source: str = f"hf://{DEMO_MODEL}") -> str:
        """A PromotionSpec for one of the services in the manifest."""
        return f"""\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model:
  source: {source}
image:
  repository: {os.environ["REAL_OCI_REGISTRY"]}/{self.name}/{service}
  baseImage: {self.base_image}
modelRegistry:
  url: {os.environ["REAL_MODEL_REGISTRY_URL"]}
  registeredModel: {self.name}-{service}
inferenceService:
  repository: {self.git_url}
  path: {service}.yaml
  branch: {service}
  name: {service}
{more}"""

    def manifest(self, service: str) -> str:
        return _gitea("GET", f"repos/{self.repository}/raw/{service}.yaml?ref={service}").text

    def commits(self, service: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _gitea(
            "GET", f"repos/{self.repository}/commits?path={service}.yaml&sha={service}"
        ).json()
        return found

    def artifacts(self, service: str) -> list[dict[str, Any]]:
        """Of all versions of the service's model in the Model Registry."""
        versions = _registered(f"registered_models/{self._model(service)['id']}/versions")["items"]
        return [
            artifact
            for version in versions
            for artifact in _registered(f"model_versions/{version['id']}/artifacts")["items"]
        ]

    def end(self, service: str) -> dict[str, Any]:
        """All that a promotion leaves, without what is another's at each: names of this test's making, ids, times."""
        model = self._model(service)
        left = {
            "manifest": self.manifest(service),
            "commits": [
                {key: one["commit"][key] for key in ("message", "author", "committer")} for one in self.commits(service)
            ],
            "model": model,
            "versions": _registered(f"registered_models/{model['id']}/versions")["items"],
            "artifacts": self.artifacts(service),
        }
        text = json.dumps(left).replace(f"{self.name}-{service}", "MODEL")
        for pattern, word in ((rf"\b{service}\b", "SERVICE"), *_ANOTHERS):
            text = re.sub(pattern, word, text)
        end: dict[str, Any] = json.loads(text)
        return end

    def _model(self, service: str) -> dict[str, Any]:
        return _registered("registered_model", name=f"{self.name}-{service}")


@contextmanager
def real_place(directory: Path, services: tuple[str, ...], namespace: str) -> Iterator[RealPlace]:
    """Make the place; git repository, secrets and settings are deleted at the end.

    Args:
        directory: For the sandbox.
        services: Each has a manifest in a branch of its own, and an OCI repository in which nothing is.
        namespace: Where the pods will run.
    """
    name = f"t{uuid.uuid4().hex[:8]}"
    core = client.CoreV1Api(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    with (
        Sandbox(directory / "sandbox", os.environ["REAL_NODE_IP"]) as sandbox,
        _settings(core, sandbox, namespace),
        _repository(name, services, directory) as repository,
    ):
        registry = f"http://{os.environ['REAL_OCI_REGISTRY']}"
        base_image = push_base_image(registry)
        for service in services:
            assert requests.get(f"{registry}/v2/{name}/{service}/tags/list", timeout=30).status_code == 404
        yield RealPlace(name, sandbox, repository, base_image)


@contextmanager
def _settings(core: client.CoreV1Api, sandbox: Sandbox, namespace: str) -> Iterator[None]:
    values = {"HF_ENDPOINT": sandbox.hub_url, "MODELCAR_PLAIN_HTTP": "true"}
    git = {"username": os.environ["REAL_GITEA_USER"], "password": os.environ["REAL_GITEA_TOKEN"]}
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "modelcar-config"}, "data": values})
    try:
        core.create_namespaced_secret(namespace, {"metadata": {"name": "modelcar-git"}, "stringData": git})
        yield
    finally:
        core.delete_namespaced_config_map("modelcar-config", namespace)
        core.delete_namespaced_secret("modelcar-git", namespace)


@contextmanager
def _repository(name: str, services: tuple[str, ...], directory: Path) -> Iterator[str]:
    """A private repository with a branch for each service, which has its manifest."""
    user = os.environ["REAL_GITEA_USER"]
    _gitea("POST", "user/repos", {"name": name, "private": True, "default_branch": "main"})
    work = directory / "seed"
    work.mkdir()
    token = f"Authorization: token {os.environ['REAL_GITEA_TOKEN']}"
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": token,
        **{f"GIT_{role}_{what}": "dev@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    url = f"{os.environ['REAL_GITEA_URL']}/{user}/{name}.git"

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=work, env=env, check=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "Begin")
    for service in services:
        git("switch", "-q", "-c", service, "main")
        (work / f"{service}.yaml").write_text(_manifest(service), encoding="utf-8")
        git("add", f"{service}.yaml")
        git("commit", "-q", "-m", "Seed")
    git("push", "-q", "--all", url)
    yield f"{user}/{name}"
    _gitea("DELETE", f"repos/{user}/{name}")


def _manifest(service: str) -> str:
    return (
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n"
        f"metadata:\n  name: {service}\nspec:\n  predictor:\n    model:\n"
        f"      storageUri: oci://registry.example/never-built@sha256:{'0' * 64}  # by digest\n"
    )


def _registered(path: str, **parameters: str) -> dict[str, Any]:
    """What the Model Registry has."""
    base = f"{os.environ['REAL_MODEL_REGISTRY_URL']}/api/model_registry/v1alpha3"
    answer = requests.get(f"{base}/{path}", params=parameters, timeout=30)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def _gitea(method: str, path: str, body: dict[str, object] | None = None) -> requests.Response:
    headers = {"Authorization": f"token {os.environ['REAL_GITEA_TOKEN']}"}
    url = f"{os.environ['REAL_GITEA_URL']}/api/v1/{path}"
    answer = requests.request(method, url, json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer
