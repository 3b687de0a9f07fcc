"""What KFP's launcher does with a step of a compiled pipeline: its command, with the inputs written into it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelcar.steps.note import Note, find_note
from modelcar_pipelines.pipeline_file import read_pipeline
from real.container import Container

COMPILED = Path(__file__).parents[2] / "compiled" / "kfp"
_OUTPUTS = "/tmp/outputs"  # noqa: S108 - in the container


@dataclass(frozen=True)
class Step:
    """A component as it is compiled.

    Attributes:
        inputs: Its input definitions.
        outputs: Its output definitions.
        command: With KFP's placeholders.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    command: tuple[str, ...]


@dataclass(frozen=True)
class Launched:
    """A step that has ended.

    Attributes:
        code: Its exit code.
        log: What it printed.
        note: What it left for Kubernetes.
        values: Output parameters.
        artifacts: Output artifacts, as the executor describes them.
    """

    code: int
    log: str
    note: Note | None
    values: Mapping[str, Any]
    artifacts: Mapping[str, Any]


@cache
def compiled_steps() -> Mapping[str, Step]:
    """The steps of all compiled pipelines by the component's name, `resolve-model`."""
    found: dict[str, Step] = {}
    for path in sorted(COMPILED.glob("*.yaml")):
        spec = read_pipeline(path).spec
        for name, component in spec["components"].items():
            if "executorLabel" in component:
                container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
                command = (*container["command"], *container["args"])
                own = re.sub(r"^comp-|-\d+$", "", name)
                step = Step(component.get("inputDefinitions", {}), component.get("outputDefinitions", {}), command)
                # One component has one command, in whatever pipeline it stands.
                assert found.setdefault(own, step).command == command
    return found


def launch(container: Container, name: str, **arguments: object) -> Launched:
    """Run a step to its end, by its name and arguments; what is left out has the component's default."""
    step = compiled_steps()[name]
    directory = container.tmp / "outputs" / name
    given = {**_defaults(step), **arguments}
    text = json.dumps({"inputs": {"parameterValues": given}, "outputs": _places(step, f"{_OUTPUTS}/{name}")})
    done = container.run(*(text if word == "{{$}}" else word for word in step.command))
    told = directory / "executor_output.json"
    output = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
    artifacts = {key: one["artifacts"][0] for key, one in output.get("artifacts", {}).items()}
    return Launched(
        done.returncode,
        done.stdout + done.stderr,
        find_note(container.note),
        output.get("parameterValues", {}),
        artifacts,
    )


def _defaults(step: Step) -> dict[str, Any]:
    parameters = step.inputs.get("parameters", {})
    return {name: one["defaultValue"] for name, one in parameters.items() if "defaultValue" in one}


def _places(step: Step, directory: str) -> dict[str, Any]:
    """Where the step is to write what it gives."""
    artifacts = {
        name: {"artifacts": [{"name": name, "type": one["artifactType"], "uri": f"{directory}/{name}", "metadata": {}}]}
        for name, one in step.outputs.get("artifacts", {}).items()
    }
    values = {name: {"outputFile": f"{directory}/{name}"} for name in step.outputs.get("parameters", {})}
    return {"parameters": values, "artifacts": artifacts, "outputFile": f"{directory}/executor_output.json"}
