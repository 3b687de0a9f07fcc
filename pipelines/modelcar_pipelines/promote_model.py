"""`promote-model`: one model, from its source to a commit in git, streamed; no volume is needed."""

from __future__ import annotations

from typing import Any

from kfp import dsl

from modelcar_pipelines import tasks
from modelcar_pipelines.wanted import Wanted, takes_promotion


@takes_promotion
def promote_model(wanted: Wanted, scheduled: Any) -> None:
    """Promote one model; run again, it does only what is missing."""
    with dsl.ExitHandler(tasks.failure_report()):
        resolved = tasks.resolve(wanted, scheduled)
        with dsl.If(resolved.outputs["proceed"] == True):  # noqa: E712 - an expression of the DSL
            pushed = tasks.push(wanted, resolved)
            tasks.deliver(wanted, resolved, pushed.outputs["image"], {"push_record": pushed.outputs["record"]})
        with dsl.If(resolved.outputs["proceed"] == False):  # noqa: E712
            tasks.skip(resolved)


def define() -> Any:
    """The pipeline; what kfp's compiler takes."""
    return dsl.pipeline(
        name="promote-model",
        display_name="Promote a model",
        description="From a Hub to a ModelCar image, the Model Registry, and the commit that Argo CD rolls out.",
    )(promote_model)
