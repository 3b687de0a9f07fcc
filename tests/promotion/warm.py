"""`modelcar` in processes of their own that start at once: forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["modelcar.cli", "modelcar.promotion", "modelcar.drawing", "mr_openapi", "huggingface_hub"]
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended; a negative code is a signal's."""

    code: int
    stdout: str
    stderr: str


class Command:
    """One `modelcar` command that runs.

    Attributes:
        pid_file: Holds the process's id before it does anything.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> None:
        """Start it.

        Args:
            arguments: After `modelcar`.
            environment: All of it.
            directory: For what it prints; made when it is not there.
        """
        directory.mkdir(exist_ok=True)
        self.pid_file = directory / "pid"
        self._outputs = directory / "stdout", directory / "stderr"
        self._process = _SERVER.Process(target=_run, args=(arguments, environment, self.pid_file, *self._outputs))
        self._process.start()

    def wait(self) -> Ended:
        """Wait until it has ended."""
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        assert code is not None
        return Ended(code, *(output.read_text() for output in self._outputs))


def _run(arguments: Sequence[str], environment: Mapping[str, str], pid_file: Path, stdout: Path, stderr: Path) -> None:
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    pid_file.write_text(str(os.getpid()))
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["modelcar", *arguments]
    from modelcar.cli import main

    main()
