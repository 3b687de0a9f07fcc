"""What the step of a task runs: a component that the step image has, or one that the pipeline brings along."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Final

from modelcar.errors import InvalidInput
from modelcar_pipelines.local_components import python_component
from modelcar_pipelines.tekton.graph import Task, refuse

NOW: Final = "{{$.pipeline_job_create_time_utc}}"
"""Tekton does not tell a step when its run was made; the step takes the time when it begins, which is near."""
_INSTALLS: Final = re.compile(r"-m pip install ([^\n]*?) &&")
"""In the script that Kubeflow Pipelines puts before a component."""
_THERE: Final = ("kfp==", "typing-extensions", "--")
"""Beginnings of what that asks for and every step image has, and of options."""


def write_words(task: Task, container: Mapping[str, Any]) -> list[str]:
    """What the step runs: a component of the image by its name, another one by its source."""
    words = [word for name, one in task.constants() if one.value == NOW for word in ("--now", name)]
    command = [*container.get("command", []), *container.get("args", [])]
    asked = [one for word in command for call in _INSTALLS.findall(word) for one in re.findall(r"'([^']+)'", call)]
    if missing := [one for one in asked if not one.startswith(_THERE)]:
        raise refuse(task.name, f"installs {missing[0]} (packages_to_install)", "Put it into its image.")
    try:
        component = python_component(task.name, command)
    except InvalidInput as error:
        raise refuse(task.name, "is no Python function but a container", "Make it a Python component.") from error
    installed = f"modelcar_components.{component.function}"
    if _is_source_of(installed, component.source):
        return [*words, installed]
    return [*words, "--source", refuse_dollar(task, component.source), component.function]


def _is_source_of(module: str, source: str) -> bool:
    """Whether a component that the step image has is the one that the pipeline brings along."""
    from kfp.dsl.component_factory import _get_function_source_definition

    try:
        function = getattr(importlib.import_module(module), module.rpartition(".")[2]).python_func
    except (ImportError, AttributeError):
        return False
    return source.strip().endswith(str(_get_function_source_definition(function)).strip())


def refuse_dollar(task: Task, text: str) -> str:
    """The text of a task's source or variable, which Tekton or the kubelet would change if it had a `$`.

    Raises:
        InvalidInput: It has one.
    """
    if "$" in text:
        raise refuse(
            task.name,
            "has a $ in its source, its image or its variables",
            "Tekton would replace it; write \\x24, or chr(36).",
        )
    return text
