"""Values on their way through a local run: the pipeline's constants, inputs that are missing, outputs as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\[(['\"])(.+?)\1\]\}\}")


@dataclass(frozen=True)
class RunNames:
    """What placeholders and the final status call the run.

    Attributes:
        run_id: The run's UUID.
        name: What people call it.
        resource: What a cluster's object would be called.
        created_at: RFC 3339.
        workspace: Where the run's workspace is.
    """

    run_id: str
    name: str
    resource: str
    created_at: str
    workspace: Path


def fill_constant(value: Any, run: RunNames, task: str, inputs: Mapping[str, Any]) -> Any:
    """A constant of the pipeline with its placeholders filled in, where a server does so, too.

    It replaces what names the run only where that is the whole value, and the workspace anywhere.

    Args:
        value: The constant.
        run: What the run is called.
        task: The task's name.
        inputs: The task's inputs, which a constant may name; empty for nested pipelines, where a server does not look.
    """
    whole = {
        "{{$.pipeline_job_name}}": run.name,
        "{{$.pipeline_job_resource_name}}": run.resource,
        "{{$.pipeline_job_uuid}}": run.run_id,
        "{{$.pipeline_job_create_time_utc}}": run.created_at,
        "{{$.pipeline_job_schedule_time_utc}}": run.created_at,
        "{{$.pipeline_task_name}}": task,
    }
    if isinstance(value, str):
        value = whole.get(value, value.replace("{{$.workspace_path}}", str(run.workspace)))
    return fill_inputs(value, inputs)


def fill_inputs(value: Any, inputs: Mapping[str, Any]) -> Any:
    """A constant with the values of inputs where it names them; the values themselves are not looked through."""
    if isinstance(value, list):
        return [fill_inputs(item, inputs) for item in value]
    if isinstance(value, dict):
        return {key: fill_inputs(item, inputs) for key, item in value.items()}
    if not isinstance(value, str):
        return value

    def text(match: re.Match[str]) -> str:
        if match[2] not in inputs:
            return match[0]
        found = inputs[match[2]]
        return found if isinstance(found, str) else to_json(found)

    return _INPUT.sub(text, value)


def without_missing_inputs(spec: Any, io_store: Any) -> Any:
    """The task without inputs from tasks that gave nothing; it runs all the same and takes its own defaults.

    Only for a task that is to run whatever became of those before it (`ignore_upstream_failure`).
    """
    policy = type(spec.trigger_policy)
    if spec.trigger_policy.strategy != policy.TriggerStrategy.Value("ALL_UPSTREAM_TASKS_COMPLETED"):
        return spec
    kept = type(spec)()
    kept.CopyFrom(spec)
    for name, given in spec.inputs.parameters.items():
        source = given.task_output_parameter
        if source.producer_task and not _there(io_store, source.producer_task, source.output_parameter_key):
            del kept.inputs.parameters[name]
    for name, given in spec.inputs.artifacts.items():
        output = given.task_output_artifact
        if output.producer_task and not _there(io_store, output.producer_task, output.output_artifact_key):
            del kept.inputs.artifacts[name]
    return kept


def _there(io_store: Any, task: str, key: str) -> bool:
    try:
        io_store.get_task_output(task, key)
    except ValueError:
        return False
    return True


def describe(value: Any) -> Any:
    """An output as JSON: a parameter's value, or what an artifact is and where."""
    if isinstance(value, list):
        return [describe(item) for item in value]
    if not hasattr(value, "schema_title"):
        return value
    return {"type": value.schema_title, "uri": value.uri, "path": value.path, "metadata": value.metadata}


def to_json(value: object) -> str:
    """JSON as a server would write it: sorted, and whole numbers as integers, for protobuf has one kind of number."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
