"""Schedules as notebooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from modelcar.page import blocks
from modelcar.page.markup import Html, element, join
from modelcar_pipelines.promoted import describe_promoted
from modelcar_pipelines.schedule_status import Schedule
from modelcar_pipelines.showing import schedule_lines

_ACTIONS: Final = {
    "created": "It was made just now.",
    "changed": "It was changed.",
    "unchanged": "Nothing had to be changed.",
}


@dataclass(frozen=True)
class PipelineSchedule:
    """A schedule as it stands now.

    Attributes:
        schedule: As the server has it.
        action: What was done to it, for instance `created`; empty when it was only looked at.
    """

    schedule: Schedule
    action: str = ""

    @property
    def name(self) -> str:
        """Unique on the server among schedules that were made here."""
        return self.schedule.name

    def __repr__(self) -> str:
        action = f": {self.action}" if self.action else ""
        return "\n  ".join([f"{self.name}{action}", *schedule_lines(self.schedule)])

    def _repr_html_(self) -> str:
        one = self.schedule
        facts = {
            "Pipeline": element("bdi", one.pipeline or one.pipeline_id),
            "Promotes": element("bdi", describe_promoted(one.parameters) or "what its pipeline says"),
            "Fires at": blocks.code(one.scheduled.cron),
            "In the zone": one.scheduled.zone,
            "Runs": one.version or one.version_id or "the version that is the latest then",
            "The server's cron": blocks.code(one.kfp_cron),
        }
        return blocks.frame(
            blocks.headline(
                self.name, sentence=" ".join(filter(None, [_describe_state(one), _ACTIONS.get(self.action)]))
            ),
            blocks.section("Schedule", blocks.facts(facts)),
            blocks.section("Next", _fires(one)) if one.next_fires else None,
        )


class PipelineSchedules(list[PipelineSchedule]):
    """All schedules of a server that were made here, by name, as a table."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "There are no schedules."

    def _repr_html_(self) -> str:
        if not self:
            return blocks.frame(element("p", "There are no schedules.", class_="muted"))
        rows = [
            (
                element("bdi", one.name),
                element("bdi", one.schedule.pipeline or one.schedule.pipeline_id),
                element("bdi", describe_promoted(one.schedule.parameters)),
                join(blocks.code(one.schedule.scheduled.cron), " ", one.schedule.scheduled.zone),
                _describe_next(one.schedule),
            )
            for one in self
        ]
        titles = ("Schedule", "Pipeline", "Promotes", "Fires at", "Next")
        return blocks.frame(blocks.table(titles, rows, numbers=(4,)))


def _fires(schedule: Schedule) -> Html:
    rows: list[Sequence[str]] = [
        (f"{fire:%A}", f"{fire:%Y-%m-%d %H:%M %Z}", f"{fire.astimezone(UTC):%Y-%m-%d %H:%M}")
        for fire in schedule.next_fires
    ]
    return blocks.table(("Day", f"In {schedule.scheduled.zone}", "In UTC"), rows)


def _describe_next(schedule: Schedule) -> str:
    if schedule.paused:
        return "paused"
    state = " (being changed)" if schedule.changing else ""
    return f"{schedule.next_fires[0]:%a %Y-%m-%d %H:%M}{state}" if schedule.next_fires else state.strip()


def _describe_state(schedule: Schedule) -> str:
    if schedule.paused:
        return "It is paused: it fires no more until it is resumed."
    return "It is being changed; a run of it is active." if schedule.changing else "It is on."
