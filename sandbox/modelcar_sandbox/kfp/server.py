"""The server: one directory, one application, and what runs behind it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final, Self

from modelcar_sandbox.kfp.app import create_app
from modelcar_sandbox.kfp.call import Backend
from modelcar_sandbox.kfp.clock import Clock, RealClock
from modelcar_sandbox.kfp.experiment_calls import open_default
from modelcar_sandbox.kfp.runner import Runner
from modelcar_sandbox.kfp.runs import fire
from modelcar_sandbox.kfp.store import Store
from modelcar_sandbox.kfp.times import write_time
from modelcar_sandbox.kfp.timetable import RecurringRuns

LOCAL_CHILD: Final = (sys.executable, "-m", "modelcar_pipelines.local_child")
NAMESPACE: Final = "kubeflow"


class PipelineServer:
    """A Kubeflow Pipelines API server, a context manager; recurring runs fire from `start` on.

    Attributes:
        app: The WSGI application, to be served by a `Service`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock | None = None,
        zone: tzinfo = UTC,
        command: Sequence[str] = LOCAL_CHILD,
        environment: Mapping[str, str] | None = None,
        namespace: str = NAMESPACE,
    ) -> None:
        """Open a directory, or make it. Runs that an earlier server left under way are ended and have failed.

        Args:
            directory: Where everything is kept; one server at a time uses it.
            clock: What time it is; the machine's by default.
            zone: In which cron expressions are read.
            command: Program and arguments of a run's process, to which the run's directory is added.
            environment: Variables that runs have beside this process's; read when a run starts.
            namespace: Where the real server would make its objects.

        Raises:
            OSError: The directory cannot be made.
            sqlite3.Error: There is something else where the database should be.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._clock = clock or RealClock()
        store = Store(directory)
        self._runner = Runner(
            directory / "runs", store, self._clock, command, {} if environment is None else environment
        )
        self._timetable = RecurringRuns(
            store, self._clock, zone, lambda job, due: fire(self._backend, job, due), self._runner.settle
        )
        default = open_default(store, write_time(self._clock.now()))
        self._backend = Backend(store, self._runner, self._timetable, self._clock, namespace, default)
        self.app = create_app(self._backend)

    def start(self) -> None:
        """Fire recurring runs from now on, and what was missed at once."""
        self._runner.on_end = self._timetable.fire_due
        self._clock.drive(self._timetable)

    def stop(self) -> None:
        """Fire no more, and end the runs under way, which have failed; the application is to be served no more."""
        self._clock.stop()
        self._runner.close()

    def settle(self) -> None:
        """Return when no run is under way."""
        self._runner.settle()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
