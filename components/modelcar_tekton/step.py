"""One run of a component: its inputs from the environment, its outputs to Tekton's results.

The component is run by Kubeflow Pipelines' own executor, in this process, as its launcher would have it run; only what
is around it is Tekton's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from modelcar.errors import InvalidInput, PromotionError
from modelcar.reference import ImageReference
from modelcar.steps.ended import PIPELINE_RUN
from modelcar.steps.note import VARIABLE, find_note
from modelcar_tekton.contract import FINAL_STATUS, Contract
from modelcar_tekton.results import DIRECTORY, write_failure, write_results
from modelcar_tekton.values import decode, encode

INPUT: Final = "input_"
"""How the variables begin that hold inputs; what follows is the input's name.

In small letters, because Kubernetes sets variables in capitals for each Service of the namespace, whatever its name.
"""
STATES: Final = {"Succeeded": "SUCCEEDED", "Completed": "SUCCEEDED", "Failed": "FAILED", "None": "RUNNING"}
"""How the tasks before ended, in Tekton's words and in those of Kubeflow Pipelines.

Source: https://tekton.dev/docs/pipelines/pipelines/#using-aggregate-execution-status
"""
IMAGE_URL, IMAGE_DIGEST = "IMAGE_URL", "IMAGE_DIGEST"
"""Results by which Tekton Chains knows an image that it is to sign.

Source: https://tekton.dev/docs/chains/slsa-provenance/#type-hinting
"""
_MODEL, _MARKDOWN = "system.Model", "system.Markdown"


def run_step(
    contract: Contract,
    timed: Sequence[str] = (),
    env: MutableMapping[str, str] = os.environ,
    directory: Path = DIRECTORY,
) -> None:
    """Run a component.

    Args:
        contract: The component.
        timed: Names of inputs that are the time when the step begins, UTC.
        env: Holds its inputs, which are taken out.
        directory: Where Tekton looks for results. A step that fails leaves its note there.

    Raises:
        InvalidInput: The component has no such input, or lacks one that it needs; an input is no value of its type; or
            the outputs have no room.
        PromotionError: The component did not give an output that it has.
        SystemExit: As the component raises it.
    """
    with tempfile.TemporaryDirectory(prefix="modelcar-step-") as name:
        scratch = Path(name)
        env[VARIABLE] = str(scratch / "note")
        try:
            outputs = _execute(contract, _take_inputs(contract, env, dict.fromkeys(timed, _now())), scratch)
        except SystemExit:
            _hand_on_note(scratch / "note", directory)
            raise
        values = _gather_outputs(contract, outputs.get("parameterValues", {}), scratch)
        texts = {name: encode(value, f"the output {name}") for name, value in values.items()}
        write_results(texts | _image_results(contract, outputs.get("artifacts", {})), directory)
        for name, schema in contract.artifacts.items():
            if schema == _MARKDOWN:
                _print(scratch / name)


def _take_inputs(contract: Contract, env: MutableMapping[str, str], timed: Mapping[str, str]) -> dict[str, Any]:
    texts = {name.removeprefix(INPUT): env.pop(name) for name in list(env) if name.startswith(INPUT)}
    run = env.get(PIPELINE_RUN, "")
    given = texts.keys() | timed.keys()
    for wrong, names in (("has no", given - contract.parameters.keys()), ("needs the", contract.required - given)):
        for name in sorted(names):
            raise InvalidInput(
                f"the component {wrong} input {name}", hint="Run the step image that the pipeline was compiled for."
            )
    return {name: _read(contract.parameters[name], text, name, run) for name, text in texts.items()} | dict(timed)


def _read(kind: str, text: str, name: str, run: str) -> Any:
    if kind == FINAL_STATUS:
        state = STATES.get(text, text)
        return {"state": state, "pipelineJobResourceName": run, "pipelineTaskName": "", "error": {}}
    return decode(text, kind, f"the input {name}")


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _hand_on_note(file: Path, directory: Path) -> None:
    note = find_note(file.read_text(encoding="utf-8")) if file.exists() else None
    if note is not None:
        write_failure(note, directory)


def _execute(contract: Contract, parameters: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """What the component gave, in the words of Kubeflow Pipelines' ExecutorOutput."""
    from kfp.dsl.executor import Executor

    artifacts = {
        name: {
            "artifacts": [{"name": name, "uri": str(scratch / name), "metadata": {}, "type": {"schemaTitle": schema}}]
        }
        for name, schema in contract.artifacts.items()
    }
    order = {
        "inputs": {"parameterValues": dict(parameters)},
        "outputs": {
            "parameters": {name: {"outputFile": str(_output_file(name, scratch))} for name in contract.outputs},
            "artifacts": artifacts,
            "outputFile": str(scratch / "executor_output.json"),
        },
    }
    written = Executor(executor_input=order, function_to_execute=contract.function).execute()
    outputs: dict[str, Any] = json.loads(Path(written).read_text(encoding="utf-8")) if written else {}
    return outputs


def _output_file(name: str, scratch: Path) -> Path:
    return scratch / "parameters" / name


def _gather_outputs(contract: Contract, values: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Values of all outputs; those that the component did not return, it has written to files (`OutputPath`)."""
    found = dict(values)
    for name, kind in contract.outputs.items():
        file = _output_file(name, scratch)
        if name not in found and file.is_file():
            text = file.read_text(encoding="utf-8")
            found[name] = text if kind == "STRING" else decode(text, kind, f"the output {name}")
        if name not in found:
            raise PromotionError(f"the component gave no {name}", hint="Let its function return a value for it.")
    return found


def _image_results(contract: Contract, artifacts: Mapping[str, Any]) -> dict[str, str]:
    """What Chains needs, of the one output artifact that is a model in an image."""
    models = [name for name, schema in contract.artifacts.items() if schema == _MODEL]
    for name in models:
        for one in artifacts.get(name, {}).get("artifacts", ()):
            uri = str(one.get("uri", ""))
            if uri.startswith("oci://") and "@" in uri:
                image = ImageReference.parse(uri.removeprefix("oci://"))
                return {IMAGE_URL: f"{image.registry}/{image.repository}", IMAGE_DIGEST: str(image.digest)}
    return {}


def _print(page: Path) -> None:
    """A page of text at the end of the log, where users of Tekton look."""
    if page.exists():
        print(f"\n{page.read_text(encoding='utf-8')}", flush=True)
