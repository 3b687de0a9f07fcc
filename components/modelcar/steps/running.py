"""How a step runs and ends, whatever it does."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

from modelcar.errors import InvalidInput, PromotionError
from modelcar.steps.fields import find_model
from modelcar.steps.note import Note, leave_note
from modelcar.steps.surroundings import settle

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_OUTPUT_BYTES = 512
"""Tekton hands on 4 KiB of all results of a task together; what is longer is looked up again instead."""
_DEBUG = "MODELCAR_DEBUG"


def step(title: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function a step: its failure is one sentence, a note (`modelcar.steps.note`) and an exit code.

    Args:
        title: What people call the step.

    Returns:
        A decorator. The function that it gives raises SystemExit where the original raises: 2 when the input is at
        fault, 1 for the rest, 143 when it was told to stop. `MODELCAR_DEBUG=1` shows tracebacks.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            signal.signal(signal.SIGTERM, _stop)  # how pods are ended; uploads under way are taken back
            given = signature.bind_partial(*args, **kwargs).arguments
            model = find_model(given.get("spec"), given.get("fields"))
            try:
                settle()
                return _checked(function(*args, **kwargs))
            except PromotionError as error:
                _end(Note(title, str(error), error.hint, error.exit_code, model))
            except KeyboardInterrupt:
                _end(Note(title, "stopped from outside", "Run it again: what was done is found.", 143, model))
            except Exception as error:  # the one place where a fault of ours is told to people
                message = f"{type(error).__name__}: {error}"
                _end(Note(title, message, f"This is a fault in modelcar; {_DEBUG}=1 shows where.", 1, model))

        return run

    return decorate


def say(line: str) -> None:
    """A line of the step's log."""
    print(line, flush=True)


def _checked(outputs: T) -> T:
    """Outputs that every runner can hand on.

    Raises:
        InvalidInput: One is too long.
    """
    for name, value in getattr(outputs, "_asdict", dict)().items():
        if isinstance(value, str) and len(value.encode()) > LONGEST_OUTPUT_BYTES:
            raise InvalidInput(
                f"{name} would be {len(value.encode())} bytes; {LONGEST_OUTPUT_BYTES} can be handed to the next step",
                hint="Shorten the names in the spec.",
            )
    return outputs


def _end(note: Note) -> NoReturn:
    if os.environ.get(_DEBUG):
        traceback.print_exc()
    sys.stdout.flush()
    print(note, file=sys.stderr, flush=True)
    leave_note(note)
    raise SystemExit(note.exit_code)


def _stop(signum: int, frame: object) -> NoReturn:  # noqa: ARG001 - what signal handlers are given
    raise KeyboardInterrupt
