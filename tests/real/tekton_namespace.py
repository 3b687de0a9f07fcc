"""A namespace of a cluster with Tekton, and runs in it that are followed to their ends."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from modelcar_pipelines.cluster import Cluster, find_cluster
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.pipeline_file import PipelineFile
from modelcar_pipelines.tekton.manifest import write_manifest
from modelcar_pipelines.tekton.pipeline import make_pipeline
from modelcar_pipelines.tekton.pipeline_run import make_run
from modelcar_pipelines.tekton.runs import TektonOutcome, follow_run, start_run

VARIABLES = ("REAL_TEKTON", "REAL_KUBECONFIG", "REAL_STEP_IMAGE", "REAL_BIN")
COMPILED = Path(__file__).parents[2] / "compiled" / "tekton"
STEP_IMAGE = "quay.io/modelcar-pipelines/modelcar-python"


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Attributes:
        outcome: As `follow_run` told it.
        states: The last that was told of each task, by name.
        tasks: Status of the TaskRuns, by the names of their tasks.
    """

    outcome: TektonOutcome
    states: Mapping[str, State]
    tasks: Mapping[str, Mapping[str, Any]]

    def result(self, task: str, name: str = "Output") -> str:
        """What a task gave."""
        return str(next(one["value"] for one in self.tasks[task]["results"] if one["name"] == name))

    def reason(self, task: str) -> str:
        """Tekton's word for how a task ended."""
        return str(next(one["reason"] for one in self.tasks[task]["conditions"] if one["type"] == "Succeeded"))


@dataclass(frozen=True)
class TektonNamespace:
    """A namespace.

    Attributes:
        name: Unique to the test module, or somebody else's.
        cluster: That it is in.
    """

    name: str
    cluster: Cluster

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects."""
        self._kubectl("apply", "--server-side", "-f", "-", text="---\n".join(write_manifest(one) for one in objects))

    def apply_compiled(self, directory: Path, part: str = ".") -> None:
        """Apply what is committed below compiled/tekton, as an overlay does that names another step image."""
        name, _, tag = os.environ["REAL_STEP_IMAGE"].rpartition(":")
        (directory / "tekton").symlink_to(COMPILED)
        (directory / "kustomization.yaml").write_text(
            f"resources: [tekton/{part}]\nimages: [{{name: {STEP_IMAGE}, newName: {name}, newTag: '{tag}'}}]\n"
        )
        rendered = self._kubectl("kustomize", "--load-restrictor=LoadRestrictionsNone", str(directory))
        self._kubectl("apply", "-f", "-", text=rendered)

    def start(self, run: Mapping[str, Any]) -> str:
        """Start a run as `modelcar pipeline run --tekton` does."""
        return start_run(self.cluster, self.name, run)

    def follow(self, name: str, *, wait: Callable[[float], None] | None = None) -> Ended:
        """Follow a run to its end."""
        told: dict[str, State] = {}

        def tell(event: TaskEvent) -> None:
            told[event.task] = event.state

        more = {"wait": wait} if wait is not None else {}
        outcome = follow_run(self.cluster, self.name, name, tell, **more)
        found = self.list("taskruns", f"tekton.dev/pipelineRun={name}")
        tasks = {one["metadata"]["labels"]["tekton.dev/pipelineTask"]: one.get("status", {}) for one in found}
        return Ended(outcome, told, tasks)

    def run(self, file: PipelineFile, parameters: Mapping[str, object], **how: Any) -> Ended:
        """Apply a pipeline, run it, and follow it to its end."""
        self.apply(make_pipeline(file, {}))
        return self.follow(self.start(make_run(file, parameters)), **how)

    def list(self, plural: str, selector: str = "") -> list[dict[str, Any]]:
        """Objects of Tekton."""
        return self.cluster.list_objects("tekton.dev", "v1", self.name, plural, label_selector=selector) or []

    def log(self, selector: str) -> str:
        """What pods printed."""
        return self._kubectl("logs", "--tail=-1", "--selector", selector)

    def would_create(self, file: Path) -> str:
        """What the cluster, its admission included, says of an object that it is not to keep."""
        return self._kubectl("create", "--dry-run=server", "-f", str(file))

    def _kubectl(self, *words: str, text: str = "") -> str:
        command = [f"{os.environ['REAL_BIN']}/kubectl", "--kubeconfig", os.environ["REAL_KUBECONFIG"]]
        done = subprocess.run([*command, "-n", self.name, *words], input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def open_namespace(name: str) -> TektonNamespace:
    """A namespace that is there."""
    return TektonNamespace(name, find_cluster({"KUBECONFIG": os.environ["REAL_KUBECONFIG"]}))


@contextmanager
def new_namespace() -> Iterator[TektonNamespace]:
    """A namespace that is deleted at the end; its runs may list pods, as OpenShift's ServiceAccount `pipeline` may."""
    name = f"tekton-{uuid.uuid4().hex[:8]}"
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    may_list_pods = {
        "metadata": {"name": "view"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": name}],
    }
    client.RbacAuthorizationV1Api(api).create_namespaced_role_binding(name, may_list_pods)
    try:
        yield open_namespace(name)
    finally:
        core.delete_namespace(name)
