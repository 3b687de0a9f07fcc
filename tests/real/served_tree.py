"""The demo model in the GitOps tree, served by vLLM on a real node; whether it serves is asked of its pods."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from kubernetes import client

from gitops_tree.tree import NAMESPACE
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox
from real.argocd_tree import OVERLAY, ArgoTree, argo_tree
from real.cluster import push_busybox
from real.exclusion import stage01_alone

COMMAND = str(Path(sys.executable).parent / "modelcar")
MODEL = "demo-llama"
SERVED = Path(f"gitops/stage01-model-serving/application/vllm/{MODEL}.yaml")
PROMOTION = Path(f"gitops/stage01-model-serving/promotions/{MODEL}.yaml")
CPU_OVERLAY = Path("gitops/overlays/cpu/kustomization.yaml")
ROLLOUT_TIMEOUT_S = 420  # of which vLLM takes half a minute where nothing else runs
WAIT_S = 240
PROMPT = "Who promotes the model?"


@dataclass(frozen=True)
class ServedTree:
    """The tree, and the demo model that it serves.

    Attributes:
        tree: The repository that Argo CD follows.
        sandbox: Its Hub has the model, and its Model Registry is the one where there is no real one.
        repository: Of the model's images, in the registry that the node pulls from.
    """

    tree: ArgoTree
    sandbox: Sandbox
    repository: str

    def train(self, variant: int) -> None:
        """Publish the model with other weights."""
        directory = self.sandbox.directory / f"variant-{variant}"
        write_demo_model(directory, variant=variant)
        self.sandbox.hub.publish(DEMO_MODEL, directory)

    def promote(self) -> str:
        """Promote what the Hub has, as people do, and let Argo CD look; the image's digest, as git names it."""
        done = self.modelcar("promote", str(self.tree.work / PROMOTION), "--plain-http")
        assert done.returncode == 0, done.stderr
        self.tree.git("pull", "--quiet", "origin", "main")
        self.tree.refresh()
        return self.digest_in_git()

    def patch(self, digest: str) -> str:
        """Commit another image by hand, and let Argo CD look; the commit's hash."""
        uri = f"oci://{self.repository}@{digest}"
        done = self.modelcar("patch", str(self.tree.work / SERVED), "--name", MODEL, "--storage-uri", uri, "--write")
        assert done.returncode == 0, done.stderr
        return self.tree.commit(f"Serve {digest[:19]}")

    def modelcar(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command against the cluster, the sandbox's Hub and the repository that Argo CD follows."""
        env = {
            **os.environ,
            **self.sandbox.environment,
            "KUBECONFIG": os.environ["REAL_KUBECONFIG"],
            "MODELCAR_GIT_URL": f"file://{self.tree.git('remote', 'get-url', 'origin')}",
            "MODEL_REGISTRY_URL": os.environ.get("REAL_MODEL_REGISTRY_URL") or self.sandbox.model_registry_url,
        }
        return subprocess.run([COMMAND, *words], env=env, capture_output=True, text=True)

    def digest_in_git(self) -> str:
        """Of the image that the manifest names at the tip of the branch."""
        (uri,) = re.findall(r"storageUri: (\S+)", self.tree.git("show", f"origin/main:{SERVED}"))
        assert uri.startswith(f"oci://{self.repository}@sha256:")
        return str(uri).partition("@")[2]

    def pods(self) -> list[Any]:
        """Of the model, also those that are going."""
        label = f"serving.kserve.io/inferenceservice={MODEL}"
        return list(client.CoreV1Api(self.tree.api).list_namespaced_pod(NAMESPACE, label_selector=label).items)

    def wait_until_serving(self, digest: str) -> Any:
        """Wait until a Ready pod's modelcar container runs this digest; the pod."""
        self.tree.wait(lambda: bool(self._serving(digest)), f"a pod of {digest}", ROLLOUT_TIMEOUT_S)
        return self._serving(digest)[0]

    def wait_until_alone(self, name: str) -> None:
        """Wait until the model has no pod but this one."""
        self.tree.wait(lambda: [one.metadata.name for one in self.pods()] == [name], f"{name} is alone", WAIT_S)

    def wait_until_stuck(self, reason: str) -> Any:
        """Wait until a pod's container waits for this reason; the pod."""
        self.tree.wait(lambda: bool(self._waiting(reason)), f"a pod that waits: {reason}", WAIT_S)
        return self._waiting(reason)[0]

    def complete(self, pod: Any) -> str:
        """What the model says after the prompt, always the same for the same weights."""
        body = {"model": MODEL, "prompt": PROMPT, "max_tokens": 16, "temperature": 0}
        answer = requests.post(f"http://{pod.status.pod_ip}:8080/v1/completions", json=body, timeout=120)
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["text"])

    def inference_service(self) -> dict[str, Any]:
        """As KServe sees it."""
        objects = client.CustomObjectsApi(self.tree.api)
        place = ("serving.kserve.io", "v1beta1", NAMESPACE, "inferenceservices", MODEL)
        found: dict[str, Any] = objects.get_namespaced_custom_object(*place)
        return found

    def _serving(self, digest: str) -> list[Any]:
        return [
            pod
            for pod in self.pods()
            if {"Ready": "True"}.items() <= {one.type: one.status for one in pod.status.conditions or ()}.items()
            and pod.metadata.deletion_timestamp is None
            and image_ids(pod).get("modelcar", "").endswith(digest)
        ]

    def _waiting(self, reason: str) -> list[Any]:
        return [
            pod
            for pod in self.pods()
            for one in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
            if one.state.waiting and one.state.waiting.reason == reason
        ]


