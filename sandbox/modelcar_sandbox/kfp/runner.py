"""Runs under way: a process each, a thread that waits for its end, and how all of them are ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcar_sandbox.kfp.clock import Clock
from modelcar_sandbox.kfp.run_directory import RunDirectory, kill_group
from modelcar_sandbox.kfp.run_states import FINAL, STOPPED, cancel, conclude, observe
from modelcar_sandbox.kfp.store import Kind, Record, Store


@dataclass(frozen=True)
class _Process:
    popen: subprocess.Popen[bytes]
    waiter: threading.Thread


class Runner:
    """Starts runs, watches them and ends them. Safe for threads."""

    def __init__(
        self, directory: Path, store: Store, clock: Clock, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        """Take up a directory; runs that an earlier server left under way are ended and have failed.

        Args:
            directory: Holds a directory for each run; made if needed.
            store: Where runs are.
            clock: Tells when runs begin and end.
            command: Program and arguments of a run's process; its directory is added.
            environment: Variables that it has beside those of this process; read at each start.
        """
        self._directory = directory
        self._store = store
        self._clock = clock
        self._command = command
        self._environment = environment
        self._processes: dict[str, _Process] = {}
        self._changed = threading.Condition()
        self._why_ended = "The run's process ended without saying how."
        self.on_end: Callable[[], None] = lambda: None
        for run in store.all(Kind.RUN):
            if run.document["state"] not in FINAL:
                self._recover(run)

    def directory(self, run_id: str) -> RunDirectory:
        """The directory of a run, whether it exists or not."""
        return RunDirectory(self._directory / run_id)

    def start(self, run: Record, spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        """Start a run that is in the store.

        Args:
            run: Just made.
            spec: What `read_spec` gave.
            parameters: Fit the spec.
        """
        document = run.document
        directory = self.directory(run.id)
        about = {
            "run_id": run.id,
            "run_name": document["display_name"],
            "parameters": dict(parameters),
            "created_at": document["created_at"],
        }
        directory.write(spec, about)
        with self._changed:
            popen = directory.start(self._command, {**os.environ, **self._environment})
            waiter = threading.Thread(target=self._wait, args=(run.id, popen), name=f"run-{run.id}", daemon=True)
            self._processes[run.id] = _Process(popen, waiter)
        waiter.start()

    def live(self, run: Record) -> Record:
        """The run as it is at this moment, which may be ahead of the store."""
        if run.document["state"] == "PENDING":
            observe(run.document, self.directory(run.id).events(), self._clock.now())
        return run

    def terminate(self, run_id: str) -> Record | None:
        """Ask a run to end, and kill its processes.

        Returns:
            The run, or None if there is none.

        Raises:
            Refusal: 400, it has ended or was asked before.
        """
        events = self.directory(run_id).events()
        changed = self._store.change(Kind.RUN, run_id, lambda run: cancel(run.document, events, self._clock.now()))
        self._kill(run_id)
        return changed

    def abandon(self, run_id: str) -> None:
        """Kill a run's processes as when its workflow is deleted: what the store says of the run stays as it is."""
        now = self._clock.now()

        def leave(run: Record) -> None:
            observe(run.document, self.directory(run_id).events(), now)
            run.inner["abandoned"] = run.document["state"] not in FINAL

        self._store.change(Kind.RUN, run_id, leave)
        self._kill(run_id)
        self._join(run_id)

    def forget(self, run_id: str) -> None:
        """Kill a deleted run's processes and remove its directory."""
        self._kill(run_id)
        self._join(run_id)
        shutil.rmtree(self.directory(run_id).path, ignore_errors=True)

    def settle(self) -> None:
        """Return when no run is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._processes)

    def close(self) -> None:
        """End all runs; they have failed."""
        self.on_end = lambda: None
        self._why_ended = STOPPED
        # A run that ends at this moment may have made a recurring run fire.
        while under_way := list(self._processes):
            for run_id in under_way:
                self._kill(run_id)
            for run_id in under_way:
                self._join(run_id)

    def _wait(self, run_id: str, popen: subprocess.Popen[bytes]) -> None:
        with popen:
            popen.wait()
        kill_group(popen.pid)  # what the run left behind
        try:
            self._conclude(run_id, self._why_ended)
            self.on_end()
        finally:
            with self._changed:
                del self._processes[run_id]
                self._changed.notify_all()

    def _conclude(self, run_id: str, otherwise: str) -> None:
        events = self.directory(run_id).events()

        def end(run: Record) -> None:
            if not run.inner.get("abandoned"):
                conclude(run.document, events, self._clock.now(), otherwise)

        self._store.change(Kind.RUN, run_id, end)

    def _recover(self, run: Record) -> None:
        self.directory(run.id).kill_leftover()
        self._conclude(run.id, STOPPED)

    def _kill(self, run_id: str) -> None:
        with self._changed:
            process = self._processes.get(run_id)
            # Until the process is waited for nobody else can have got its number.
            if process is not None and process.popen.returncode is None:
                kill_group(process.popen.pid)

    def _join(self, run_id: str) -> None:
        with self._changed:
            process = self._processes.get(run_id)
        if process is not None:
            process.waiter.join()
