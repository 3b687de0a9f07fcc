"""Recurring runs of a server, as far as they are schedules of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelcar.errors import PipelineServerError
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.schedule import read_zone
from modelcar_pipelines.connection import Server
from modelcar_pipelines.failures import NotFound
from modelcar_pipelines.kfp_cron import parse
from modelcar_pipelines.runs import ENDED
from modelcar_pipelines.schedule_note import ScheduleNote, read_note

PAGE = 100
UNSEEN = timedelta(seconds=30)
"""How long a run may be on its way: the server may have started it, but not show it yet."""


@dataclass(frozen=True, slots=True)
class RecurringRun:
    """A recurring run of ours.

    Attributes:
        recurring_run_id: Of the server's making.
        name: Of ours; not unique on the server.
        note: What it says about itself.
        cron: The server's.
        enabled: Whether it fires.
        created_at: Whole seconds, by the server's clock.
        pipeline_id: Of its pipeline.
        version_id: Of the pinned version; empty when the latest runs.
        parameters: Of its runs.
        body: What makes another one like it.
    """

    recurring_run_id: str
    name: str
    note: ScheduleNote
    cron: str
    enabled: bool
    created_at: datetime
    pipeline_id: str
    version_id: str
    parameters: Mapping[str, object]
    body: Mapping[str, object]

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Of several of one name, the least counts, whoever looks: the newest generation, of that the oldest."""
        return -self.note.generation, self.created_at, self.recurring_run_id

    def fires_within(self, begin: datetime, end: datetime) -> bool:
        """Whether the server's cron fires after `begin` and up to `end`."""
        fire = parse(self.cron).next_after(begin, read_zone(self.note.scheduled.server_zone))
        return fire is not None and fire <= end


def find_ours(server: Server, name: str | None = None) -> list[RecurringRun]:
    """The recurring runs that schedules of ours are, or those of one name; those that count come first."""
    query: dict[str, object] = {"page_size": PAGE}
    if name is not None:
        query["filter"] = _equals("display_name", name)
    found: list[RecurringRun] = []
    token = ""
    while True:
        page = server.call(server.recurring_runs.recurring_run_service_list_recurring_runs, page_token=token, **query)
        # Some databases compare names without case.
        read = (_read(one) for one in page.recurring_runs or () if name is None or one.display_name == name)
        found += [one for one in read if one is not None]
        token = page.next_page_token or ""
        if not token:
            return sorted(found, key=lambda one: one.rank)


def create(server: Server, body: Mapping[str, object], note: ScheduleNote, *, enabled: bool) -> None:
    """Make a recurring run.

    Args:
        server: Where.
        body: Name, pipeline, parameters, trigger.
        note: What it says about itself.
        enabled: Whether it fires at once; not that of the note, as others may have to be out of the way first.

    Raises:
        PromotionError: The server refuses it.
    """
    server.call(
        server.recurring_runs.recurring_run_service_create_recurring_run,
        {
            **body,
            "description": note.write(),
            "mode": "ENABLE" if enabled else "DISABLE",
            "no_catchup": True,
            "max_concurrency": "1",
        },
    )


def enable(server: Server, run: RecurringRun) -> None:
    """Let it fire; nothing when somebody has deleted it."""
    _change(server, server.recurring_runs.recurring_run_service_enable_recurring_run, run)


def disable(server: Server, run: RecurringRun) -> None:
    """Let it fire no more; runs that are active go on. Nothing when somebody has deleted it."""
    _change(server, server.recurring_runs.recurring_run_service_disable_recurring_run, run)


def delete(server: Server, run: RecurringRun) -> None:
    """Delete one that has no active run: most servers end those with it. Nothing when somebody has deleted it."""
    # Newer servers then let a run go on that was started after we looked.
    policy = {"propagation_policy": "ORPHAN"}
    _change(server, server.recurring_runs.recurring_run_service_delete_recurring_run, run, **policy)


def find_active(server: Server, run: RecurringRun, now: datetime) -> str | None:
    """Name of a run of it that has not ended; a name of ours when there may be one that the server does not show yet.

    Args:
        server: Where.
        run: Whose runs.
        now: By the server's clock.
    """
    runs = _list_runs(server, run)
    active = next((str(one.display_name) for one in runs if one.state not in ENDED), None)
    if active is not None:
        return active
    begin = max([run.created_at, now - UNSEEN, *(one.created_at for one in runs)])
    return f"a run of {run.name}" if run.fires_within(begin, now) else None


def find_last_start(server: Server, run: RecurringRun) -> datetime:
    """When its newest run was created, or itself when it has none."""
    starts: list[datetime] = [one.created_at for one in _list_runs(server, run)]
    return max([run.created_at, *starts])


def _list_runs(server: Server, run: RecurringRun) -> list[Any]:
    """The newest runs; there is one at a time, so older ones have ended."""
    page = server.call(
        server.runs.run_service_list_runs,
        page_size=PAGE,
        sort_by="created_at desc",
        filter=_equals("recurring_run_id", run.recurring_run_id),
    )
    return list(page.runs or ())


def _change(server: Server, function: Callable[..., object], run: RecurringRun, **options: str) -> None:
    """Enable, disable or delete; nothing when it is gone, or about to be."""

    def change() -> None:
        try:
            server.call(function, run.recurring_run_id, **options)
        except NotFound:
            return
        except PipelineServerError as error:
            # The server answers 500 while somebody deletes it: its object is gone then, and its row not yet.
            if _exists(server, run):
                raise PipelineServerError(str(error), hint=error.hint, retryable=True) from error

    retry(change, attempts=CONTACT_ATTEMPTS)


def _exists(server: Server, run: RecurringRun) -> bool:
    try:
        server.call(server.recurring_runs.recurring_run_service_get_recurring_run, run.recurring_run_id)
    except NotFound:
        return False
    return True


def _equals(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": value}]})


def _read(answer: Any) -> RecurringRun | None:
    note = read_note(answer.description)
    schedule = answer.trigger.cron_schedule if answer.trigger is not None else None
    reference = answer.pipeline_version_reference
    if note is None or schedule is None or reference is None:
        return None
    parameters = (answer.runtime_config.parameters if answer.runtime_config is not None else None) or {}
    version = {"pipeline_version_id": reference.pipeline_version_id} if reference.pipeline_version_id else {}
    body = {
        "display_name": answer.display_name,
        "pipeline_version_reference": {"pipeline_id": reference.pipeline_id, **version},
        "runtime_config": {"parameters": parameters},
        "trigger": {"cron_schedule": {"cron": schedule.cron}},
        "experiment_id": answer.experiment_id,
        **({"service_account": answer.service_account} if answer.service_account else {}),
    }
    return RecurringRun(
        recurring_run_id=str(answer.recurring_run_id),
        name=str(answer.display_name),
        note=note,
        cron=str(schedule.cron),
        enabled=answer.mode == "ENABLE",
        created_at=answer.created_at,
        pipeline_id=str(reference.pipeline_id),
        version_id=str(reference.pipeline_version_id or ""),
        parameters=parameters,
        body=body,
    )
