"""The processes of a local run's steps: where each writes, what it is told, why it failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 8192
"""How much of a log's end is looked at for its last line."""


@dataclass(frozen=True)
class Place:
    """The directory of one run.

    Attributes:
        directory: Everything that the run writes lies below it; absolute.
    """

    directory: Path

    @property
    def events(self) -> Path:
        """What happened, a JSON object a line (`events.py`)."""
        return self.directory / "events.jsonl"

    @property
    def outputs(self) -> Path:
        """What the steps gave, by path and name; written when the run has ended."""
        return self.directory / "outputs.json"

    @property
    def workspace(self) -> Path:
        """The pipeline's workspace; removed with all that is in it when the run has ended, as a cluster removes its."""
        return self.directory / "workspace"

    @property
    def artifacts(self) -> Path:
        """Output artifacts, `<task's path>/<name>`."""
        return self.directory / "artifacts"

    def log(self, path: str) -> Path:
        """What the step at `path` printed, of all its attempts."""
        return self.directory / "logs" / f"{path.replace('/', '.')}.log"

    def step(self, path: str) -> Path:
        """Where the step at `path` works: its source, its input, and whatever it writes beside them."""
        return self.directory / "steps" / path


@dataclass(frozen=True)
class Ended:
    """How a step's process ended.

    Attributes:
        exit_code: As a shell would have it: 128 and the signal's number for what a signal ended.
        message: Why it failed; empty for exit code 0.
    """

    exit_code: int
    message: str

    @property
    def is_final(self) -> bool:
        """Whether another attempt would end the same: a step's exit code is 2 when its input is at fault."""
        return self.exit_code in (0, 2)


class Steps:
    """Starts a process for each attempt of each step; several at once, when several threads call.

    All of them are in the process group of this process, so that who ends the group ends them, too.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.stopping = threading.Event()
        """Once set, nothing is started any more."""

    def run(self, path: str, *, source: str, executor_input: str, function: str, env: Mapping[str, str]) -> Ended:
        """Run one attempt of a step, and wait for it.

        The process inherits this process's environment, which is how secrets reach it locally: what a pipeline takes
        from secrets and config maps of a cluster, `kfp.local` does not know. A crash of the step leaves its work
        directory, its log and its input for whoever looks for the reason.

        Args:
            path: The step's path in the run.
            source: The component's Python source.
            executor_input: The ExecutorInput, JSON.
            function: The component's function.
            env: Set beside what is inherited.
        """
        work, log = self._place.step(path), self._place.log(path)
        work.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        (work / "ephemeral_component.py").write_text(source, encoding="utf-8")
        (work / "executor_input.json").write_text(executor_input, encoding="utf-8")
        reason = work / "termination-log"
        reason.write_bytes(b"")
        words = [sys.executable, "-m", "modelcar_pipelines.local_step"]
        words += [str(work / "ephemeral_component.py"), str(work / "executor_input.json"), function]
        own = {
            "MODELCAR_TERMINATION_LOG": str(reason),
            "MODELCAR_RUN_EVENTS": str(self._place.events),
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("ab") as out:
            process = subprocess.Popen(
                words,
                cwd=work,
                env={**os.environ, **env, **own},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            code = process.wait()
        exit_code = code if code >= 0 else 128 - code
        return Ended(exit_code, _why(exit_code, reason, log) if exit_code else "")


def new_workspace(place: Place) -> Path:
    """Make the run's workspace.

    kfp.local removes it at the end with everything in it, whoever put it there, so it has to be new.

    Raises:
        FileExistsError: There is something of that name already.
    """
    place.workspace.mkdir()
    return place.workspace


def _why(exit_code: int, reason: Path, log: Path) -> str:
    """What the step said itself; else the signal; else the last line that it printed."""
    if text := reason.read_text(encoding="utf-8", errors="replace").strip():
        return text
    if exit_code > 128:
        return f"ended by {_signal_name(exit_code - 128)}"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {exit_code}, and not a word")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
