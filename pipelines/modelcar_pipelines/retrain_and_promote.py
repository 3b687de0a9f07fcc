"""`retrain-and-promote`: train again when base model, data or recipe are new, and promote what is good enough."""

from __future__ import annotations

from typing import Any

from kfp import dsl

from modelcar.retraining import DELIVER, SKIP, TRAIN
from modelcar_components.check_metrics import check_metrics
from modelcar_components.resolve_training import resolve_training
from modelcar_components.retrain_model import retrain_model
from modelcar_components.step import IMAGE
from modelcar_pipelines import platform, tasks
from modelcar_pipelines.platform import prepare
from modelcar_pipelines.sizes import TrainingSize
from modelcar_pipelines.wanted import Wanted, takes_promotion

_DIRECTORY = f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/training"


def define(training: TrainingSize) -> Any:
    """The pipeline; what kfp's compiler takes.

    Args:
        training: What the step that trains gets; an empty one is the default.
    """
    retrain = platform.sized(training)

    @dsl.pipeline(
        name="retrain-and-promote",
        display_name="Retrain and promote a model",
        description="Trains when base model, data or recipe are new, checks the metrics, and promotes what came of it.",
        pipeline_config=platform.WITH_WORKSPACE,
    )
    @takes_promotion
    def retrain_and_promote(wanted: Wanted, scheduled: Any) -> None:
        """Train a model when something is new, and promote it when its metrics hold the floors of the spec."""
        with dsl.ExitHandler(tasks.failure_report()):
            resolved = prepare(
                resolve_training(
                    spec=wanted.spec,
                    **wanted.fields,
                    step_image=IMAGE,
                    scheduled=scheduled,
                    created_at=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
                ),
                platform.RESOLVE,
            )
            recipe_key = resolved.outputs["recipe_key"]
            with dsl.If(resolved.outputs["action"] == TRAIN):
                retrained = retrain_model(
                    spec=wanted.spec,
                    source=resolved.outputs["source"],
                    commit_hash=resolved.outputs["commit_hash"],
                    data_commit=resolved.outputs["data_commit"],
                    recipe_key=recipe_key,
                    directory=_DIRECTORY,
                )
                retrained.set_container_image(resolved.outputs["trainer_image"])
                prepare(retrained, retrain)
                checked = check_metrics(spec=wanted.spec, metrics=retrained.outputs["metrics"])
                # A champion to compare with comes in here: the same step, given what serves.
                pushed = tasks.push_directory(wanted, resolved, retrained.outputs["directory"])
                pushed.after(prepare(checked, platform.CHECK))
                records = {"retrain_record": retrained.outputs["record"], "push_record": pushed.outputs["record"]}
                tasks.deliver(wanted, resolved, pushed.outputs["image"], records, recipe_key)
            with dsl.If(resolved.outputs["action"] == DELIVER):
                tasks.deliver(wanted, resolved, resolved.outputs["image"], {}, recipe_key)
            with dsl.If(resolved.outputs["action"] == SKIP):
                tasks.skip(resolved)

    return retrain_and_promote
