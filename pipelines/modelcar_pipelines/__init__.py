"""Pipelines that promote models: compile, upload, run and schedule them on Kubeflow Pipelines.

In a notebook::

    from modelcar_pipelines import connect

    p = connect()
    p.plan("promotion.yaml")
    p.promote("promotion.yaml")

`compile_pipelines` gives the pipelines themselves, as texts that Kubeflow Pipelines takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcar_pipelines.catalog import compile_pipelines
    from modelcar_pipelines.notebook import connect

__all__ = ["compile_pipelines", "connect"]

_PLACES = {"compile_pipelines": "catalog", "connect": "notebook"}


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for, and nothing for those who only want a module of the package."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
