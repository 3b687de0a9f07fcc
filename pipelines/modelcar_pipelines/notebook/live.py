"""What is seen while a run is followed: its steps in the notebook's cell, or lines on a terminal."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from modelcar.page import blocks, render_notebook
from modelcar.page.report import State
from modelcar_pipelines.events import State as StepState
from modelcar_pipelines.events import TaskEvent
from modelcar_pipelines.notebook.runs import PipelineRun, draw_run
from modelcar_pipelines.runs import Run
from modelcar_pipelines.showing import StepLines


class LiveRun:
    """Told each event of a run; draws it anew in a notebook, and prints a line elsewhere."""

    def __init__(self, run: Run, url: str) -> None:
        self._run, self._url = run, url
        self._tasks: dict[str, TaskEvent] = {}
        self._begun: dict[str, datetime] = {}
        self._seconds: dict[str, float] = {}
        self._lines = StepLines()
        self._state: State = "PENDING"
        self._ended: PipelineRun | None = None
        self._cell = _open_cell(self)
        if self._cell is None:
            print(f"{run.name}: run {run.run_id}\n{url}", file=sys.stderr, flush=True)

    def __call__(self, event: TaskEvent) -> None:
        """Take a step's new state."""
        self._state = "RUNNING"
        self._tasks[event.path] = event
        if event.state is StepState.RUNNING:
            self._begun.setdefault(event.path, event.at)
        elif event.path in self._begun:
            self._seconds[event.path] = (event.at - self._begun[event.path]).total_seconds()
        if self._cell is None:
            self._lines(event)
        else:
            self._cell.update(self)

    def end(self, run: PipelineRun) -> None:
        """The run has ended; what is seen shrinks to a line, since the run itself is drawn where it is wanted."""
        self._ended = run
        if self._cell is not None:
            self._cell.update(self)

    def __repr__(self) -> str:
        if self._ended is not None:
            return f"{self._run.name}: {self._ended.state}"
        return f"{self._run.name}: {self._state}"

    def _repr_html_(self) -> str:
        if self._ended is None:
            drawn = draw_run(self._run.name, self._state, "", self._tasks, self._seconds, url=self._url)
            return render_notebook(drawn)
        link = blocks.link(self._run.name, self._url)
        seconds = sum(self._ended.outcome.seconds.values())
        return blocks.frame(blocks.ended(link, self._ended.drawn_state, len(self._ended.outcome.seconds), seconds))


def _open_cell(shown: LiveRun) -> Any:
    """A handle with which a cell's output can be changed; None outside of notebooks."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    if getattr(get_ipython(), "kernel", None) is None:
        return None
    return display(shown, display_id=True)  # type: ignore[no-untyped-call]
