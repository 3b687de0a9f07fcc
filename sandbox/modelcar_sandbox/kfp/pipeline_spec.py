"""A compiled pipeline as the server keeps it, and whether given parameters fit it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from modelcar_sandbox.kfp.refusal import invalid

SCHEMA_VERSION: Final = "2.1.0"
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

_KINDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "NUMBER_DOUBLE": ((int, float), "double or integer"),
    "NUMBER_INTEGER": ((int, float), "double or integer"),
    "STRING": (str, "string"),
    "BOOLEAN": (bool, "bool"),
    "LIST": (list, "list"),
    "STRUCT": (dict, "struct"),
}


def can_be_pipeline(file_name: str) -> bool:
    """Whether a file of this name may be uploaded."""
    return PurePath(file_name).suffix in SUFFIXES


def read_spec(content: bytes) -> dict[str, Any]:
    """Read an uploaded file.

    Args:
        content: One or two YAML documents.

    Returns:
        The PipelineSpec, or, when there is a platform spec too, both as `{"pipeline_spec", "platform_spec"}`.

    Raises:
        Refusal: 400, it is no compiled pipeline.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        documents = list(yaml.load_all(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, ValueError) as error:
        raise invalid(f"unknown template format: unable to decode yaml document: {error}") from error
    specs = [one for one in documents if _is_spec(one)]
    platforms = [one for one in documents if isinstance(one, dict) and "platforms" in one]
    if len(specs) != 1 or len(platforms) > 1:
        raise invalid("unknown template format: pipeline spec is invalid")
    return check_spec({"pipeline_spec": specs[0], "platform_spec": platforms[0]} if platforms else specs[0])


def check_spec(spec: object) -> dict[str, Any]:
    """Let a PipelineSpec through, alone or with its platform spec.

    Raises:
        Refusal: 400, it is none.
    """
    if not isinstance(spec, dict) or not _is_spec(inner_spec(spec)):
        raise invalid("unknown template format: pipeline spec is invalid")
    if inner_spec(spec).get("schemaVersion") != SCHEMA_VERSION:
        raise invalid(f"KFP only supports schema version {SCHEMA_VERSION}")
    return spec


def inner_spec(spec: Mapping[str, Any]) -> Any:
    """The PipelineSpec itself, of what `read_spec` gave."""
    return spec.get("pipeline_spec", spec)


def spec_documents(spec: Mapping[str, Any]) -> list[Any]:
    """What a file of it holds, a YAML document each."""
    return [inner_spec(spec), *([spec["platform_spec"]] if "platform_spec" in spec else [])]


def pipeline_name(spec: Mapping[str, Any]) -> str:
    """The name that the pipeline was compiled with."""
    return str(inner_spec(spec)["pipelineInfo"]["name"])


def check_parameters(spec: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Hold a run's parameters against what the pipeline takes.

    Raises:
        Refusal: 400 for one that is missing, unknown or of another type.
    """
    known = inner_spec(spec)["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in known.items():
        if name in given:
            _check_type(name, parameter.get("parameterType", ""), given[name])
        elif not parameter.get("isOptional") and "defaultValue" not in parameter:
            raise invalid(
                f"parameter {name} is not optional, yet has neither default value nor user provided value",
            )
    extra = ", ".join(name for name in given if name not in known)
    if extra:
        raise invalid(f"parameter(s) provided are not required by pipeline: {extra}")


def _check_type(name: str, parameter_type: str, value: object) -> None:
    kind, words = _KINDS.get(parameter_type, ((), "unknown"))
    # bool is an int to Python, not to the server.
    if not isinstance(value, kind) or isinstance(value, bool) != (parameter_type == "BOOLEAN"):
        raise invalid(
            f"input parameter {name} requires type {words}, but the parameter value is not of {words} value type"
        )


def _is_spec(document: object) -> bool:
    match document:
        case {"pipelineInfo": {"name": str(name)}, "root": dict()}:
            return bool(name)
        case _:
            return False
