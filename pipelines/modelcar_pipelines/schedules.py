"""Schedules on a server: one of each name, changed without killing what runs.

A recurring run cannot be changed, its name is not unique, and deleting it ends its active runs. So a changed schedule
is a new recurring run that takes the place of the old one: it is made disabled, the old one is disabled and its run
waited for, the new one is enabled, the old one deleted. Whoever is interrupted in between leaves several of one name;
whoever comes next, on whatever machine, finishes it, for `RecurringRun.rank` tells everybody the same one that counts.

Why that ends with one, whoever calls when: each caller looks after it has made its own; of any two recurring runs the
one that was made later is seen together with the other by its maker, who removes the one that counts less, its own or
not. The one that counts most is never removed by a call that schedules.

A schedule that stands alone and is disabled has been paused by a person, and stays so when it is changed. A server that
enables a disabled recurring run starts a run at once for the last time that it missed, whatever `no_catchup` says; so
what is resumed after such a time is made anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

from modelcar.errors import InvalidInput, PromotionError
from modelcar_pipelines.connection import Server
from modelcar_pipelines.promoted import find_promoted
from modelcar_pipelines.recurring_runs import (
    RecurringRun,
    create,
    delete,
    disable,
    enable,
    find_active,
    find_last_start,
    find_ours,
)
from modelcar_pipelines.schedule_note import ScheduleNote
from modelcar_pipelines.schedule_plan import SchedulePlan, ScheduleRequest, make_plan
from modelcar_pipelines.schedule_status import Schedule, describe_schedule, is_on

ATTEMPTS = 10
LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What became of a request.

    Attributes:
        schedule: As it stands now.
        action: What had to be done for it.
    """

    schedule: Schedule
    action: Literal["created", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a call sees of the world beside the server; replaced in tests.

    Attributes:
        tell: Given sentences about what is waited for.
        wait: Given seconds, waits.
        clock: Tells the time, which is that of the server.
    """

    tell: Callable[[str], None] = lambda _: None
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def schedule(server: Server, request: ScheduleRequest, around: Surroundings = Surroundings()) -> Scheduling:
    """Have a pipeline run by a schedule; nothing is done when it does so already.

    Of the same name there is one schedule afterwards, also when several call at once; if they ask for different things,
    what was asked for last stands. A paused schedule stays paused. Runs that are active go on.

    Args:
        server: Where.
        request: What and when.
        around: What to wait with.

    Raises:
        InvalidInput: See `make_plan`; or no name was given, and the schedule of the pipeline's name promotes another
            model. Nothing was made.
        PromotionError: Somebody else changed or removed the schedule meanwhile; or the server does not answer.
    """
    plan = make_plan(server, request, around.clock())
    action: Literal["created", "changed", "unchanged"] = "unchanged"
    for _ in range(ATTEMPTS):
        ours = find_ours(server, plan.name)
        generation = ours[0].note.generation if ours else 0
        if ours and not request.name:
            _refuse_other_model(ours[0], plan)
        if not ours or ours[0].note.content != plan.content:
            action = "changed" if ours else "created"
            generation += 1
            _put(server, plan, generation, ours)
        standing = _settle(server, plan.name, around)
        if standing is None:
            raise PromotionError(f"the schedule {plan.name} was removed by somebody else while it was made")
        if standing.note.content == plan.content:
            return Scheduling(describe_schedule(server, [standing], around.clock()), action)
        if standing.note.generation > generation:
            raise PromotionError(
                f"the schedule {plan.name} was changed by somebody else while it was made",
                hint=f"It is {standing.note.scheduled} now; schedule it again if that is not right.",
            )
    raise PromotionError(f"the schedule {plan.name} is changed by somebody else all the time", hint="Try again later.")


def list_schedules(server: Server, around: Surroundings = Surroundings()) -> list[Schedule]:
    """All schedules that were made by `schedule`, by name. Nothing is changed."""
    ours = sorted(find_ours(server), key=lambda one: (one.name, one.rank))
    standing = [list(same) for _, same in groupby(ours, key=lambda one: one.name)]
    return [describe_schedule(server, same, around.clock()) for same in standing]


def pause(server: Server, name: str, around: Surroundings = Surroundings()) -> Schedule:
    """Let a schedule fire no more until it is resumed. Runs that are active go on; nothing is waited for.

    Raises:
        InvalidInput: There is no such schedule.
    """
    ours = _find(server, name)
    if len(ours) == 1:
        disable(server, ours[0])
        ours = _find(server, name)
    if len(ours) > 1 and is_on(ours):
        # Somebody is changing it, and would enable what takes its place.
        _copy(server, ours, on=False)
        for one in ours:
            disable(server, one)
    return _look(server, name, around)


def resume(server: Server, name: str, around: Surroundings = Surroundings()) -> Schedule:
    """Let a paused schedule fire again, from now on: what was missed is not made up for.

    Raises:
        InvalidInput: There is no such schedule.
        PromotionError: Somebody removed it meanwhile.
    """
    ours = _find(server, name)
    if not is_on(ours):
        if len(ours) == 1 and not ours[0].fires_within(find_last_start(server, ours[0]), around.clock()):
            enable(server, ours[0])
        else:
            _copy(server, ours, on=True)
    if _settle(server, name, around) is None:
        raise PromotionError(f"the schedule {name} was removed by somebody else while it was resumed")
    return _look(server, name, around)


def unschedule(
    server: Server, name: str, around: Surroundings = Surroundings(), *, wait_for_runs: bool = False
) -> None:
    """Remove a schedule.

    Args:
        server: Where.
        name: Of the schedule.
        around: What to wait with.
        wait_for_runs: Whether to wait for its active run to end, which would be ended with it.

    Raises:
        InvalidInput: There is no such schedule.
        PromotionError: A run is active and not to be waited for; the schedule is unchanged, or paused when the run was
            started just now.
    """
    ours = _find(server, name)
    if not wait_for_runs:
        _refuse_active(server, name, ours, around, "is as it was")
    for one in ours:
        disable(server, one)
    if not wait_for_runs:
        _refuse_active(server, name, ours, around, "is paused")
    while active := _find_active(server, ours, around):
        around.tell(f"{name} starts no more runs; waiting for {active} to end")
        around.wait(LOOK_EVERY_S)
    for one in ours:
        delete(server, one)


def _refuse_other_model(standing: RecurringRun, plan: SchedulePlan) -> None:
    """A name that nobody chose is no reason to end the promotions of another model."""
    theirs, ours = find_promoted(standing.parameters), find_promoted(plan.parameters)
    # A list of specs is no model, and is changed by whoever schedules another list.
    if theirs is not None and ours is not None and ours.is_another(theirs):
        raise InvalidInput(
            f"the schedule {plan.name} promotes {theirs}, and {ours} would take its place",
            hint="Give this one a name of its own with --name NAME (schedule_name= in a notebook); with "
            f"--name {plan.name} it takes the place of the other.",
        )


def _put(server: Server, plan: SchedulePlan, generation: int, ours: Sequence[RecurringRun]) -> None:
    """Make what was asked for; if something is in its place, disabled."""
    note = ScheduleNote(plan.scheduled, plan.content, generation, on=not ours or is_on(ours))
    create(server, plan.body, note, enabled=not ours)


def _copy(server: Server, ours: Sequence[RecurringRun], *, on: bool) -> None:
    """Make the one that counts again, to take its place."""
    note = ours[0].note
    new = ScheduleNote(note.scheduled, note.content, note.generation + 1, on)
    create(server, ours[0].body, new, enabled=False)


def _settle(server: Server, name: str, around: Surroundings) -> RecurringRun | None:
    """Let the one that counts take the place of all others of its name, once their runs have ended.

    It can be called at any time, by several at once, and after an interruption anywhere.

    Returns:
        The one that counts; None when there is none any more.
    """
    told = ""
    while (ours := find_ours(server, name))[1:]:
        first, *others = ours
        for other in others:
            if other.enabled:
                disable(server, other)
        active = _find_active(server, others, around)
        if active is None:
            if first.note.on and not first.enabled and first.fires_within(first.created_at, around.clock()):
                # It missed a fire while it waited, which the server would make up for; one made now has missed none.
                _copy(server, ours, on=True)
            else:
                _replace(server, first, others)
            continue
        if active != told:
            around.tell(
                f"waiting for {active} to end before the schedule {name} is changed; nothing fires until then. "
                "If you do not wait, call again later."
            )
            told = active
        around.wait(LOOK_EVERY_S)
    return ours[0] if ours else None


def _replace(server: Server, first: RecurringRun, others: Sequence[RecurringRun]) -> None:
    # Not the other way round: while there are several, whoever comes next knows that this was not finished.
    if first.note.on and not first.enabled:
        enable(server, first)
    for other in others:
        delete(server, other)


def _find(server: Server, name: str) -> list[RecurringRun]:
    ours = find_ours(server, name)
    if not ours:
        names = sorted({one.name for one in find_ours(server)})
        raise InvalidInput(
            f"there is no schedule {name}",
            hint=f"There are {', '.join(names)}." if names else "There are none that this program has made.",
        )
    return ours


def _find_active(server: Server, runs: Sequence[RecurringRun], around: Surroundings) -> str | None:
    return next((active for one in runs if (active := find_active(server, one, around.clock()))), None)


def _refuse_active(server: Server, name: str, ours: Sequence[RecurringRun], around: Surroundings, state: str) -> None:
    active = _find_active(server, ours, around)
    if active is not None:
        raise PromotionError(
            f"{active} is active, and would be ended with the schedule {name}, which {state}",
            hint="Wait for it with --wait, or pause the schedule instead.",
        )


def _look(server: Server, name: str, around: Surroundings) -> Schedule:
    return describe_schedule(server, _find(server, name), around.clock())
