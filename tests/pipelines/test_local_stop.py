"""A local run that is stopped leaves no process behind, and starts nothing more."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_runs import compile_pipeline
from modelcar_pipelines import local_run
from modelcar_pipelines.events import EventReader, RunEvent, State, TaskEvent

STARTER = """
import signal, sys
from pathlib import Path
from modelcar_pipelines.local_run import run_locally
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
run_locally(Path(sys.argv[1]), {"path": sys.argv[2]}, directory=Path(sys.argv[3]), tell=lambda event: None)
"""


class Started:
    """A run whose step stands still, with a process of its own beside it."""

    def __init__(self, place: Path) -> None:
        self.directory, self.place = place / "run", place
        os.mkfifo(place / "begun")
        file = compile_pipeline("endless", place)
        words = [sys.executable, "-c", STARTER, str(file), str(place / "begun"), str(self.directory)]
        self.starter = subprocess.Popen(words, stderr=subprocess.PIPE)
        # The step opens the pipe when it stands still; until then this waits.
        step, child = (place / "begun").read_text().split()
        self.processes = [os.pidfd_open(int(process)) for process in (step, child)]

    def gone(self) -> bool:
        """Whether both processes end, within ten seconds."""
        return all(select.select([process], [], [], 10.0)[0] for process in self.processes)

    def end(self) -> tuple[list[TaskEvent], RunEvent | None]:
        reader = EventReader(self.directory / "events.jsonl")
        events = reader.read()
        reader.close()
        tasks = [event for event in events if isinstance(event, TaskEvent)]
        return tasks, next((event for event in events if isinstance(event, RunEvent)), None)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    run = Started(tmp_path)
    yield run
    for process in run.processes:
        os.close(process)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL], ids=lambda stop: stop.name)
def test_who_started_it_ends_and_the_steps_end_too(started: Started, stop: signal.Signals) -> None:
    started.starter.send_signal(stop)
    assert started.gone()
    started.starter.communicate()
    assert started.starter.returncode in (-stop, 1, 130)


def test_after_a_stop_nothing_is_started_and_the_run_says_why_it_failed(started: Started) -> None:
    started.starter.send_signal(signal.SIGINT)
    started.starter.communicate()
    tasks, end = started.end()
    assert end is not None
    assert (end.state, end.message) == (State.FAILED, "the run was stopped")
    assert {event.path: (event.state, event.message) for event in tasks} == {
        "exit-handler-1": (State.FAILED, "the run was stopped"),
        "exit-handler-1/wait-for": (State.FAILED, "the run was stopped"),
        "exit-handler-1/say": (State.SKIPPED, "the run was stopped"),
        "final": (State.SKIPPED, "the run was stopped"),
    }
    assert not (started.directory / "workspace").exists()


def test_a_step_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_run, "GRACE_S", 0.1)
    os.mkfifo(tmp_path / "begun")
    processes: list[int] = []

    def interrupt(event: TaskEvent) -> None:
        if event.task == "wait-for":
            processes.extend(os.pidfd_open(int(pid)) for pid in (tmp_path / "begun").read_text().split())
            raise KeyboardInterrupt

    file = compile_pipeline("endless", tmp_path)
    parameters = {"path": str(tmp_path / "begun"), "stubborn": True}
    with pytest.raises(KeyboardInterrupt):
        local_run.run_locally(file, parameters, directory=tmp_path / "run", tell=interrupt)
    assert [select.select([process], [], [], 10.0)[0] for process in processes] == [[process] for process in processes]
    for process in processes:
        os.close(process)
