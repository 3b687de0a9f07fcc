"""A trainer's process: what it prints, line by line, and how it ended."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from modelcar.entry_point import NOT_FOUND
from modelcar.errors import InvalidInput, TrainingError

LONGEST_LINE_BYTES = 1 << 16
PATIENCE_S = 10.0
"""How long a trainer may take to end when it is asked to."""
_LOOK_S = 0.2
_LONGEST_SHOWN = 200
_NOT_FOR_TRAINERS = ("MODEL_REGISTRY_", "MODELCAR_GIT_", "KF_PIPELINES_")
"""Prefixes of variables with credentials that a trainer has no use for, and could print."""


def run_trainer(
    command: Sequence[str],
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a trainer to its end.

    Args:
        command: Program and arguments.
        environment: Goes on top of this process's, of which the credentials for the Model Registry, git and
            Kubeflow Pipelines are left out.
        tell: Given each line of its standard output and error, without its end. What ends in a carriage return is a
            line, too, as progress bars have it; empty lines are left out.
        keep_open: File descriptors that the trainer holds open, too.

    Raises:
        InvalidInput: There is no such program or function.
        TrainingError: It ended with another exit code than 0, or by a signal.
    """
    last = ""
    with _started(command, environment, keep_open) as process:
        for line in _lines(process):
            tell(line)
            last = line
        exit_code = process.wait()
    if exit_code != 0:
        raise _describe(exit_code, last[:_LONGEST_SHOWN])


@contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], keep_open: Sequence[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, in our process group so that it ends with us; it has ended when the block has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_TRAINERS)}
    try:
        process = subprocess.Popen(
            command,
            env={**kept, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=keep_open,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _not_found(f"{command[0]!r} cannot be started: {reason}") from error
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What a process prints until it has ended, whoever else still holds the other end of the pipe."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            if selector.select(_LOOK_S):
                block = os.read(process.stdout.fileno(), LONGEST_LINE_BYTES)
                if not block:
                    break
                *whole, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
                yield from (_decode(line) for line in whole if line.strip())
                if len(rest) >= LONGEST_LINE_BYTES:
                    yield _decode(rest)
                    rest = b""
            elif process.poll() is not None:
                break
            if deadline is None and process.poll() is not None:
                deadline = time.monotonic() + PATIENCE_S
    if rest.strip():
        yield _decode(rest)


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip()


def _describe(exit_code: int, last_line: str) -> TrainingError | InvalidInput:
    """How a trainer ended. A shell says 128 and the signal's number, Python the negative number."""
    said = f"; its last line was: {last_line}" if last_line else ""
    if exit_code == NOT_FOUND:
        return _not_found(last_line or "it ended with exit code 127")
    number = -exit_code if exit_code < 0 else exit_code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return TrainingError(
            f"the training failed with exit code {exit_code}{said}", hint="Its output above says what went wrong."
        )
    if number == signal.SIGKILL:
        return TrainingError(
            f"the training was killed (SIGKILL, exit code 137){said}",
            hint="Most likely memory ran out: give the step more of it, or train with smaller batches.",
        )
    return TrainingError(f"the training was ended by {name} (exit code {128 + number}){said}")


def _not_found(reason: str) -> InvalidInput:
    return InvalidInput(
        f"there is no such trainer in this image: {reason}",
        hint="Look at training.entryPoint or training.command in the spec, and at training.image.",
    )
