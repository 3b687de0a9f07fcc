"""`promote-models`: several models in one run; one that fails does not stop the others."""

# No `from __future__ import annotations`: kfp reads the annotations of a pipeline as types.
from typing import Any

from kfp import dsl

from modelcar_pipelines import tasks
from modelcar_pipelines.wanted import Wanted

AT_ONCE = 2
"""Models that move at once: each push opens several connections of its own."""


def promote_models(
    specs: list[str] = [],  # noqa: B006 - KFP reads the default, nobody changes it
    scheduled: str = "",
) -> None:
    """Promote several models.

    Args:
        specs: Whole PromotionSpecs, each a string of YAML or JSON.
        scheduled: Set by schedules, with the time and zone of their fires. Leave it empty.
    """
    with (
        dsl.ExitHandler(tasks.failure_report()),
        dsl.ParallelFor(items=specs, name="each-model", parallelism=AT_ONCE) as spec,
    ):
        wanted = Wanted(spec, {})
        resolved = tasks.resolve(wanted, scheduled)
        with dsl.If(resolved.outputs["proceed"] == True):  # noqa: E712 - an expression of the DSL
            pushed = tasks.push(wanted, resolved)
            tasks.deliver(wanted, resolved, pushed.outputs["image"], {"push_record": pushed.outputs["record"]})
        with dsl.If(resolved.outputs["proceed"] == False):  # noqa: E712
            tasks.skip(resolved)


def define() -> Any:
    """The pipeline; what kfp's compiler takes."""
    return dsl.pipeline(
        name="promote-models",
        display_name="Promote several models",
        description="Promotes each of several PromotionSpecs; one failure does not stop the rest.",
    )(promote_models)
