"""A PipelineRun: a Pipeline's parameters, and what of the pods only a run can say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelcar_pipelines.parameters import check_parameters
from modelcar_pipelines.pipeline_file import PipelineFile
from modelcar_pipelines.tekton.graph import Graph, flatten
from modelcar_pipelines.tekton.pipeline import API_VERSION, WORKSPACE, format_duration, read_platform, read_settings
from modelcar_pipelines.tekton.surroundings import Surroundings, read_surroundings
from modelcar_tekton.values import encode

POD_SECURITY: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def make_run(file: PipelineFile, parameters: Mapping[str, object]) -> dict[str, Any]:
    """A PipelineRun to create.

    Args:
        file: The compiled pipeline.
        parameters: By name; what is left out keeps the pipeline's default.

    Raises:
        InvalidInput: The parameters do not fit the pipeline; one is too long for Tekton; or the pipeline has something
            that is not compiled.
    """
    values = check_parameters(file.spec, parameters)
    graph = flatten(file)
    around = _surroundings(file, graph)
    pull = sorted({name for one in around.values() for name in one.pull_secrets})
    special = [
        {"pipelineTaskName": name, "podTemplate": {"securityContext": POD_SECURITY, **_pull(pull), **one.pod_template}}
        for name, one in around.items()
        if one.pod_template
    ]
    params = [{"name": name, "value": encode(value, f"the parameter {name}")} for name, value in values.items()]
    return {
        "apiVersion": API_VERSION,
        "kind": "PipelineRun",
        "metadata": {"generateName": f"{file.name}-", "labels": {"app.kubernetes.io/part-of": "modelcar-pipelines"}},
        "spec": {
            "pipelineRef": {"name": file.name},
            **({"params": params} if params else {}),
            **_workspaces(file),
            # A Pipeline cannot say this, and Tekton ends a run after an hour where nobody does; 0s is without end.
            "timeouts": {"pipeline": format_duration(_longest(file, graph, around))},
            "taskRunTemplate": {"podTemplate": {"securityContext": POD_SECURITY, **_pull(pull)}},
            **({"taskRunSpecs": special} if special else {}),
        },
    }


def _surroundings(file: PipelineFile, graph: Graph) -> dict[str, Surroundings]:
    configs = read_platform(file).get("deploymentSpec", {}).get("executors", {})
    return {
        task.name: read_surroundings(task.name, configs.get(task.label, {})) for task in (*graph.tasks, *graph.last)
    }


def _longest(file: PipelineFile, graph: Graph, around: Mapping[str, Surroundings]) -> int:
    """Seconds that the run may take: what the pipeline says, or what its tasks do together; 0 when one has no end."""
    if deadline := read_settings(file).get("activeDeadlineSeconds"):
        return int(deadline)
    found = [(task.retries + 1, around[task.name].timeout_s) for task in (*graph.tasks, *graph.last)]
    return sum(attempts * timeout_s for attempts, timeout_s in found if timeout_s) if all(s for _, s in found) else 0


def _pull(names: list[str]) -> dict[str, Any]:
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def _workspaces(file: PipelineFile) -> dict[str, Any]:
    """The volume of a pipeline that has one: made with the run, and gone with it."""
    wanted = read_settings(file).get("workspace")
    if not wanted:
        return {}
    patch = wanted.get("kubernetes", {}).get("pvcSpecPatch", {})
    claim = {"accessModes": ["ReadWriteOnce"], **patch, "resources": {"requests": {"storage": wanted["size"]}}}
    return {"workspaces": [{"name": WORKSPACE, "volumeClaimTemplate": {"spec": claim}}]}
