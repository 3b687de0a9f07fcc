"""A Pipeline of Tekton from a compiled pipeline.

Source: https://tekton.dev/docs/pipelines/pipelines/ and https://tekton.dev/docs/pipelines/tasks/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from modelcar.steps.ended import FAILURE, PIPELINE_RUN
from modelcar_pipelines.parameters import Parameter, pipeline_parameters
from modelcar_pipelines.pipeline_file import PipelineFile
from modelcar_pipelines.tekton.command import NOW, refuse_dollar, write_words
from modelcar_pipelines.tekton.graph import (
    Comparison,
    Constant,
    FinalStatus,
    FromParameter,
    FromResult,
    Graph,
    Source,
    Task,
    flatten,
    refuse,
)
from modelcar_pipelines.tekton.surroundings import Surroundings, read_surroundings
from modelcar_tekton.step import IMAGE_DIGEST, IMAGE_URL, INPUT
from modelcar_tekton.values import encode

API_VERSION: Final = "tekton.dev/v1"
WORKSPACE: Final = "workspace"
"""The workspace of pipelines that have one."""
_WORKSPACE_PATH: Final = "{{$.workspace_path}}"
_KNOWN_LATER: Final = re.compile(r"\{\{\$\.(workspace_path|pipeline_\w+)\}\}")
"""What Kubeflow Pipelines replaces when a run begins."""
_RESULT: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]*(?<![-_.])")
"""Names of results that Tekton takes."""
RUN_PARAMETER: Final = "pipeline-run"
"""The parameter with the run's name; no input of a component can be called that."""
_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the level `restricted` of Kubernetes' pod security asks for; users are the cluster's to choose."""


def make_pipeline(file: PipelineFile, results: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """The Pipeline.

    Args:
        file: The compiled pipeline.
        results: What the run as a whole gives: by name, a task and what that gives.

    Raises:
        InvalidInput: The pipeline has something that is not compiled; names the task, the feature and the way out.
    """
    graph = flatten(file)
    info = file.spec["pipelineInfo"]
    images = [task for task in graph.tasks if _gives_image(task)]
    given = {name: f"$(tasks.{task}.results.{key})" for name, (task, key) in results.items()}
    for task in images:
        # Chains pairs results of which both names begin alike.
        prefix = f"{task.name}-" if len(images) > 1 else ""
        given |= {f"{prefix}{name}": f"$(tasks.{task.name}.results.{name})" for name in (IMAGE_URL, IMAGE_DIGEST)}
    writer = _TaskWriter(file, graph)
    return {
        "apiVersion": API_VERSION,
        "kind": "Pipeline",
        "metadata": {
            "name": info["name"],
            "labels": {
                "app.kubernetes.io/name": info["name"],
                "app.kubernetes.io/part-of": "modelcar-pipelines",
                "app.kubernetes.io/version": version("modelcar-pipelines"),
            },
            "annotations": {
                "tekton.dev/displayName": info.get("displayName", info["name"]),
                "tekton.dev/pipelines.minVersion": "0.53.0",
                "tekton.dev/categories": "Build Tools, Deployment",
                "tekton.dev/platforms": "linux/amd64",
                "tekton.dev/tags": "image-build, machine-learning, modelcar",
            },
        },
        "spec": {
            "displayName": info.get("displayName", info["name"]),
            "description": _describe(info.get("description", ""), graph),
            "params": [_parameter(one) for one in pipeline_parameters(file.spec).values()],
            **_when_there_is(
                "workspaces",
                [_WORKSPACE_DECLARED] if read_settings(file).get("workspace") else [],
            ),
            "results": [{"name": name, "value": value} for name, value in given.items()],
            "tasks": [writer.write(task) for task in graph.tasks],
            **({"finally": [writer.write(task) for task in graph.last]} if graph.last else {}),
        },
    }


_NO_PAUSE: Final = "A task that fails is tried again at once: Tekton knows no pause before that."
_WORKSPACE_DECLARED: Final = {"name": WORKSPACE, "description": "A volume for the run, with room for the model."}


def _describe(description: str, graph: Graph) -> str:
    """What the definition says, and what of it Tekton does not do."""
    lost = _NO_PAUSE if any(task.backs_off for task in (*graph.tasks, *graph.last)) else ""
    return " ".join(filter(None, (description, lost)))


class _TaskWriter:
    """Writes the tasks of one pipeline."""

    def __init__(self, file: PipelineFile, graph: Graph) -> None:
        self._graph = graph
        self._with_volume = _find_volume_users(graph)
        self._configs: Mapping[str, Any] = read_platform(file).get("deploymentSpec", {}).get("executors", {})
        self._executors: Mapping[str, Any] = file.spec["deploymentSpec"]["executors"]

    def write(self, task: Task) -> dict[str, Any]:
        """One task of the Pipeline."""
        around = read_surroundings(task.name, self._configs.get(task.label, {})).with_scratch()
        handed = dict(_handed_on(task))
        after = [name for name in task.after if name not in _implied(task)]
        workspaces = [{"name": WORKSPACE}] if task.name in self._with_volume else []
        return {
            "name": task.name,
            "displayName": task.title,
            **_when_there_is("when", [_when(one) for one in task.when]),
            **_when_there_is("runAfter", after if task not in self._graph.last else []),
            **_when_there_is("retries", task.retries),
            **_when_there_is("timeout", format_duration(around.timeout_s)),
            **_when_there_is("workspaces", workspaces),
            **_when_there_is("params", [{"name": name, "value": text} for name, text in handed.items()]),
            "taskSpec": {
                **_when_there_is("params", [{"name": name, "type": "string"} for name in handed]),
                **_when_there_is("workspaces", workspaces),
                "results": list(_results(task)),
                **_when_there_is("volumes", around.volumes),
                "steps": [self._step(task, around, handed)],
            },
        }

    def _step(self, task: Task, around: Surroundings, handed: Mapping[str, str]) -> dict[str, Any]:
        container = self._executors[task.label].get("container")
        if container is None:
            raise refuse(task.name, "is no container (dsl.importer)")
        if "{{$" in container["image"]:
            raise refuse(
                task.name, "has an image that is known only when it runs", "Write the image into the pipeline."
            )
        inputs = {INPUT + name: f"$(params.{name})" for name in task.inputs if name in handed}
        inputs |= {INPUT + name: _constant(task, name, one.value) for name, one in task.constants() if one.value != NOW}
        if RUN_PARAMETER in handed:
            inputs[PIPELINE_RUN] = f"$(params.{RUN_PARAMETER})"
        own = [{"name": one["name"], "value": refuse_dollar(task, one["value"])} for one in container.get("env", ())]
        for one in (*own, *around.env):
            if one["name"] in inputs or one["name"].startswith(INPUT):
                raise refuse(task.name, f"has a variable {one['name']}", "Call it something else: an input has it.")
        return {
            "name": "run",
            "image": refuse_dollar(task, container["image"]),
            "command": ["python3", "-m", "modelcar_tekton"],
            "args": write_words(task, container),
            **_when_there_is(
                "env", [*({"name": name, "value": text} for name, text in inputs.items()), *own, *around.env]
            ),
            **_when_there_is("computeResources", _resources(container.get("resources", {}))),
            "securityContext": _SECURITY,
            **_when_there_is("volumeMounts", around.mounts),
        }


def read_platform(file: PipelineFile) -> Mapping[str, Any]:
    """What the pipeline says of Kubernetes; empty when it says nothing."""
    platforms = (file.platform or {}).get("platforms") or {}
    return platforms.get("kubernetes") or {}


def read_settings(file: PipelineFile) -> Mapping[str, Any]:
    """What the pipeline says of its runs as a whole: `workspace`, `activeDeadlineSeconds`.

    When runs are deleted (`resourceTtl…`) is for Tekton's pruner to say, for all pipelines alike.

    Raises:
        InvalidInput: It says something else.
    """
    found: Mapping[str, Any] = read_platform(file).get("pipelineConfig", {})
    for name in sorted(found.keys() - {"workspace", "activeDeadlineSeconds"}):
        if not name.startswith("resourceTtl"):
            raise refuse("the pipeline", f"has {name}")
    return found


def _when_there_is(key: str, value: Any) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value} if value else {}


def _parameter(one: Parameter) -> dict[str, Any]:
    description = f"{one.description}{'' if one.type == 'STRING' else ' As JSON.'}".strip()
    if one.optional and one.default is None:
        raise refuse(f"the parameter {one.name}", "may be left out and has no default", "Give it a default.")
    if _KNOWN_LATER.search(str(one.default)):
        raise refuse(f"the parameter {one.name}", f"has the default {one.default}", "Put that into a task's input.")
    default = {"default": encode(one.default, f"the default of {one.name}")} if one.optional else {}
    return {"name": one.name, "type": "string", **_when_there_is("description", description), **default}


def _handed_on(task: Task) -> Iterator[tuple[str, str]]:
    """What Tekton puts in, by the names of the task's parameters."""
    for name, source in task.inputs.items():
        if not isinstance(source, Constant):
            yield name, _variable(source)
        if isinstance(source, FinalStatus):
            yield RUN_PARAMETER, "$(context.pipelineRun.name)"


