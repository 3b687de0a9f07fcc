"""What of a compiled pipeline can run without a cluster, and the Python in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelcar.errors import InvalidInput
from modelcar.spec.document import look_up, read_document
from modelcar_pipelines.condition import Condition
from modelcar_pipelines.parameters import pipeline_parameters

ELSEWHERE = "Run it on a cluster: `modelcar pipeline run` without `--local`."

_FUNCTION = "--function_to_execute"


@dataclass(frozen=True)
class PythonComponent:
    """The two things that matter of a lightweight component's command.

    Attributes:
        source: Its Python source.
        function: The function in it that is the component.
    """

    source: str
    function: str


def python_component(name: str, command: Sequence[str]) -> PythonComponent:
    """Find a component's source and function in the command and arguments of its container.

    The command is a shell script that writes the word after it to a file and starts kfp's executor on that. A script
    before it that installs packages is passed over: nothing is installed into the environment that runs `modelcar`,
    and a step that lacks a package says so by its ImportError.

    Args:
        name: The component's, for the error.
        command: The container's command and arguments.

    Raises:
        InvalidInput: It is not a lightweight component.
    """
    words = list(command)
    for position, word in enumerate(words[:-1]):
        if "ephemeral_component.py" in word and "kfp.dsl.executor_main" in word and _FUNCTION in words[:-1]:
            return PythonComponent(words[position + 1], words[words.index(_FUNCTION) + 1])
    raise InvalidInput(f"{name} is no Python function but a container, and those do not run locally", hint=ELSEWHERE)


def check_local(ir: Mapping[str, Any], values: Mapping[str, object]) -> None:
    """Refuse, before anything is started, what would fail in the middle of a local run.

    Args:
        ir: The PipelineSpec, as an object.
        values: The run's parameters; they have passed `check_parameters`.

    Raises:
        InvalidInput: A component that is a container, a training in an image of its own, an artifact as the pipeline's
            input, a condition that cannot be read, or a parameter that would have no value at all.
    """
    for label, executor in ir.get("deploymentSpec", {}).get("executors", {}).items():
        _check_executor(label.removeprefix("exec-"), executor)
    for task in _tasks(ir):
        if text := task.get("triggerPolicy", {}).get("condition"):
            Condition(text)
    for name, artifact in ir["root"].get("inputDefinitions", {}).get("artifacts", {}).items():
        if not artifact.get("isOptional"):
            raise InvalidInput(f"the pipeline takes the artifact {name}, and a local run has none", hint=ELSEWHERE)
    _refuse_training_image(str(values.get("spec") or ""))
    for parameter in pipeline_parameters(ir).values():
        if parameter.name not in values and parameter.default is None:
            raise InvalidInput(
                f"the parameter {parameter.name} has no default value, so a local run needs one",
                hint=f"Give it as {parameter.name}=VALUE.",
            )


def _refuse_training_image(spec: str) -> None:
    image = look_up(read_document(spec)[0], "training.image") if spec else ""
    if image:
        raise InvalidInput(
            f"the training is to run in the image {image}, and a local run has no containers",
            hint=f"Leave training.image out to train with what is installed here. {ELSEWHERE}",
        )


def _check_executor(name: str, executor: Mapping[str, Any]) -> None:
    match executor:
        case {"container": container}:
            python_component(name, [*container.get("command", []), *container.get("args", [])])
        case {"importer": _}:
            pass
        case _:
            raise InvalidInput(f"{name} does not run locally", hint=ELSEWHERE)


def _tasks(ir: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for component in (ir["root"], *ir.get("components", {}).values()):
        yield from component.get("dag", {}).get("tasks", {}).values()
