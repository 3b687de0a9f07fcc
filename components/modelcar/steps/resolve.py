"""The first step: what is promoted, and whether anything stands in the way; no byte of the model moves."""

from __future__ import annotations

import time
from typing import NamedTuple

from modelcar.delivery.repository import open_repository
from modelcar.errors import Held
from modelcar.model_registry.client import Connection
from modelcar.promotion import describe_hold, refuse_training, survey, target_of
from modelcar.quantities import format_bytes
from modelcar.schedule import find_wrong_hour
from modelcar.steps.fields import read_whole
from modelcar.steps.note import SKIPPED
from modelcar.steps.record import write_record, write_skip
from modelcar.steps.running import say, step
from modelcar.steps.surroundings import make_access


class Resolved(NamedTuple):
    """What later steps are given.

    Attributes:
        proceed: Whether there is anything to do now.
        source: Without revision.
        revision: What was asked for; empty where the source has no revisions.
        commit_hash: What it resolved to; empty where the source has no commits.
        serving: The storageUri that the manifest has; if it has another one later, somebody else was faster.
        record: For the report.
    """

    proceed: bool
    source: str
    revision: str
    commit_hash: str
    serving: str
    record: str


@step("Resolve")
def resolve_model(spec: str, fields: dict[str, str], *, scheduled: str = "", created_at: str = "") -> Resolved:
    """Resolve the model and check everything that can be checked before bytes move.

    Args:
        spec: A PromotionSpec as YAML or JSON; blank when the fields say everything.
        fields: Single fields, by the names in `modelcar.steps.fields.KEYS`.
        scheduled: The schedule that started the run, `0 2 * * * Europe/Amsterdam`; empty without one.
        created_at: When the run was made, RFC 3339; of use with `scheduled` only.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    if scheduled and (reason := find_wrong_hour(scheduled, created_at)) is not None:
        return _skip(started, reason)
    wanted = read_whole(spec, fields)
    refuse_training(wanted)
    if wanted.hold is not None:
        if scheduled:  # a night on hold is no failure
            return _skip(started, describe_hold(wanted))
        raise Held(describe_hold(wanted), hint="Take hold out of the spec.")
    registry = Connection.from_environment(wanted.model_registry.url)
    with open_repository(target_of(wanted.inference_service)) as repository:
        manifest, build = survey(wanted, repository, registry, make_access(), reuse=True, tell=say)
    snapshot = build.plan.snapshot
    say(f"{snapshot.uri}: {len(snapshot.files)} files, {format_bytes(snapshot.size_bytes)}")
    say(f"serving now: {manifest.storage_uri}")
    return Resolved(
        True,
        snapshot.uri,
        snapshot.revision or "",
        snapshot.commit_hash or "",
        manifest.storage_uri,
        write_record(started, files=len(snapshot.files), size_bytes=snapshot.size_bytes),
    )


def _skip(started: float, reason: str) -> Resolved:
    say(f"{SKIPPED}{reason}")
    return Resolved(False, "", "", "", "", write_skip(started, reason))