def _variable(source: Source) -> str:
    match source:
        case FromParameter(name):
            return f"$(params.{name})"
        case FromResult(task, key):
            return f"$(tasks.{task}.results.{key})"
        case FinalStatus():
            return "$(tasks.status)"
        case Constant(value):
            return encode(value, "a value")


def _constant(task: Task, name: str, value: Any) -> str:
    """The text of a value that stands in the pipeline."""
    behind = value.removeprefix(_WORKSPACE_PATH) if isinstance(value, str) else value
    if "{{$" in str(behind):
        raise refuse(task.name, f"takes {value}", "Hand on a parameter of the pipeline instead.")
    text = encode(behind, f"{name} of {task.name}")
    if behind == value:
        return text
    if text != behind:
        raise refuse(task.name, f"takes the path {value}", "Let it have letters, digits, dots and dashes only.")
    return f"$(workspaces.{WORKSPACE}.path){text}"


def _find_volume_users(graph: Graph) -> set[str]:
    """Tasks that need the run's volume: those that are given its path, and those that take something of such a task.

    A path in the volume may be in whatever a task gives. Kubeflow Pipelines finds that out when it runs.
    """
    found = {
        task.name
        for task in (*graph.tasks, *graph.last)
        if any(str(one.value).startswith(_WORKSPACE_PATH) for _, one in task.constants())
    }
    for task in (*graph.tasks, *graph.last):  # each behind those that it takes something of
        if found & {source.task for source in task.inputs.values() if isinstance(source, FromResult)}:
            found.add(task.name)
    return found


