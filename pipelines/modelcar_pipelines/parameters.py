"""A pipeline's parameters: what it takes, and whether given values fit, before anything is started or sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from modelcar.errors import InvalidInput

WORDS = {
    "STRING": "a string",
    "NUMBER_INTEGER": "an integer",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list",
    "STRUCT": "an object",
}
"""Parameter types of a PipelineSpec, and how they are called here.

Source: `ParameterType` in https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto
"""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a pipeline.

    Attributes:
        name: As the pipeline has it.
        type: One of `WORDS`.
        optional: Whether it may be left out.
        default: Its value when it is left out; None also when there is none.
        description: What people read about it; empty when the pipeline says nothing.
    """

    name: str
    type: str
    optional: bool
    default: object
    description: str


def pipeline_parameters(ir: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of a compiled pipeline (a PipelineSpec as an object), in its order."""
    inputs = ir.get("root", {}).get("inputDefinitions", {})
    return {
        name: Parameter(
            name=name,
            type=spec.get("parameterType", "STRING"),
            optional=bool(spec.get("isOptional")) or "defaultValue" in spec,
            default=spec.get("defaultValue"),
            description=spec.get("description", ""),
        )
        for name, spec in inputs.get("parameters", {}).items()
    }


def check_parameters(ir: Mapping[str, Any], values: Mapping[str, object]) -> dict[str, object]:
    """Hold values against what a compiled pipeline takes.

    Args:
        ir: A PipelineSpec as an object, as its YAML is read.
        values: By name; a value that is left out keeps the pipeline's default.

    Returns:
        `values`, as plain JSON values.

    Raises:
        InvalidInput: A name that the pipeline lacks, a value of another type, or a parameter without default that is
            left out.
    """
    known = pipeline_parameters(ir)
    takes = f"The pipeline takes {', '.join(known) or 'no parameters'}."
    name = ir.get("pipelineInfo", {}).get("name", "the pipeline")
    for given in values:
        if given not in known:
            raise InvalidInput(f"{name} has no parameter {given}", hint=takes)
    for parameter in known.values():
        if not parameter.optional and parameter.name not in values:
            raise InvalidInput(
                f"{name} needs the parameter {parameter.name}, {WORDS[parameter.type]}",
                hint=f"Give it as {parameter.name}=VALUE. {takes}",
            )
    return {given: _fit(known[given], value) for given, value in values.items()}


def parse_parameter(parameter: Parameter, text: str) -> object:
    """The value of `name=text` on the command line.

    Strings are taken as they are; numbers, true and false, lists and objects are read as JSON.

    Raises:
        InvalidInput: The text is not of the parameter's type.
    """
    if parameter.type == "STRING":
        return text
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        raise _unfit(parameter, text) from None
    return _fit(parameter, value)


def _fit(parameter: Parameter, value: object) -> object:
    """The value as the server would keep it: an integer where it is a whole number, a list where it is a tuple."""
    if isinstance(value, tuple):
        value = list(value)
    kinds: dict[str, type | tuple[type, ...]] = {
        "STRING": str,
        "NUMBER_INTEGER": (int, float),
        "NUMBER_DOUBLE": (int, float),
        "BOOLEAN": bool,
        "LIST": list,
        "STRUCT": dict,
    }
    # bool is an int to Python, not to a server.
    if not isinstance(value, kinds[parameter.type]) or isinstance(value, bool) != (parameter.type == "BOOLEAN"):
        raise _unfit(parameter, value)
    if parameter.type == "NUMBER_INTEGER":
        if isinstance(value, float) and not value.is_integer():
            raise _unfit(parameter, value)
        return int(cast(float, value))
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise _unfit(parameter, value) from None


def _unfit(parameter: Parameter, value: object) -> InvalidInput:
    shown = value if isinstance(value, str) else json.dumps(value, default=repr)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return InvalidInput(
        f"the parameter {parameter.name} takes {WORDS[parameter.type]}, not {shown!r}"
        if isinstance(value, str)
        else f"the parameter {parameter.name} takes {WORDS[parameter.type]}, not {shown}",
        hint={
            "LIST": 'A list is written as JSON: ["a", "b"].',
            "STRUCT": 'An object is written as JSON: {"a": 1}.',
        }.get(parameter.type),
    )


def _refuse_constant(text: str) -> object:
    raise ValueError(text)  # NaN and infinities are not JSON, and no server keeps them
