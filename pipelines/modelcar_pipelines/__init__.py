"""Pipelines that promote models: compile, upload, run and schedule them on Kubeflow Pipelines.

In a notebook::

    from modelcar_pipelines import connect

    p = connect()
    p.plan("promotion.yaml")
    p.promote("promotion.yaml")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcar_pipelines.notebook import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    """Import what a notebook asks for, and nothing for those who only want a module of the package."""
    if name != "connect":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from modelcar_pipelines.notebook import connect

    return connect
