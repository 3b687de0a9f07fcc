"""A Kubernetes cluster with KServe, for the tests that watch what really serves.

Everything is asked of the pods, never of the InferenceService's status, which says Ready for a model that cannot start.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch

ROLLOUT_TIMEOUT_S = 240
SERVER = "docker.io/local/busybox:1"


class Namespace:
    """A namespace of its own, with a ServingRuntime that serves the model's files by HTTP.

    Attributes:
        name: Unique to this test.
    """

    def __init__(self, kubeconfig: str) -> None:
        self._api = config.new_client_from_config(kubeconfig)
        self._core = client.CoreV1Api(self._api)
        self._custom = client.CustomObjectsApi(self._api)
        self.name = f"modelcar-{uuid.uuid4().hex[:8]}"

    @contextmanager
    def created(self) -> Iterator[Namespace]:
        """Make the namespace and its runtime; both are deleted at the end."""
        self._core.create_namespace({"metadata": {"name": self.name}})
        try:
            self._create("servingruntimes", "v1alpha1", _file_server())
            yield self
        finally:
            self._core.delete_namespace(self.name)
            self._api.close()

    def apply(self, service: Mapping[str, Any]) -> None:
        """Make the InferenceService, or bring it to what git says, as Argo CD would."""
        name = service["metadata"]["name"]
        if any(item["metadata"]["name"] == name for item in self._list("inferenceservices")):
            self._custom.patch_namespaced_custom_object(
                "serving.kserve.io", "v1beta1", self.name, "inferenceservices", name, service
            )
        else:
            self._create("inferenceservices", "v1beta1", service)

    def wait_for_digest(self, digest: str) -> str:
        """Wait until a Ready pod's modelcar container runs this digest; returns the pod's IP."""
        stream = watch.Watch().stream(self._core.list_namespaced_pod, self.name, timeout_seconds=ROLLOUT_TIMEOUT_S)
        for event in stream:
            pod = event["object"]
            if _is_ready(pod) and _modelcar_image(pod).endswith(digest):
                return str(pod.status.pod_ip)
        pods = [(pod.metadata.name, _states(pod)) for pod in self._core.list_namespaced_pod(self.name).items]
        raise AssertionError(f"no Ready pod with {digest} in {ROLLOUT_TIMEOUT_S} s: {pods}")

    def hash_models(self, image: str) -> dict[str, str]:
        """Start a pod of the image; the sha256 of every file below its /models, by path."""
        name = f"pod-{uuid.uuid4().hex[:8]}"
        script = "cd /models && find . -type f -exec sha256sum {} +"
        container = {"name": "hash", "image": image, "command": ["sh", "-c", script]}
        pod = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container]}}
        self._core.create_namespaced_pod(self.name, pod)
        stream = watch.Watch().stream(
            self._core.list_namespaced_pod,
            self.name,
            field_selector=f"metadata.name={name}",
            timeout_seconds=ROLLOUT_TIMEOUT_S,
        )
        ended = next((e["object"] for e in stream if e["object"].status.phase in ("Succeeded", "Failed")), None)
        if ended is None or ended.status.phase != "Succeeded":
            raise AssertionError(f"the pod of {image} did not end well: {_states(ended) if ended else 'no end'}")
        lines = str(self._core.read_namespaced_pod_log(name, self.name)).splitlines()
        return {path.removeprefix("./"): digest for digest, path in (line.split("  ", 1) for line in lines)}

    def _list(self, plural: str) -> list[dict[str, Any]]:
        found = self._custom.list_namespaced_custom_object("serving.kserve.io", "v1beta1", self.name, plural)
        return list(found["items"])

    def _create(self, plural: str, version: str, body: Mapping[str, Any]) -> None:
        self._custom.create_namespaced_custom_object("serving.kserve.io", version, self.name, plural, body)


def push_busybox(directory: Path) -> str:
    """Have the cluster's own busybox in the registry that the node pulls from; the reference.

    Args:
        directory: For a file on the way.
    """
    ctr, archive = shlex.split(os.environ["REAL_CTR"]), directory / "busybox.tar"
    reference = f"{os.environ['REAL_OCI_REGISTRY']}/base/busybox:1"
    subprocess.run([*ctr, "images", "export", str(archive), SERVER], check=True)
    copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci-archive:{archive}", f"docker://{reference}"]
    subprocess.run(copy, check=True)
    return reference


def fetch(pod_ip: str, path: str) -> bytes:
    """A file of the model, from the serving container."""
    with urllib.request.urlopen(f"http://{pod_ip}:8080/models/{path}", timeout=30) as answer:
        content: bytes = answer.read()
        return content


def _file_server() -> dict[str, Any]:
    # The directory behind /mnt/models belongs to another container: it can be read, but not be a working directory.
    script = "mkdir -p /tmp/www && ln -s /mnt/models /tmp/www/models && exec httpd -f -p 8080 -h /tmp/www"
    container = {
        "name": "kserve-container",
        "image": SERVER,
        "command": ["sh", "-c", script],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/models/config.json", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"cpu": "1", "memory": "200Mi"}},
    }
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "file-server"},
        "spec": {"supportedModelFormats": [{"name": "vLLM"}], "containers": [container]},
    }


def _is_ready(pod: Any) -> bool:
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return conditions.get("Ready") == "True" and pod.metadata.deletion_timestamp is None


def _modelcar_image(pod: Any) -> str:
    images = {status.name: status.image_id for status in pod.status.container_statuses or []}
    return str(images.get("modelcar") or "")


def _states(pod: Any) -> list[str]:
    statuses = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    return [f"{status.name}: {status.state.waiting.reason}" for status in statuses if status.state.waiting]
