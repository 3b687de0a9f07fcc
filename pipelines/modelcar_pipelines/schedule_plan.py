"""A schedule as people ask for it, checked and put into the server's words before anything is made there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import islice

from modelcar.errors import InvalidInput
from modelcar.schedule import Cron, Scheduled, fires_at, never_fires, occurrences, parse_cron, read_zone, translate
from modelcar_pipelines.arguments import check_promotion, refuse_expansions
from modelcar_pipelines.connection import Server
from modelcar_pipelines.kfp_cron import KfpCron, parse
from modelcar_pipelines.parameters import check_parameters, pipeline_parameters
from modelcar_pipelines.schedule_note import content_of
from modelcar_pipelines.versions import find_version, read_spec

SCHEDULED = "scheduled"
"""The parameter by which a pipeline's first step learns of the schedule, and ends what came at the wrong hour."""
LONGEST_NAME = 100
SHOWN = 3
"""How many fires are told in advance."""


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """What to run, and when.

    Attributes:
        pipeline: Name of the pipeline on the server.
        cron: Five fields, or a name such as `@daily`.
        zone: Name of the time zone that they are meant in.
        parameters: Of the pipeline; what is left out keeps its default.
        version: Name or id of a version that always runs; None for the one that is the latest when the time comes.
        name: What the schedule is called, one of a name on a server; empty for the pipeline's, which then belongs to
            one model.
        service_account: That its pods run as; empty for the server's choice.
        server_zone: Name of the server's time zone (its setting CRON_SCHEDULE_TIMEZONE), which it does not tell.
    """

    pipeline: str
    cron: str
    zone: str = "UTC"
    parameters: Mapping[str, object] = field(default_factory=dict)
    version: str | None = None
    name: str = ""
    service_account: str = ""
    server_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """A request that the server will take.

    Attributes:
        name: What the schedule is called.
        scheduled: When it fires.
        parameters: Of its runs.
        body: What makes a recurring run of it, without note and mode.
        content: Digest of all of it.
    """

    name: str
    scheduled: Scheduled
    parameters: Mapping[str, object]
    body: Mapping[str, object]
    content: str


def make_plan(server: Server, request: ScheduleRequest, now: datetime) -> SchedulePlan:
    """Check a request; the server is asked about the pipeline, and nothing is made.

    Raises:
        InvalidInput: The schedule cannot be read, never fires or so seldom that the server would hang; there is no such
            zone, pipeline or version; the parameters do not fit; or the server would start runs at the wrong hour, too,
            and the pipeline lacks the parameter by which it ends them.
        PromotionError: The server does not answer.
    """
    cron = parse_cron(request.cron)
    scheduled = Scheduled(cron.text, request.zone, request.server_zone)
    expression, exact = say_to_server(cron, scheduled, now)
    version = find_version(server, request.pipeline, request.version)
    ir = read_spec(server, version)
    values = dict(request.parameters)
    if SCHEDULED in values:
        raise InvalidInput(f"the parameter {SCHEDULED} is set by the schedule itself", hint="Leave it out.")
    if SCHEDULED in pipeline_parameters(ir):
        values[SCHEDULED] = str(scheduled)
    elif not exact:
        raise InvalidInput(
            f"a server whose clocks are {request.server_zone} cannot say {cron.text} in {request.zone} exactly, and "
            f"{request.pipeline} has no parameter {SCHEDULED} to find out what came at the wrong time",
            hint=f"Say it in {request.server_zone}, or give the pipeline's first step what "
            "modelcar.schedule.find_wrong_hour needs.",
        )
    values = check_parameters(ir, values)
    check_promotion(ir, values)
    refuse_expansions(values)
    pinned = {"pipeline_version_id": version.version_id} if request.version is not None else {}
    name = _check_name(request.name or request.pipeline)
    body: dict[str, object] = {
        "display_name": name,
        "pipeline_version_reference": {"pipeline_id": version.pipeline_id, **pinned},
        "runtime_config": {"parameters": values},
        "trigger": {"cron_schedule": {"cron": expression}},
        **({"service_account": request.service_account} if request.service_account else {}),
    }
    return SchedulePlan(name, scheduled, values, body, content_of({**body, "scheduled": str(scheduled)}))


def say_to_server(cron: Cron, scheduled: Scheduled, now: datetime) -> tuple[str, bool]:
    """The server's expression for a schedule, and whether it fires at no other times.

    Raises:
        InvalidInput: It never fires; so seldom that the server would hang; or the server, whose clocks skip midnight,
            would miss fires.
    """
    zone, server_zone = read_zone(scheduled.zone), read_zone(scheduled.server_zone)
    if never_fires(cron):
        raise InvalidInput(f"{cron.text} never fires: there is no such day", hint="Check day of month and month.")
    told = translate(cron, zone, server_zone, now)
    kfp_cron = parse(told.expression)
    if kfp_cron.stalls_after(now, server_zone):
        raise InvalidInput(
            f"{cron.text} does not fire for more than five years at times, and a server would search for the next time "
            "for ever",
            hint="Leave out the day of the month or the weekday.",
        )
    will = [fire.astimezone(UTC) for fire in islice(announce(kfp_cron, scheduled, now), SHOWN)]
    if will != [fire.astimezone(UTC) for fire in islice(occurrences(cron, zone, now), SHOWN)]:
        raise InvalidInput(
            f"a server whose clocks are {scheduled.server_zone} would miss times of {cron.text} in {scheduled.zone}",
            hint="Its clocks skip midnight, where its search goes wrong; let the server's clocks be UTC.",
        )
    return told.expression, told.exact


def announce(kfp_cron: KfpCron, scheduled: Scheduled, after: datetime) -> Iterator[datetime]:
    """The times at which a run will be started and not end itself at once, in the schedule's zone."""
    cron, zone = parse_cron(scheduled.cron), read_zone(scheduled.zone)
    server_zone: tzinfo = read_zone(scheduled.server_zone)
    fire = kfp_cron.next_after(after, server_zone)
    while fire is not None:
        if fires_at(cron, zone, fire):
            yield fire.astimezone(zone)
        fire = kfp_cron.next_after(fire, server_zone)


def _check_name(name: str) -> str:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"{name!r} cannot be a schedule's name",
            hint=f"Take up to {LONGEST_NAME} letters without blanks at the ends.",
        )
    return name
