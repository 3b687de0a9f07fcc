"""A component's function, and what goes in and comes out of it, as Kubeflow Pipelines reads that from its source."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from modelcar.errors import InvalidInput

FINAL_STATUS = "TASK_FINAL_STATUS"
"""The type of a parameter that says how the tasks before ended."""


@dataclass(frozen=True)
class Contract:
    """A component as a step runs it.

    Attributes:
        function: The component's own, without what makes it a part of a pipeline.
        parameters: Types of its input parameters by name, such as STRING.
        required: Names of those that have no default.
        outputs: Types of its output parameters by name.
        artifacts: Schema titles of its output artifacts by name, such as system.HTML.
    """

    function: Callable[..., Any]
    parameters: Mapping[str, str]
    required: frozenset[str]
    outputs: Mapping[str, str]
    artifacts: Mapping[str, str]


def load_component(name: str) -> Contract:
    """A component that is installed.

    Args:
        name: Of its module, which is that of its function, too: `modelcar_components.resolve_model`.

    Raises:
        InvalidInput: There is none of that name.
    """
    try:
        component = getattr(importlib.import_module(name), name.rpartition(".")[2])
        return read_contract(component.python_func)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(
            f"this image has no component {name}: {error}", hint="Run the image that the pipeline was compiled for."
        ) from error


def load_source(source: str, function: str, directory: Path) -> Contract:
    """A component whose source was handed on.

    Args:
        source: Python that defines it.
        function: Its name there.
        directory: Where the source is written to.
    """
    path = directory / "ephemeral_component.py"
    path.write_text(source, encoding="utf-8")
    return read_contract(getattr(_import_file(path), function))


def read_contract(function: Callable[..., Any]) -> Contract:
    """What a function takes and gives, by its annotations."""
    from kfp.dsl.component_factory import extract_component_interface
    from kfp.dsl.types.type_utils import get_parameter_type_name, is_parameter_type, is_task_final_status_type

    found = extract_component_interface(function)
    inputs, outputs = found.inputs or {}, found.outputs or {}
    return Contract(
        function,
        {
            name: FINAL_STATUS if is_task_final_status_type(one.type) else get_parameter_type_name(one.type)
            for name, one in inputs.items()
            if is_parameter_type(one.type)
        },
        frozenset(name for name, one in inputs.items() if is_parameter_type(one.type) and not one.optional),
        {name: get_parameter_type_name(one.type) for name, one in outputs.items() if is_parameter_type(one.type)},
        {name: one.type.partition("@")[0] for name, one in outputs.items() if not is_parameter_type(one.type)},
    )


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{path} is no Python", hint="Compile the pipeline again.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # as an import would; annotations are looked up there
    spec.loader.exec_module(module)
    return module