def _implied(task: Task) -> set[str]:
    """Tasks that this one waits for because it takes something of theirs."""
    sources = [*task.inputs.values(), *(one.source for one in task.when)]
    return {source.task for source in sources if isinstance(source, FromResult)}


def _when(one: Comparison) -> dict[str, Any]:
    operator = "in" if one.equal else "notin"
    return {"input": _variable(one.source), "operator": operator, "values": [encode(one.constant, "a condition")]}


def _results(task: Task) -> Iterator[dict[str, str]]:
    outputs = task.component.get("outputDefinitions", {})
    for name, one in outputs.get("parameters", {}).items():
        if name in (IMAGE_URL, IMAGE_DIGEST, FAILURE) or not _RESULT.fullmatch(name):
            raise refuse(task.name, f"gives {name}", "Call it something else, with a letter or a digit at its end.")
        yield {"name": name, **_when_there_is("description", one.get("description", ""))}
    if _gives_image(task):
        yield {"name": IMAGE_URL, "description": "The image without its digest, for Tekton Chains."}
        yield {"name": IMAGE_DIGEST, "description": "The image's digest, for Tekton Chains."}
    yield {"name": FAILURE, "description": "Why the task failed."}


def _gives_image(task: Task) -> bool:
    artifacts = task.component.get("outputDefinitions", {}).get("artifacts", {})
    models = [name for name, one in artifacts.items() if one["artifactType"].get("schemaTitle") == "system.Model"]
    if len(models) > 1:
        raise refuse(task.name, f"gives {len(models)} models ({', '.join(models)})", "Give each by a task of its own.")
    return bool(models)


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for kind, suffix in (("requests", "Request"), ("limits", "Limit")):
        for name in ("Cpu", "Memory"):
            if quantity := given.get(f"resource{name}{suffix}"):
                found[kind][name.lower()] = quantity
    accelerator = given.get("accelerator", {})
    if count := accelerator.get("resourceCount"):
        found["limits"][accelerator["resourceType"]] = count
    return {kind: quantities for kind, quantities in found.items() if quantities}


def format_duration(seconds: int | None) -> str:
    """A time as Go writes it; nothing for none."""
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if count) or "0s"