@contextmanager
def served_tree(directory: Path) -> Iterator[ServedTree]:
    """A tree that serves one model more, on CPUs; nothing is applied yet, and everything is deleted at the end.

    Args:
        directory: For the repository and the sandbox.
    """
    # MySQL's image is not to be had here, so the registry is never healthy: an Argo CD that asks how Applications are
    # would wait for ever, one that does not ask goes on.
    with (
        stage01_alone(),
        Sandbox(directory / "sandbox") as sandbox,
        argo_tree(directory, applications_have_health=False) as tree,
    ):
        served = ServedTree(tree, sandbox, f"{os.environ['REAL_OCI_REGISTRY']}/{NAMESPACE}/{MODEL}")
        words = ["--title", "Demo Llama", "--cpu", "1", "--memory", "4Gi", "--gpus", "0", "--arg=--max-model-len=256"]
        words = ["gitops", "new-model", MODEL, "--source", f"hf://{DEMO_MODEL}", *words, "--tree", str(tree.work)]
        done = served.modelcar(*words)
        assert done.returncode == 0, done.stderr
        _edit(tree.work / PROMOTION, _own_places(served.repository, push_busybox(directory)))
        _edit(tree.work / OVERLAY / "settings/settings.yaml", {"(?<=storageClassName: ).*": "real"})
        _edit(tree.work / OVERLAY / "application/kustomization.yaml", {r"# (- \.\./\.\./cpu)": r"\1"})
        _edit(tree.work / CPU_OVERLAY, {r"(?<=value: )\"docker\.io/vllm/.*\"": os.environ["REAL_VLLM_IMAGE"]})
        yield served


def _own_places(repository: str, base_image: str) -> Mapping[str, str]:
    """Changes of the PromotionSpec: images of our own, and a registered model that no other test has."""
    return {
        r"repository: .*": f"repository: {repository}\n  baseImage: {base_image}",
        r"registeredModel: .*": f"registeredModel: {MODEL}-{uuid.uuid4().hex[:8]}",
    }


def image_ids(pod: Any) -> dict[str, str]:
    """What each container runs, by its name."""
    return {one.name: one.image_id or "" for one in pod.status.container_statuses or ()}


def _edit(path: Path, changes: Mapping[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern, replacement in changes.items():
        text, times = re.subn(pattern, replacement, text)
        assert times == 1, (path, pattern)
    path.write_text(text, encoding="utf-8")
