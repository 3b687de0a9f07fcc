"""Run a compiled pipeline on this machine, without a cluster, and tell what becomes of its steps."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput, PromotionError
from modelcar_pipelines.events import EventReader, RunEvent, State, TaskEvent, now
from modelcar_pipelines.local_components import check_local
from modelcar_pipelines.local_process import Place
from modelcar_pipelines.parameters import check_parameters
from modelcar_pipelines.pipeline_file import read_pipeline

GRACE_S = 10.0
"""How long steps may take to end when a run is stopped."""
LOOK_S = 0.05
"""How often the events are looked at."""


@dataclass(frozen=True)
class Artifact:
    """An artifact that a step wrote.

    Attributes:
        step: Path of the step.
        name: The output's name.
        type: Its schema's title, such as `system.HTML`.
        uri: Where it is, as the step says; a file of this machine, or an image.
        path: Where its file is; it need not exist, for an image does not.
    """

    step: str
    name: str
    type: str
    uri: str
    path: Path

    @property
    def is_page(self) -> bool:
        """Whether it is a page that was written."""
        return self.type == "system.HTML" and self.path.is_file()

    @property
    def page(self) -> Path:
        """The same page by a name that browsers know for one."""
        return self.path.with_suffix(".html")


@dataclass(frozen=True)
class LocalRun:
    """A local run that has ended.

    Attributes:
        state: SUCCEEDED or FAILED.
        message: Why it failed; else empty.
        directory: Where its logs, artifacts and events are; nobody removes it.
        tasks: The last event of each task, by path, in the order in which they were first heard of.
        outputs: What steps gave, by path and name; artifacts as objects with `type`, `uri`, `path`, `metadata`.
    """

    state: State
    message: str
    directory: Path
    tasks: Mapping[str, TaskEvent]
    outputs: Mapping[str, Mapping[str, Any]]

    @property
    def artifacts(self) -> list[Artifact]:
        """The artifacts of all steps."""
        return [
            Artifact(step, name, value["type"], value["uri"], Path(value["path"]))
            for step, outputs in self.outputs.items()
            for name, value in outputs.items()
            if isinstance(value, dict) and set(value) == {"type", "uri", "path", "metadata"}
        ]

    def log(self, path: str) -> Path:
        """The file with what the step at `path` printed."""
        return Place(self.directory).log(path)


def run_locally(
    pipeline_file: Path,
    parameters: Mapping[str, object],
    *,
    directory: Path | None = None,
    tell: Callable[[TaskEvent], None],
    run_name: str | None = None,
) -> LocalRun:
    """Run a compiled pipeline in processes of this machine, and wait for its end.

    Steps inherit this process's environment, and read from it what a cluster would take from secrets and config maps.
    When this is interrupted (KeyboardInterrupt, or whatever `tell` raises), all processes of the run are ended first.

    Args:
        pipeline_file: What `compile` wrote.
        parameters: By name; what is left out keeps the pipeline's default.
        directory: Where the run writes; empty or not there yet. None takes a new one below the system's for temporary
            files.
        tell: Called for each event of a task, in this thread.
        run_name: What people call the run; None takes the pipeline's name.

    Raises:
        InvalidInput: The file, a parameter or the directory cannot be right, or the pipeline has what does not run
            locally. Nothing was started.
        PromotionError: The run's process died.
    """
    pipeline = read_pipeline(pipeline_file)
    values = check_parameters(pipeline.spec, parameters)
    check_local(pipeline.spec, values)
    place = Place(_empty(directory))
    shutil.copyfile(pipeline_file, place.directory / "pipeline.yaml")
    order = {
        "run_id": str(uuid.uuid4()),
        "run_name": run_name or pipeline.name,
        "pipeline": "pipeline.yaml",
        "parameters": values,
        "created_at": now().isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    (place.directory / "run.json").write_text(json.dumps(order, ensure_ascii=False), encoding="utf-8")
    tasks: dict[str, TaskEvent] = {}
    end: RunEvent | None = None
    with _child(place) as child, contextlib.closing(EventReader(place.events)) as reader:
        ended = False
        while not ended:
            ended = _wait(child, LOOK_S)  # before the last look, so that nothing is missed
            for event in reader.read():
                if isinstance(event, RunEvent):
                    end = event
                else:
                    tasks[event.path] = event
                    tell(event)
    if end is None:
        raise PromotionError(
            f"the process of the local run died, exit code {child.returncode}",
            hint=f"{place.directory / 'engine.log'} has what it printed.",
        )
    outputs = json.loads(place.outputs.read_text(encoding="utf-8")) if place.outputs.exists() else {}
    done = LocalRun(end.state, end.message, place.directory, tasks, outputs)
    for artifact in done.artifacts:
        if artifact.is_page:
            shutil.copyfile(artifact.path, artifact.page)
    return done


def _empty(directory: Path | None) -> Path:
    """A directory with nothing in it, absolute."""
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="modelcar-run-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        used = any(directory.iterdir())
    except OSError as error:
        raise InvalidInput(
            f"cannot use the directory {directory}: {error.strerror}", hint="Name one that can be made and written to."
        ) from error
    if used:
        raise InvalidInput(
            f"the directory {directory} is not empty",
            hint="A run takes a directory of its own, also when one before it was stopped; name another.",
        )
    return directory.absolute()


@contextlib.contextmanager
def _child(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """The run's process, leader of a group of its own; nothing of the group is left afterwards."""
    words = [sys.executable, "-m", "modelcar_pipelines.local_child", str(place.directory), "--end-with-stdin"]
    with (place.directory / "engine.log").open("wb") as log:
        child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, cwd=place.directory
        )
    try:
        yield child
    finally:
        # Its own group: Ctrl-C at the terminal reaches this process alone, and the steps end by our word.
        try:
            if not _wait(child, 0):
                os.killpg(child.pid, signal.SIGTERM)
                _wait(child, GRACE_S)
        finally:
            # At a second Ctrl-C, too, and also what a step started and left behind. The child is not reaped yet, so
            # that the group's number is still its own.
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if child.stdin is not None:
                child.stdin.close()


def _wait(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process has ended, after so many seconds at most; it is not reaped."""
    until = time.monotonic() + seconds
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= until:
            return False
        time.sleep(min(seconds, LOOK_S))
    return True
