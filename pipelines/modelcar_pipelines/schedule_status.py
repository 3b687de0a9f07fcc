"""A schedule as people see it: what the recurring runs of one name come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from modelcar.schedule import Scheduled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.kfp_cron import parse
from modelcar_pipelines.recurring_runs import RecurringRun
from modelcar_pipelines.schedule_plan import SHOWN, announce
from modelcar_pipelines.versions import find_pipeline_name, find_version_name


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as the server has it.

    Attributes:
        name: Unique among those that are made by `schedule`.
        recurring_run_id: Of the recurring run that it is; another one after a change.
        scheduled: When it fires.
        kfp_cron: What the server was told.
        pipeline_id: Of its pipeline.
        pipeline: Name of its pipeline; empty when that was deleted.
        version_id: Of the pinned version; empty when the latest runs.
        version: Name of the pinned version; empty when the latest runs, or when that was deleted.
        parameters: Of its runs.
        paused: Whether it fires no more until it is resumed.
        changing: Whether a change of it waits for a run to end, or was interrupted; calling again finishes it.
        next_fires: The next three in its zone; none while it is paused.
    """

    name: str
    recurring_run_id: str
    scheduled: Scheduled
    kfp_cron: str
    pipeline_id: str
    pipeline: str
    version_id: str
    version: str
    parameters: Mapping[str, object]
    paused: bool
    changing: bool
    next_fires: tuple[datetime, ...]


def is_on(ours: Sequence[RecurringRun]) -> bool:
    """Whether it fires, or will when a change is finished."""
    return ours[0].enabled or (len(ours) > 1 and ours[0].note.on)


def describe_schedule(server: Server, ours: Sequence[RecurringRun], now: datetime) -> Schedule:
    """The schedule that recurring runs of one name are, the one that counts first.

    Raises:
        PromotionError: The server does not answer.
    """
    first = ours[0]
    on = is_on(ours)
    fires = announce(parse(first.cron), first.note.scheduled, now) if on else iter(())
    return Schedule(
        name=first.name,
        recurring_run_id=first.recurring_run_id,
        scheduled=first.note.scheduled,
        kfp_cron=first.cron,
        pipeline_id=first.pipeline_id,
        pipeline=find_pipeline_name(server, first.pipeline_id),
        version_id=first.version_id,
        version=find_version_name(server, first.pipeline_id, first.version_id) if first.version_id else "",
        parameters=first.parameters,
        paused=not on,
        changing=len(ours) > 1,
        next_fires=tuple(islice(fires, SHOWN)),
    )
