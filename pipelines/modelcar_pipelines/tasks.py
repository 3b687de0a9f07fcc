"""The tasks that all pipelines are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kfp import dsl

from modelcar_components.build_and_push_modelcar import build_and_push_modelcar
from modelcar_components.download_model import download_model
from modelcar_components.patch_inference_service import patch_inference_service
from modelcar_components.register_model import register_model
from modelcar_components.report_failure import report_failure
from modelcar_components.report_promotion import report_promotion
from modelcar_components.report_skipped import report_skipped
from modelcar_components.resolve_model import resolve_model
from modelcar_pipelines import platform
from modelcar_pipelines.platform import prepare
from modelcar_pipelines.wanted import Wanted

if TYPE_CHECKING:
    from kfp.dsl import PipelineTask

_IMAGE = ("image_repository", "image_tag")
_NAMES = ("registered_model", "version")
_WHERE = ("git_repository", "git_branch", "manifest_path", "inference_service", "namespace")


def resolve(wanted: Wanted, scheduled: Any = "") -> PipelineTask:
    """The first task.

    Args:
        wanted: What to promote.
        scheduled: The schedule that started the run, or an empty string.
    """
    task = resolve_model(
        **wanted.take(("source", "revision", *_IMAGE, *_NAMES, *_WHERE)),
        scheduled=scheduled,
        created_at=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
    )
    return prepare(task, platform.RESOLVE)


def push(wanted: Wanted, resolved: PipelineTask) -> PipelineTask:
    """Build and push straight from the source."""
    task = build_and_push_modelcar(
        **wanted.take(_IMAGE),
        source=resolved.outputs["source"],
        commit_hash=resolved.outputs["commit_hash"],
        serving=resolved.outputs["serving"],
    )
    return prepare(task, platform.PUSH)


def download(wanted: Wanted, resolved: PipelineTask, directory: str) -> PipelineTask:
    """Download the model into a directory of the workspace."""
    task = download_model(
        spec=wanted.spec,
        source=resolved.outputs["source"],
        commit_hash=resolved.outputs["commit_hash"],
        directory=directory,
    )
    return prepare(task, platform.DOWNLOAD)


def push_directory(wanted: Wanted, resolved: PipelineTask, directory: Any) -> PipelineTask:
    """Build and push from a directory of the workspace.

    Args:
        wanted: What to promote.
        resolved: The first task.
        directory: `file:///…`, an output of the task that filled it.
    """
    task = build_and_push_modelcar(**wanted.take(_IMAGE), source=directory, serving=resolved.outputs["serving"])
    return prepare(task, platform.PUSH)


def deliver(
    wanted: Wanted, resolved: PipelineTask, image: Any, records: Mapping[str, Any], recipe_key: Any = ""
) -> None:
    """Register, patch and report an image.

    Args:
        wanted: What to promote.
        resolved: The first task.
        image: `registry/repository@sha256:…`, an output.
        records: What earlier tasks told beside the first, by the report's names.
        recipe_key: Which training the image came of; empty when it was not trained here.
    """
    source = {"source": resolved.outputs["source"], "commit_hash": resolved.outputs["commit_hash"]}
    registered = register_model(
        **wanted.take(_NAMES),
        **source,
        image=image,
        revision=resolved.outputs["revision"],
        recipe_key=recipe_key,
        retrain_record=records.get("retrain_record", ""),
    )
    version = {name: registered.outputs[name] for name in ("registered_model", "version", "model_version_id")}
    patched = patch_inference_service(
        **wanted.take(_WHERE),
        **source,
        **version,
        image=image,
        serving=resolved.outputs["serving"],
        registered_model_id=registered.outputs["registered_model_id"],
    )
    reported = report_promotion(
        **wanted.take(_WHERE),
        **source,
        **version,
        image=image,
        commit=patched.outputs["commit"],
        resolve_record=resolved.outputs["record"],
        register_record=registered.outputs["record"],
        patch_record=patched.outputs["record"],
        **records,
    )
    for task, step in ((registered, platform.REGISTER), (patched, platform.PATCH), (reported, platform.REPORT)):
        prepare(task, step)


def skip(resolved: PipelineTask) -> None:
    """Report that there is nothing to do."""
    prepare(report_skipped(resolve_record=resolved.outputs["record"]), platform.REPORT_SKIPPED)


def failure_report() -> PipelineTask:
    """The task that runs at the end of every run, and says why it failed if it did."""
    return prepare(report_failure(), platform.REPORT_FAILURE)
