"""`promote-model-workspace`: the same by way of a volume, for models that steps need as files."""

from __future__ import annotations

from typing import Any

from kfp import dsl

from modelcar_pipelines import platform, tasks
from modelcar_pipelines.wanted import Wanted, takes_promotion


@takes_promotion
def promote_model_workspace(wanted: Wanted, scheduled: Any) -> None:
    """Download one model to the run's volume, and promote it from there."""
    with dsl.ExitHandler(tasks.failure_report()):
        resolved = tasks.resolve(wanted, scheduled)
        with dsl.If(resolved.outputs["proceed"] == True):  # noqa: E712 - an expression of the DSL
            downloaded = tasks.download(wanted, resolved, f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/model")
            pushed = tasks.push_directory(wanted, resolved, downloaded.outputs["directory"])
            records = {"download_record": downloaded.outputs["record"], "push_record": pushed.outputs["record"]}
            tasks.deliver(wanted, resolved, pushed.outputs["image"], records)
        with dsl.If(resolved.outputs["proceed"] == False):  # noqa: E712
            tasks.skip(resolved)


def define() -> Any:
    """The pipeline; what kfp's compiler takes."""
    return dsl.pipeline(
        name="promote-model-workspace",
        display_name="Promote a model by way of a volume",
        description="As promote-model, but the model is downloaded to a volume first, where further steps can read it.",
        pipeline_config=platform.WITH_WORKSPACE,
    )(promote_model_workspace)
