"""The steps of a retraining: whether anything is new, the training itself, and whether its metrics are good enough."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from modelcar.build import fetch_siblings, open_destination
from modelcar.display import LineProgress
from modelcar.errors import Held
from modelcar.metrics import decide, read_metrics
from modelcar.promotion import describe_hold
from modelcar.recipe import Recipe
from modelcar.retraining import SKIP, TRAIN, data_source, look, model_source, plan_retraining, require_training
from modelcar.schedule import find_wrong_hour
from modelcar.snapshot import ModelSnapshot, Source
from modelcar.spec import ModelSpec, TrainingSpec
from modelcar.steps.fields import read_part, read_whole
from modelcar.steps.note import SKIPPED
from modelcar.steps.record import write_record, write_skip
from modelcar.steps.running import LONGEST_OUTPUT_BYTES, say, step
from modelcar.steps.surroundings import make_access
from modelcar.training import METRICS, Job, train
from modelcar.workspace.download import download

_ANY = ("*",)
"""Data may hold pickles: a trainer reads them, and no server."""
_ROOM = LONGEST_OUTPUT_BYTES - 100
"""For data and metrics in the record."""
_LONGEST_DATA = 200


class ResolvedTraining(NamedTuple):
    """What later steps are given.

    Attributes:
        action: `train`; `deliver` when a trained image is registered already and git does not have it yet; `skip`.
        source: The base model, without revision.
        revision: What was asked for.
        commit_hash: What it resolved to; empty where the source has no commits.
        data_commit: Commit of the data; empty where it has none.
        recipe_key: Which training this is, 64 hex digits.
        trainer_image: What trains in.
        image: What an earlier training of this key became, as `registry/repository@sha256:…`; empty without one.
        serving: The storageUri that the manifest has.
        record: For the report.
    """

    action: str
    source: str
    revision: str
    commit_hash: str
    data_commit: str
    recipe_key: str
    trainer_image: str
    image: str
    serving: str
    record: str


class Retrained(NamedTuple):
    """What later steps are given.

    Attributes:
        directory: `file:///…` of the trained model.
        metrics: Path of the file with the metrics.
        record: For the report.
    """

    directory: str
    metrics: str
    record: str


@step("Resolve")
def resolve_training(
    spec: str, fields: dict[str, str], *, step_image: str, scheduled: str = "", created_at: str = ""
) -> ResolvedTraining:
    """Find out whether base model, data or recipe are new, and check what can be checked before hours of training.

    Args:
        spec: A PromotionSpec with `training`, as YAML or JSON.
        fields: Single fields, by the names in `modelcar.steps.fields.KEYS`.
        step_image: What trains in when the spec names no image.
        scheduled: The schedule that started the run; empty without one.
        created_at: When the run was made, RFC 3339.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    if scheduled and (reason := find_wrong_hour(scheduled, created_at)) is not None:
        return _skip(started, reason)
    wanted = read_whole(spec, fields)
    training = require_training(wanted.training)
    if wanted.hold is not None:
        if scheduled:
            return _skip(started, describe_hold(wanted))
        raise Held(describe_hold(wanted), hint="Take hold out of the spec.")
    plan = plan_retraining(wanted, tell=say)
    if plan.action == TRAIN:
        say(f"checking {wanted.image.repository}")
        open_destination(wanted.image.repository, make_access()).check_access()
        fetch_siblings(wanted.image.reuse_from, wanted.image.platforms[0], make_access())
    base = plan.base
    sizes = {"files": len(base.files), "size_bytes": base.size_bytes}
    record = write_record(started, **sizes)
    if plan.action == SKIP:
        say(f"{SKIPPED}{plan.reason}")
        record = write_skip(started, plan.reason, **sizes)
    return ResolvedTraining(
        plan.action,
        base.uri,
        base.revision or "",
        base.commit_hash or "",
        plan.data.commit_hash or "",
        plan.recipe_key,
        str(training.image) if training.image is not None else step_image,
        plan.earlier.uri.removeprefix("oci://") if plan.earlier is not None else "",
        plan.serving,
        record,
    )


@step("Retrain")
def retrain_model(
    spec: str, fields: dict[str, str], *, data_commit: str, recipe_key: str, directory: str
) -> tuple[Retrained, Mapping[str, float]]:
    """Train a model in a volume, or find that it was trained there.

    Base model and data are downloaded beside it, checked; a directory that is mounted is read where it is.

    Args:
        spec: A PromotionSpec with `training`, as YAML or JSON, of which `model` and `training` count.
        fields: Single fields; `source` and `revision` are what the first step found.
        data_commit: Commit of the data, as the first step found it.
        recipe_key: Which training this is.
        directory: Absolute path in a volume; kept apart from everything else.

    Returns:
        Outputs, and what the training measured.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    part = read_part(spec, ("model", "training"), fields)
    model: ModelSpec = part["model"]
    training = require_training(part.get("training"))
    place = Path(directory)
    base = _bring(*look(model_source(model)), place / "base", model.allow_pickle)
    data_snapshot, their_source = look(data_source(training, data_commit))
    data = _bring(data_snapshot, their_source, place / "data", _ANY)
    job = Job(base, data, Recipe.of(training), recipe_key, model.allow, model.ignore, model.allow_pickle)
    trained = train(job, place / "trained", tell=say)
    say("trained already" if trained.was_done else f"trained in {trained.seconds:.0f} s")
    on = f"{data_snapshot.uri}@{data_commit}" if data_commit else data_snapshot.uri
    named = {"data": on} if len(json.dumps(on)) <= _LONGEST_DATA else {}  # a long path ends no finished training
    metrics = _choose(trained.metrics, training, _ROOM - len(json.dumps(named)))
    record = write_record(started, trained=not trained.was_done, metrics=metrics, **named)
    return Retrained(trained.model.as_uri(), str(place / "trained" / METRICS), record), trained.metrics


@step("Check metrics")
def check_metrics(spec: str, *, metrics: str) -> None:
    """Stop the promotion when the training's metrics do not hold the spec's floors.

    Args:
        spec: A PromotionSpec with `training`, as YAML or JSON.
        metrics: Path of the file that the training wrote.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    training = require_training(read_part(spec, ("training",), {}).get("training"))
    for result in decide(read_metrics(Path(metrics)), training.floors).results:
        say(str(result))


def _skip(started: float, reason: str) -> ResolvedTraining:
    say(f"{SKIPPED}{reason}")
    return ResolvedTraining(SKIP, "", "", "", "", "", "", "", "", write_skip(started, reason))


def _choose(metrics: Mapping[str, float], training: TrainingSpec, room: int) -> dict[str, float]:
    """Metrics for the report, those with floors first, as many as there is room for in the record."""
    ordered = sorted(metrics, key=lambda name: (name not in training.floors, name))
    chosen: dict[str, float] = {}
    for name in ordered:
        if len(json.dumps({**chosen, name: metrics[name]})) > room:
            break
        chosen[name] = metrics[name]
    return chosen


def _bring(snapshot: ModelSnapshot, source: Source, directory: Path, allow_pickle: tuple[str, ...]) -> Path:
    """Where the files are, downloaded when they are not on this machine."""
    if snapshot.uri.startswith("file://"):
        return Path(unquote(snapshot.uri.removeprefix("file://")))
    progress = LineProgress(snapshot.size_bytes, say)
    return download(snapshot, source, directory, allow_pickle=allow_pickle, progress=progress).directory
