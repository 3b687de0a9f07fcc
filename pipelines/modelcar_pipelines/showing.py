"""Runs as people see them on a terminal or in a log: a line for each step that begins or ends, and how it all ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from modelcar.steps.note import Note, find_note, find_result, find_skip
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.promoted import describe_promoted
from modelcar_pipelines.runs import REPORT_TASK, SKIP_TASK

if TYPE_CHECKING:
    from modelcar_pipelines.local_run import LocalRun
    from modelcar_pipelines.runs import Outcome, Run
    from modelcar_pipelines.schedule_status import Schedule
    from modelcar_pipelines.upload import Uploaded
    from modelcar_pipelines.versions import Version

MARKS = {State.RUNNING: "▸", State.SUCCEEDED: "✓", State.FAILED: "✗", State.SKIPPED: "○"}


class StepLines:
    """Called with each event of a run; groups of tasks, which only hold others, are not shown."""

    def __init__(self, out: TextIO | None = None, seconds: Mapping[str, float] | None = None) -> None:
        """Write to `out`, by default standard error; `seconds` of steps that are known to have ended, by path."""
        self._out, self._seconds = out, seconds or {}
        self._begun: dict[str, datetime] = {}

    def __call__(self, event: TaskEvent) -> None:
        """Write a line."""
        if _is_group(event):
            return
        took, mark = "", MARKS[event.state]
        if event.state is State.RUNNING and event.exit_code is not None:
            mark, took = "↻", f": {event.message.splitlines()[-1]}"
        elif event.state is State.RUNNING:
            self._begun.setdefault(event.path, event.at)
        elif event.path in self._begun:
            took = f"  {(event.at - self._begun[event.path]).total_seconds():.1f} s"
        elif event.path in self._seconds:
            took = f"  {self._seconds[event.path]:.1f} s"
        retried = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        line = f"{event.at.astimezone():%H:%M:%S} {mark} {event.display_name}{retried}{took}"
        print(line, file=self._out or sys.stderr, flush=True)


def show_uploads(done: Iterable[tuple[str, Uploaded]]) -> None:
    """A line for each pipeline, as soon as it is there."""
    for name, one in done:
        print(f"{name}  {one.version.name}  {'uploaded' if one.created else 'is the latest already'}", flush=True)


def show_lists(pipelines: Sequence[tuple[str, Version | None]], runs: Sequence[Run]) -> None:
    """Pipelines with their latest versions, and runs."""
    if not pipelines and not runs:
        print("There are none. modelcar pipeline upload puts some there.", file=sys.stderr)
    width = max((len(name) for name, _ in pipelines), default=0)
    for name, version in pipelines:
        print(f"{name:<{width}}  {version.name if version is not None else 'no version'}")
    if runs:
        print()
    for run in runs:
        print(f"{run.created_at:%Y-%m-%d %H:%M:%S}  {run.run_id}  {run.state:<9}  {run.name}")


def describe_run(run: Run) -> dict[str, Any]:
    """A run as a JSON object."""
    return {**asdict(run), "created_at": run.created_at.isoformat(), "finished_at": _time(run.finished_at)}


def describe_outcome(outcome: Outcome) -> dict[str, Any]:
    """A run with its steps and failures as a JSON object."""
    return {
        **describe_run(outcome.run),
        "url": outcome.url,
        "steps": {path: {"title": one.display_name, "state": one.state.value} for path, one in outcome.tasks.items()},
        "skipped": outcome.skipped or None,
        "results": list(outcome.results),
        "failures": [asdict(note) for note in outcome.failures],
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def show_outcome(outcome: Outcome) -> None:
    """How a run on a server ended."""
    _show_end(outcome.run.state, outcome.skipped, outcome.results, list(outcome.failures), [])
    print(outcome.url, file=sys.stderr)


def show_local(done: LocalRun) -> int:
    """How a local run ended, and where its report is; returns the exit code."""
    failed = [event for event in done.tasks.values() if event.state is State.FAILED and event.exit_code is not None]
    notes = [note for event in failed if (note := find_note(event.message)) is not None]
    silent = [event for event in failed if find_note(event.message) is None]
    skipped, results = _find_told(done, SKIP_TASK, find_skip), _find_told(done, REPORT_TASK, find_result)
    _show_end(
        done.state,
        "; ".join(skipped),
        results,
        notes,
        [f"{one.display_name}: {one.message} ({done.log(one.path)})" for one in silent],
    )
    for artifact in done.artifacts:
        # The last step of every run reports failures; that there was none is no report to read.
        empty = done.state is State.SUCCEEDED and artifact.step.endswith("report-failure")
        if artifact.is_page and not empty:
            print(f"report: {artifact.page}")
    print(f"logs: {done.directory / 'logs'}", file=sys.stderr)
    if done.state is State.SUCCEEDED:
        return 0
    return 2 if any(note.exit_code == 2 for note in notes) else 1


def _find_told(done: LocalRun, task: str, find: Callable[[str], str | None]) -> list[str]:
    """What the logs of a task say, for each model that it ran for; each sentence once."""
    ended = (one for one in done.tasks.values() if one.task == task and one.state is State.SUCCEEDED)
    told = (find(_read_log(done.log(one.path))) for one in ended)
    return list(dict.fromkeys(sentence for sentence in told if sentence is not None))


def _read_log(path: Path) -> str:
    """A step's log; empty when it cannot be read, for that is no failure of the run."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _show_end(state: str, skipped: str, results: Sequence[str], notes: Sequence[Note], others: Sequence[str]) -> None:
    """How a run ended. What one promotion has come to stands in the first line, unless it is not all there is."""
    told = [*results, *([f"skipped: {skipped}"] if skipped else [])]
    if state == State.SUCCEEDED and len(told) == 1:
        told = []
        state = f"SKIPPED: {skipped}" if skipped else f"{state}: {results[0]}"
    for line in (state, *(f"  {one}" for one in told)):
        print(line, file=sys.stderr)
    several = len(notes) + len(told) > 1
    for note in notes:
        print(note_text(note, several=several), file=sys.stderr)
    for other in others:
        print(other, file=sys.stderr)


def note_text(note: Note, *, several: bool = False) -> str:
    """Why a step failed, and below that what to do; of a run with several models, for which one."""
    step = f"{note.step} of {note.model}" if several and note.model else note.step
    return f"{step}: {note.message}" + (f"\n  {note.hint}" if note.hint else "")


def schedule_lines(schedule: Schedule) -> list[str]:
    """A schedule and its next fires."""
    state = "paused" if schedule.paused else "being changed" if schedule.changing else "on"
    runs = schedule.version or schedule.version_id or "the latest version"
    promoted = describe_promoted(schedule.parameters)
    return [
        f"pipeline {schedule.pipeline or schedule.pipeline_id}" + (f" promotes {promoted}" if promoted else ""),
        f"{schedule.scheduled}  ({state}; runs {runs}; the server's cron is {schedule.kfp_cron})",
        *(f"next: {fire:%a %Y-%m-%d %H:%M %Z}" for fire in schedule.next_fires),
    ]


def _is_group(event: TaskEvent) -> bool:
    """Whether a task only holds others: conditions, loops, exit handlers and what KFP makes of them."""
    return event.task.startswith(("condition-", "exit-handler-", "for-loop-", "iteration-"))
