"""Runs of the small pipelines of `local_pipelines`, in processes of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.local_run import LocalRun, run_locally


def compile_pipeline(name: str, directory: Path) -> Path:
    """The file of one of the pipelines, compiled."""
    import local_pipelines  # kfp takes half a second, so not when tests are collected

    return local_pipelines.compiled(getattr(local_pipelines, name), directory)


@dataclass(frozen=True)
class Told:
    """A run, and what was told of it."""

    run: LocalRun
    events: list[TaskEvent]

    def states(self) -> dict[str, State]:
        """The last state of each task."""
        return {path: event.state for path, event in self.run.tasks.items()}

    def output(self, path: str) -> object:
        """The one output of a step."""
        return self.run.outputs[path]["Output"]


def run_pipeline(name: str, directory: Path, **parameters: object) -> Told:
    """Run one of the pipelines in `directory`, which need not exist."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    events: list[TaskEvent] = []
    run = run_locally(
        compile_pipeline(name, directory.parent), parameters, directory=directory, tell=events.append, run_name="a run"
    )
    return Told(run, events)
