"""One run's directory: what its process is given, and what it leaves behind.

The process is `COMMAND DIRECTORY --end-with-stdin`: see `modelcar_pipelines.local_child`. It finds `run.json` and
`pipeline.yaml`, and appends to `events.jsonl` what `modelcar_pipelines.events` describes; each step's output goes to
`logs/`, artifacts below `artifacts/`.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcar_pipelines.events import Event, parse_event
from modelcar_sandbox.atomic import write_atomically
from modelcar_sandbox.kfp.pipeline_spec import spec_documents


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory of one run.

    Attributes:
        path: Made by `write`.
    """

    path: Path

    def write(self, spec: Mapping[str, Any], run: Mapping[str, Any]) -> None:
        """Make the directory with what the process reads.

        Args:
            spec: What `read_spec` gave.
            run: Members of `run.json` without `pipeline`.
        """
        import yaml  # type: ignore[import-untyped]

        self.path.mkdir(parents=True)
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump_all(spec_documents(spec), Dumper=dumper, sort_keys=False, allow_unicode=True)
        write_atomically(self.path / "pipeline.yaml", text)
        write_atomically(self.path / "run.json", json.dumps({**run, "pipeline": "pipeline.yaml"}))

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the run's process, in a session of its own.

        Its standard input ends with this process, however that ends. It holds a lock as long as it lives, by which
        `kill_leftover` knows it from a stranger that has got its number.

        Args:
            command: Program and arguments, to which the directory is added, and the flag.
            environment: All of the process's variables.
        """
        lock = os.open(self.path / "alive", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (self.path / "child.log").open("ab") as log:
                process = subprocess.Popen(
                    [*command, str(self.path), "--end-with-stdin"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=self.path,
                    env=environment,
                    start_new_session=True,
                    pass_fds=[lock],
                )
        finally:
            os.close(lock)
        write_atomically(self.path / "pid", f"{process.pid}\n")
        return process

    def kill_leftover(self) -> None:
        """End the process that an earlier server started and could not end, and all that it started."""
        try:
            with (self.path / "alive").open("r+b") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    kill_group(int((self.path / "pid").read_text()))
                    fcntl.flock(lock, fcntl.LOCK_EX)
        except FileNotFoundError:
            return

    def events(self) -> list[Event]:
        """What the process has told so far; a last line that is not whole yet is left out."""
        try:
            lines = (self.path / "events.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return []
        return [parse_event(line) for line in lines]

    def log(self, task_path: str) -> bytes | None:
        """What a step wrote, or None when it has not begun."""
        try:
            return (self.path / "logs" / f"{task_path.replace('/', '.')}.log").read_bytes()
        except FileNotFoundError:
            return None

    def artifact(self, task_path: str, name: str) -> bytes | None:
        """The content of a task's output artifact that is a file, or None."""
        path = self.path / "artifacts" / task_path / name
        return path.read_bytes() if path.is_file() else None


def kill_group(leader: int) -> None:
    """End a process group at once; one that is gone is no error."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
