"""A compiled pipeline's file: the PipelineSpec, and what is for Kubernetes alone beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput


@dataclass(frozen=True)
class PipelineFile:
    """What the one or two YAML documents of a compiled pipeline hold.

    Attributes:
        spec: The PipelineSpec, as an object.
        platform: The second document (secrets, volumes, tolerations …), or None.
    """

    spec: dict[str, Any]
    platform: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])


_WAY_OUT = "Write it anew with `modelcar pipeline compile`."


def read_pipeline(path: Path) -> PipelineFile:
    """Read a compiled pipeline.

    Raises:
        InvalidInput: There is no such file, it is not YAML, or it is not a compiled pipeline.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot read the pipeline {path}: {error.strerror}", hint=_WAY_OUT) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not YAML", hint=_WAY_OUT) from error
    return parse_pipeline(text, str(path))


def parse_pipeline(text: str, name: str) -> PipelineFile:
    """Read the text of a compiled pipeline.

    Args:
        text: One or two YAML documents.
        name: What errors call it.

    Raises:
        InvalidInput: It is not YAML, or not a compiled pipeline.
    """
    # kfp wrote the text with this library, and needs it itself; it is several times as fast as ruamel.yaml.
    import yaml  # type: ignore[import-untyped]

    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{name} is not YAML", hint=_WAY_OUT) from error
    match documents:
        case [{"pipelineInfo": {"name": str()}, "root": {}} as spec]:
            return PipelineFile(spec, None)
        case [{"pipelineInfo": {"name": str()}, "root": {}} as spec, {"platforms": {}} as platform]:
            return PipelineFile(spec, platform)
        case _:
            raise InvalidInput(f"{name} is not a compiled pipeline", hint=_WAY_OUT)
