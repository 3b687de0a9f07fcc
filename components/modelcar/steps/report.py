"""The steps that tell people what a run did, or why it failed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelcar.delivery.inference_service import diff
from modelcar.delivery.repository import open_repository
from modelcar.errors import PromotionError
from modelcar.image.layer import title_of
from modelcar.image.manifest import layer_contents
from modelcar.page import (
    FailureReport,
    ImageReport,
    LayerReport,
    MetricReport,
    PatchReport,
    Report,
    SourceReport,
    StepReport,
    VersionReport,
    render_html,
    render_markdown,
)
from modelcar.promotion import target_of
from modelcar.registering import look_up
from modelcar.spec import InferenceServiceSpec, TrainingSpec
from modelcar.steps.ended import EndedStep, find_ended_steps
from modelcar.steps.fields import read_part
from modelcar.steps.note import RESULT, SKIPPED
from modelcar.steps.record import read_record
from modelcar.steps.running import say, step
from modelcar.steps.surroundings import make_access

TITLES = {
    "resolve": "Resolve",
    "download": "Download",
    "retrain": "Retrain",
    "push": "Build and push",
    "register": "Register",
    "patch": "Patch",
}
"""Of the steps that a promotion consists of, by the names of their records."""
_TASKS = {
    "resolve-model": "Resolve",
    "resolve-training": "Resolve",
    "download-model": "Download",
    "retrain-model": "Retrain",
    "check-metrics": "Check metrics",
    "build-and-push-modelcar": "Build and push",
    "register-model": "Register",
    "patch-inference-service": "Patch",
    "report-promotion": "Report",
    "report-skipped": "Report skipped",
    "report-failure": "Report failures",
}
_IMAGE_HINT = "Check the step image's reference and its pull secret; upload takes another image with --image."
_HINTS = {
    "OOMKilled": "It needs more memory than its limit. A training gets more by upload --train-memory.",
    "DeadlineExceeded": "It took longer than its time, which pipelines/modelcar_pipelines/platform.py sets.",
    "ErrImagePull": _IMAGE_HINT,
    "ImagePullBackOff": _IMAGE_HINT,
    "InvalidImageName": _IMAGE_HINT,
    "Evicted": "Its node ran out of something; run it again.",
}
"""What to do about what Kubernetes says of a step, by the first word of that."""
_SUCCESS = ("COMPLETE", "SUCCEEDED")
"""What an exit handler is told of steps that all succeeded (measured: the first; kfp's documentation: the second)."""
_NOTHING_NEW = "Nothing was new: no byte of the model was read or sent, no model version and no commit was made."
"""The commit is the run's; the rest is what the last attempt of each step told, for it knows of none before it."""


@step("Report")
def report_promotion(
    spec: str,
    fields: dict[str, str],
    *,
    image: str,
    source: str,
    commit_hash: str,
    registered_model: str,
    version: str,
    model_version_id: str,
    commit: str,
    records: Mapping[str, str],
    page: str,
    summary: str,
) -> None:
    """Write the report of a promotion that has come to its end; layers and diff are looked up, for they are long.

    Args:
        spec: A PromotionSpec as YAML or JSON, of which `inferenceService` counts; blank when the fields say it.
        fields: Single fields.
        image: `registry/repository@sha256:…`.
        source: Where the model comes from, without revision.
        commit_hash: The source's commit; empty where it has none.
        registered_model: Name in the Model Registry.
        version: Name in the Model Registry.
        model_version_id: In the Model Registry.
        commit: In git; empty when the manifest had the image without a commit of ours.
        records: What the steps told, by the names in `TITLES`; empty for a step that there was not.
        page: File for the HTML.
        summary: File for the Markdown.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    part = read_part(spec, ("inferenceService", "training"), fields)
    where: InferenceServiceSpec = part["inference_service"]
    told = {name: read_record(record) for name, record in records.items()}
    resolved, pushed, registered, patched = (told[name] for name in ("resolve", "push", "register", "patch"))
    reported = _image(image, pushed)
    report = Report(
        title=f"{where.name}: {registered_model} {version}",
        state="SUCCEEDED",
        sentence=_sentence(where, pushed, registered, patched),
        steps=tuple(
            StepReport(TITLES[name], "SUCCEEDED", record.get("seconds")) for name, record in told.items() if record
        ),
        source=SourceReport(source, commit_hash or None, resolved["files"], resolved["size_bytes"], **_hub(os.environ)),
        image=reported,
        version=VersionReport(
            registered_model,
            version,
            {"model_version": model_version_id, "model_artifact": registered["artifact_id"]},
            tuple(registered["created"]),
        ),
        patch=_patch(where, commit, changed=patched["changed"]),
        metrics=_metrics(told["retrain"].get("metrics", {}), part.get("training")),
    )
    write_report(report, Path(page), Path(summary))
    say(f"{RESULT}{report.sentence}")


class Skipped(NamedTuple):
    """What the step that reports a skipped run hands on; the names are those of its component."""

    skipped: str


@step("Report skipped")
def report_skipped(resolve_record: str, *, page: str, summary: str) -> Skipped:
    """Write that there was nothing to do, and why.

    Args:
        resolve_record: What the first step told.
        page: File for the HTML.
        summary: File for the Markdown.

    Returns:
        The same reason.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    resolved = read_record(resolve_record)
    steps = (StepReport(TITLES["resolve"], "SUCCEEDED", resolved.get("seconds")),)
    say(f"{SKIPPED}{resolved['skipped']}")
    write_report(Report("Promotion", "SKIPPED", resolved["skipped"], steps), Path(page), Path(summary))
    return Skipped(resolved["skipped"])


@step("Report failures")
def report_failure(*, state: str, job: str, page: str, summary: str) -> None:
    """Write why a run failed: which step, what it said, and what to do. Nothing failed: write that.

    Args:
        state: How the run's steps ended, as KFP tells its exit handlers.
        job: Name of the run's workflow.
        page: File for the HTML.
        summary: File for the Markdown.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    if state in _SUCCESS:
        report = Report(
            "Promotion", "SUCCEEDED", "No step failed. What was done is in the report of the step before this one."
        )
    else:
        report = describe_failure(*_look_for_steps(job))
    write_report(report, Path(page), Path(summary))
    say(report.sentence)


def describe_failure(steps: list[EndedStep], unknown: PromotionError | None = None) -> Report:
    """The report of a run that failed.

    Args:
        steps: As far as they are known.
        unknown: Why they are not.
    """
    failed = [one for one in steps if one.state == "FAILED"]
    several = len({one.task for one in steps}) < len(steps)
    titles = ", ".join(dict.fromkeys(_title(one, several=several) for one in failed))
    failure = FailureReport("A step", f"{unknown or 'its log says why'}", unknown.hint if unknown is not None else None)
    return Report(
        title="Promotion",
        state="FAILED",
        sentence=f"{titles} failed." if titles else "A step failed; which one is not known here.",
        steps=tuple(
            StepReport(_title(one, several=several), _state(one), one.seconds, _note(one, several=several))
            for one in steps
        ),
        failure=_failure(failed[0], several=several) if failed else failure,
    )


def write_report(report: Report, page: Path, summary: Path) -> None:
    """Write a report in both forms."""
    for path, text in ((page, render_html(report)), (summary, render_markdown(report))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _look_for_steps(job: str) -> tuple[list[EndedStep], PromotionError | None]:
    try:
        return find_ended_steps(job), None
    except PromotionError as error:
        say(f"{error}. {error.hint or ''}".strip())
        return [], error


def _failure(failed: EndedStep, *, several: bool) -> FailureReport:
    hint = _HINTS.get(re.split(r"\W", failed.reason)[0])
    note = failed.note
    if note is not None:
        title = _title(failed, several=several)
        return FailureReport(title, note.message, hint or note.hint, note.exit_code)
    return FailureReport(
        _title(failed, several=several), failed.reason or "it said nothing", hint or "Look at the step's log."
    )


def _title(ended: EndedStep, *, several: bool) -> str:
    """The step's title; of a run with several models, with the model that it failed for."""
    if ended.note is None:
        return _TASKS.get(ended.task, ended.task)
    return f"{ended.note.step} of {ended.note.model}" if several and ended.note.model else ended.note.step


def _note(ended: EndedStep, *, several: bool) -> str:
    """Why it failed; of a run with several models, with what to do, for the report has room for that of one only."""
    if ended.note is None:
        return ended.reason
    return " ".join(filter(None, [ended.note.message, ended.note.hint if several else None]))


def _state(ended: EndedStep) -> Any:
    return ended.state if ended.state in ("SUCCEEDED", "FAILED", "SKIPPED") else "RUNNING"


def _image(image: str, pushed: Mapping[str, Any]) -> ImageReport:
    layers = []
    stored = look_up(image, make_access()).layers
    for layer, reused in zip(stored, pushed.get("reused", "1" * len(stored)), strict=True):
        contents = layer_contents(layer)
        title = "base image" if contents is None else title_of([content.path for content in contents])
        layers.append(LayerReport(title, layer.size_bytes, reused == "1"))
    return ImageReport(
        image,
        layers=tuple(layers),
        bytes_read=pushed.get("bytes_read", 0),
        bytes_uploaded=pushed.get("bytes_uploaded", 0),
        bytes_reused=sum(layer.size_bytes for layer in layers if layer.reused),
    )


def _patch(where: InferenceServiceSpec, commit: str, *, changed: bool) -> PatchReport:
    shown = ""
    if changed:
        with open_repository(target_of(where)) as repository:
            before, after = (repository.read(name).text for name in (f"{commit}^", commit))
            shown = diff(before, after, where.path)
    return PatchReport(where.path, where.branch, where.repository, commit or None, changed, shown)


def _sentence(
    where: InferenceServiceSpec, pushed: Mapping[str, Any], registered: Mapping[str, Any], patched: Mapping[str, Any]
) -> str:
    if not (pushed.get("bytes_read") or pushed.get("bytes_uploaded") or registered["created"] or patched["changed"]):
        return _NOTHING_NEW
    if patched["changed"]:
        return f"{where.path} on {where.branch} names the new image; Argo CD rolls it out."
    return f"{where.path} on {where.branch} named this image already; no commit was made."


def _metrics(measured: Mapping[str, float], training: TrainingSpec | None) -> dict[str, MetricReport]:
    floors = training.floors if training is not None else {}
    return {
        name: MetricReport(
            value, floors[name].bound if name in floors else None, name not in floors or floors[name].holds(value)
        )
        for name, value in measured.items()
    }


def _hub(env: Mapping[str, str]) -> dict[str, str]:
    return {"hub": env["HF_ENDPOINT"]} if env.get("HF_ENDPOINT") else {}
