"""Runs as notebooks show them, and the error of one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelcar.errors import PromotionError
from modelcar.page import FailureReport, Report, StepReport, blocks, render_notebook
from modelcar.page.markup import Html, element
from modelcar.page.report import State
from modelcar.quantities import format_seconds
from modelcar_pipelines.connection import Server
from modelcar_pipelines.events import TaskEvent
from modelcar_pipelines.run_reports import fetch_report
from modelcar_pipelines.runs import ENDED, Outcome, Run
from modelcar_pipelines.showing import MARKS, note_text

_STATES: Final[Mapping[str, State]] = {
    "SUCCEEDED": "SUCCEEDED",
    "SKIPPED": "SKIPPED",
    "RUNNING": "RUNNING",
    "PENDING": "PENDING",
    "CANCELED": "CANCELED",
    "CANCELING": "CANCELED",
}
"""The server's states as reports have them; all others are failures."""
_SENTENCES: Final[Mapping[State, str]] = {
    "SUCCEEDED": "All steps ended well.",
    "RUNNING": "It is under way.",
    "PENDING": "It has not begun yet.",
    "CANCELED": "It was cancelled; what it had done by then stays, and the next run finds it.",
}
_REPORT_HEIGHT_PX: Final = 620


class RunFailed(PromotionError):
    """A run that was waited for has failed, or was cancelled.

    Attributes:
        run: As it ended.
    """

    def __init__(self, run: PipelineRun) -> None:
        notes = run.outcome.failures
        said = "; ".join(f"{note.step} failed: {note.message}" for note in notes)
        ended = "was cancelled" if run.state == "CANCELED" else "failed, and no step said why"
        hint = notes[0].hint if notes else f"Look at its steps: {run.url}"
        super().__init__(said or f"the run {run.name} {ended}", hint=hint)
        self.run = run


@dataclass(frozen=True)
class PipelineRun:
    """A run as it was when it was looked at; `Pipelines.status` looks again.

    Attributes:
        outcome: What became of it.
        report: The report that it wrote, an HTML page; None when there is none yet, or the server gives none out.
    """

    outcome: Outcome
    report: str | None

    @property
    def run_id(self) -> str:
        """Of the server's making."""
        return self.outcome.run.run_id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.outcome.run.name

    @property
    def state(self) -> str:
        """PENDING, RUNNING, CANCELING, SUCCEEDED, SKIPPED when it had nothing to do, FAILED, CANCELED or ERROR."""
        return "SKIPPED" if self.outcome.had_nothing_to_do else self.outcome.run.state

    @property
    def drawn_state(self) -> State:
        """The state as reports have it."""
        return _STATES.get(self.state, "FAILED")

    @property
    def url(self) -> str:
        """Where people look at it."""
        return self.outcome.url

    @property
    def sentence(self) -> str:
        """What there is to say of it in a line."""
        if self.outcome.had_nothing_to_do:
            return self.outcome.skipped
        if self.drawn_state in _SENTENCES:
            return _SENTENCES[self.drawn_state]
        if not self.outcome.failures:
            return f"A step failed; {self.url} has its log."
        others = "; ".join(note_text(note, several=True).splitlines()[0] for note in self.outcome.failures[1:])
        return f"More than one step failed. {others}" if others else "A step failed."

    def __repr__(self) -> str:
        seconds = self.outcome.seconds
        steps = [
            f"  {MARKS[event.state]} {event.display_name}"
            + (f"  {format_seconds(seconds[path])}" if path in seconds else "")
            for path, event in self.outcome.tasks.items()
        ]
        several = len(self.outcome.failures) > 1
        notes = [note_text(note, several=several) for note in self.outcome.failures]
        reason = f": {self.outcome.skipped}" if self.outcome.had_nothing_to_do else ""
        return "\n".join([f"{self.name}: {self.state}{reason}", *steps, *notes, self.url])

    def _repr_html_(self) -> str:
        if self.report is not None and self.state == "SUCCEEDED":
            # The report of a promotion has the steps, too, and knows their times better than the server does.
            more = element("p", blocks.link("The run on the server", self.url), class_="muted")
            return blocks.frame(blocks.headline(self.name, self.drawn_state), more, _embed(self.report))
        return render_notebook(
            draw_run(
                self.name,
                self.drawn_state,
                self.sentence,
                self.outcome.tasks,
                self.outcome.seconds,
                failure=self._failure(),
                url=self.url,
            )
        )

    def _failure(self) -> FailureReport | None:
        if not self.outcome.failures:
            return None
        note = self.outcome.failures[0]
        return FailureReport(note.step, note.message, note.hint, note.exit_code)


class PipelineRuns(list[Run]):
    """Runs of a server, newest first, as a table."""

    def __repr__(self) -> str:
        return "\n".join(f"{run.created_at:%Y-%m-%d %H:%M}  {run.run_id}  {run.state:<9}  {run.name}" for run in self)

    def _repr_html_(self) -> str:
        rows = [
            (
                element("bdi", run.name),
                element("span", run.state, class_=f"pill {_STATES.get(run.state, 'FAILED').lower()}"),
                f"{run.created_at:%Y-%m-%d %H:%M:%S}",
                format_seconds((run.finished_at - run.created_at).total_seconds()) if run.finished_at else "",
                blocks.code(run.run_id),
            )
            for run in self
        ]
        return blocks.frame(blocks.table(("Run", "State", "Created", "Time", "Id"), rows, numbers=(3,)))


def draw_run(
    name: str,
    state: State,
    sentence: str,
    tasks: Mapping[str, TaskEvent],
    seconds: Mapping[str, float],
    *,
    failure: FailureReport | None = None,
    url: str,
) -> Report:
    """A run as a report of its steps.

    Args:
        name: Of the run.
        state: Of the run.
        sentence: What there is to say of it.
        tasks: The last event of each step, by path.
        seconds: That steps took, by path.
        failure: Why it failed.
        url: Where people look at it.
    """
    steps = tuple(
        StepReport(event.display_name, _STATES.get(event.state, "FAILED"), seconds.get(path))
        for path, event in tasks.items()
    )
    return Report(name, state, sentence, steps, failure=failure, links=(("The run", url),))


def show_run(server: Server, outcome: Outcome) -> PipelineRun:
    """A run with its report, when that is to be had."""
    run = outcome.run
    return PipelineRun(outcome, fetch_report(server, run.run_id) if run.state in ENDED else None)


def _embed(page: str) -> Html:
    """The report in a frame that lets nothing in it run or reach out."""
    return element(
        "iframe",
        srcdoc=page,
        sandbox="allow-popups",
        title="Report",
        style=f"width: 100%; height: {_REPORT_HEIGHT_PX}px; margin-top: 14px; border: 1px solid #8884; "
        "border-radius: 8px; resize: vertical; overflow: auto;",
    )
