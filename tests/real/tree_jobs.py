"""What the GitOps tree runs by itself, in a namespace of a real cluster: its Jobs, and what its CronJob starts.

Everything is as the tree renders it, but for its two namespaces, which become the test's one, and the step image, which
is the environment's. The pipeline server of the namespace is a real one elsewhere: the test writes its address where
the operator of OpenShift AI would.
"""

from __future__ import annotations

import base64
import copy
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config, utils

from gitops_tree.tree import NAMESPACE, REGISTRY_NAMESPACE, Object, load_tree

VARIABLES = ("REAL_KUBECONFIG", "REAL_STEP_IMAGE", "REAL_KFP_ENDPOINT", "REAL_KFP_NAMESPACE")
STEP_IMAGES = (
    "image-registry.openshift-image-registry.svc:5000/private-ai-demo/modelcar-python:0.1.0",
    "quay.io/modelcar-pipelines/modelcar-python:0.1.0",
)
DSPA = ("datasciencepipelinesapplications.opendatahub.io", "v1", "datasciencepipelinesapplications")
_TIMEOUT_S = 400.0


@dataclass(frozen=True)
class Ended:
    """A Job that has ended.

    Attributes:
        succeeded: Whether it did.
        log: Of its last pod.
    """

    succeeded: bool
    log: str


@dataclass(frozen=True)
class TreeNamespace:
    """A namespace.

    Attributes:
        name: Unique to the test module.
        api: A client of the cluster, as an administrator.
    """

    name: str
    api: Any

    def rendered(self, kind: str, *names: str) -> list[Object]:
        """Objects of the tree, for this namespace; each name is there once."""
        found = [one for one in load_tree().objects if one["kind"] == kind and one["metadata"]["name"] in names]
        assert sorted(one["metadata"]["name"] for one in found) == sorted(names)
        return [self._here(one) for one in found]

    def create(self, *objects: Object) -> None:
        """Make objects of kinds that every cluster has."""
        for one in objects:
            utils.create_from_dict(self.api, one, namespace=self.name)

    def run(self, job: Object) -> Ended:
        """Make a Job anew, as Argo CD does, and wait until it has ended."""
        batch, name = client.BatchV1Api(self.api), job["metadata"]["name"]
        self._remove(batch, name)
        self.create(job)
        deadline = time.monotonic() + _TIMEOUT_S
        while not (ended := _conditions(batch.read_namespaced_job_status(name, self.name))):
            assert time.monotonic() < deadline, f"{name} has not ended: {self._log(name)}"
            time.sleep(1)  # between looks at the server
        return Ended("Complete" in ended, self._log(name))

    def run_cron_job(self, name: str) -> Ended:
        """Run what a CronJob of the tree starts, now, as `oc create job --from=cronjob/NAME` does."""
        (cron,) = self.rendered("CronJob", name)
        spec = cron["spec"]["jobTemplate"]["spec"]
        metadata = {"name": f"{name}-now", "namespace": self.name}
        return self.run({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})

    def secret(self, name: str) -> tuple[str, dict[str, str]]:
        """A Secret's version in the cluster, and its values by key."""
        found = client.CoreV1Api(self.api).read_namespaced_secret(name, self.name)
        values = {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}
        return found.metadata.resource_version, values

    def add_pipeline_server(self, url: str) -> None:
        """The tree's DataSciencePipelinesApplication, as its operator would have written its status."""
        group, version, plural = DSPA
        (server,) = self.rendered("DataSciencePipelinesApplication", "dspa")
        ready = {
            "type": "APIServerReady",
            "status": "True",
            "reason": "MinimumReplicasAvailable",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        status = {"status": {"components": {"apiServer": {"url": url}}, "conditions": [ready]}}
        objects = client.CustomObjectsApi(self.api)
        objects.create_namespaced_custom_object(group, version, self.name, plural, server)
        objects.patch_namespaced_custom_object_status(group, version, self.name, plural, "dspa", status)

    def _here(self, one: Object) -> Object:
        here: Object = _replaced(copy.deepcopy(one), dict.fromkeys((NAMESPACE, REGISTRY_NAMESPACE), self.name))
        return here

    def _remove(self, batch: Any, name: str) -> None:
        try:
            batch.delete_namespaced_job(name, self.name, propagation_policy="Foreground")
        except client.ApiException as error:
            if error.status != 404:
                raise
            return
        deadline = time.monotonic() + _TIMEOUT_S
        while any(one.metadata.name == name for one in batch.list_namespaced_job(self.name).items):
            assert time.monotonic() < deadline, f"{name} is not gone"
            time.sleep(1)  # between looks at the server

    def _log(self, job: str) -> str:
        """Of the Job's last pod; why there is none yet, when there is none."""
        core = client.CoreV1Api(self.api)
        pods = core.list_namespaced_pod(self.name, label_selector=f"batch.kubernetes.io/job-name={job}").items
        if not pods:
            return "it has no pod"
        last = max(pods, key=lambda one: one.metadata.creation_timestamp)
        try:
            answer = core.read_namespaced_pod_log(last.metadata.name, self.name, _preload_content=False)
        except client.ApiException:
            return str(last.status)
        return str(answer.data, "utf-8")


@contextmanager
def tree_namespace() -> Iterator[TreeNamespace]:
    """A namespace that is deleted at the end."""
    name = f"tree-{uuid.uuid4().hex[:8]}"
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    try:
        yield TreeNamespace(name, api)
    finally:
        core.delete_namespace(name)
        api.close()


def _replaced(value: Any, namespaces: dict[str, str]) -> Any:
    """With other namespaces, wherever one is all of a text, and the environment's step image wherever one is named."""
    if isinstance(value, dict):
        return {key: _replaced(one, namespaces) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, namespaces) for one in value]
    if not isinstance(value, str):
        return value
    for image in STEP_IMAGES:
        value = value.replace(image, os.environ["REAL_STEP_IMAGE"])
    return namespaces.get(value, value)


def _conditions(job: Any) -> set[str]:
    """How a Job has ended; empty while it has not."""
    conditions = job.status.conditions or ()
    return {one.type for one in conditions if one.status == "True"} & {"Complete", "Failed"}
