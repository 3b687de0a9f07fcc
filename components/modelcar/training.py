"""Train a model: start a trainer, and hold it to what it has to leave.

A trainer is a Python function or a program of the user's own. It runs in a process of its own, and is told by its
environment where things are:

==========================  ============================================================================
`MODELCAR_BASE_MODEL`       directory of the model to begin with; read only, by agreement
`MODELCAR_DATA`             directory of the data; read only, by agreement
`MODELCAR_RECIPE`           JSON file: `parameters` (strings by name), `recipeKey`, and what the spec says besides
`MODELCAR_OUTPUT`           directory, empty, for the trained model: config.json, safetensors, tokenizer
`MODELCAR_METRICS`          file to write the metrics to: one JSON object of finite numbers
==========================  ============================================================================

Exit code 0 says that both are there. Anything else is a failed training: the next one begins with an empty directory.
A finished one is marked, last of all, and is not done again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput, SourceError, TrainingError
from modelcar.metrics import read_metrics
from modelcar.recipe import Recipe
from modelcar.snapshot import ModelSnapshot
from modelcar.sources.content import ModelCheck
from modelcar.sources.open import open_source
from modelcar.sources.patterns import SAFETENSORS, find_match
from modelcar.trainer import run_trainer

MODEL, METRICS, RECIPE, MARK, LOCK = "model", "metrics.json", "recipe.json", "done.json", ".modelcar-training"


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    Attributes:
        base_model: Directory of the model to begin with.
        data: Directory of the data.
        recipe: What is done with them.
        recipe_key: Which training this is.
        allow: Patterns of the trained model's files, as in the spec's model.
        ignore: The same.
        allow_pickle: The same.
    """

    base_model: Path
    data: Path
    recipe: Recipe
    recipe_key: str
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Attributes:
        model: Directory.
        metrics: What the trainer measured, by name.
        seconds: That the trainer took; 0 when it was not started.
        was_done: Whether an earlier training of the same key had left it, and nothing was done.
    """

    model: Path
    metrics: Mapping[str, float]
    seconds: float
    was_done: bool


def say(line: str) -> None:
    """Print a line at once, whatever standard output is."""
    print(line, flush=True)


def train(job: Job, directory: Path, *, tell: Callable[[str], None] = say) -> Trained:
    """Train a model, or find that it was trained.

    Args:
        job: What to train.
        directory: For the trained model and all that belongs to it; made when it is not there, else empty or of an
            earlier training, which is removed when it is another one. While it is at work, others wait.
        tell: Given each line that the trainer prints, as soon as it is whole.

    Raises:
        InvalidInput: The directory holds something else, or there is no such trainer in this image.
        TrainingError: The trainer failed or was killed, or did not leave a model and its metrics.
    """
    directory = directory.absolute()
    with _claimed(directory, tell) as lock:
        done = _read_mark(directory, job)
        if done is not None:
            return Trained(directory / MODEL, done, 0.0, was_done=True)
        _clear(directory, job)
        started = time.monotonic()
        # With the lock, so that a trainer that outlives us is not joined by a second one.
        run_trainer(_command(job.recipe), _environment(job, directory), tell, keep_open=[lock])
        seconds = time.monotonic() - started
        snapshot = check_model(directory / MODEL, job)
        metrics = read_metrics(directory / METRICS)
        _write_mark(directory, job, snapshot)
        return Trained(directory / MODEL, metrics, seconds, was_done=False)


def check_model(model: Path, job: Job) -> ModelSnapshot:
    """Hold what a trainer left against what an image can be made of; weights are not read.

    Returns:
        The files that an image would be made of.

    Raises:
        TrainingError: There is no config.json or there are no weights, or a file is broken or must not be there.
    """
    source = open_source(model.as_uri(), allow=job.allow, ignore=job.ignore, allow_pickle=job.allow_pickle)
    try:
        snapshot = source.snapshot()
        check = ModelCheck(snapshot, job.allow_pickle)
        for file in snapshot.files:
            check.look(file, source)
        check.finish()
    except SourceError as error:
        raise TrainingError(f"the training left no sound model: {error}", hint=error.hint) from error
    paths = [file.path for file in snapshot.files]
    if not any(path.endswith(SAFETENSORS) or find_match(path, job.allow_pickle) for path in paths):
        raise TrainingError("the training left no weights", hint="Write them as *.safetensors into $MODELCAR_OUTPUT.")
    if "config.json" not in paths or not _is_object(model / "config.json"):
        raise TrainingError(
            "the training left no config.json that holds a JSON object",
            hint="Write a whole model into $MODELCAR_OUTPUT; an adapter alone is none, merge it.",
        )
    return snapshot


def _command(recipe: Recipe) -> list[str]:
    if recipe.entry_point is not None:
        return [sys.executable, "-m", "modelcar.entry_point", recipe.entry_point]
    return list(recipe.command)


def _environment(job: Job, directory: Path) -> dict[str, str]:
    return {
        "MODELCAR_BASE_MODEL": os.path.abspath(job.base_model),
        "MODELCAR_DATA": os.path.abspath(job.data),
        "MODELCAR_RECIPE": str(directory / RECIPE),
        "MODELCAR_OUTPUT": str(directory / MODEL),
        "MODELCAR_METRICS": str(directory / METRICS),
    }


@contextmanager
def _claimed(directory: Path, tell: Callable[[str], None]) -> Iterator[int]:
    """Hold the directory's lock, a file descriptor; the kernel lets it go with the last process that has it.

    Raises:
        InvalidInput: The directory holds something that no training left.
        TrainingError: It cannot be written to.
    """
    with ExitStack() as stack:
        with _writing(directory):
            directory.mkdir(parents=True, exist_ok=True)
            there = {entry.name for entry in directory.iterdir()} - {"lost+found"}
            if there and LOCK not in there:
                raise InvalidInput(
                    f"{directory} holds something else than a training", hint="Name an empty or a new directory."
                )
            lock = stack.enter_context((directory / LOCK).open("ab")).fileno()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f"another training is at work in {directory}; waiting for its end")
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{directory} cannot be written to: {error.strerror}") from error


def _clear(directory: Path, job: Job) -> None:
    """Remove what earlier trainings left, the mark first, and write what a trainer is given."""
    with _writing(directory):
        for name in (MARK, MODEL, METRICS):
            _remove(directory / name)
        (directory / MODEL).mkdir()
        (directory / RECIPE).write_text(json.dumps({**job.recipe.to_json(), "recipeKey": job.recipe_key}, indent=2))


def _read_mark(directory: Path, job: Job) -> dict[str, float] | None:
    """The metrics of a finished training of the same key; None when there is none, or its model is not there."""
    try:
        mark = json.loads((directory / MARK).read_bytes())
        if mark != _mark(job, check_model(directory / MODEL, job)):
            return None
        return read_metrics(directory / METRICS)
    except (FileNotFoundError, ValueError, TrainingError):
        return None


def _write_mark(directory: Path, job: Job, snapshot: ModelSnapshot) -> None:
    """Say that the training is done, when everything that it left is on the disk."""
    fresh = directory / f"{MARK}.new"
    with _writing(directory):
        fresh.write_text(json.dumps(_mark(job, snapshot)))
        for path in (*(directory / MODEL / file.path for file in snapshot.files), directory / METRICS, fresh):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        fresh.replace(directory / MARK)


def _mark(job: Job, snapshot: ModelSnapshot) -> dict[str, Any]:
    return {"recipeKey": job.recipe_key, "files": {file.path: file.size_bytes for file in snapshot.files}}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _is_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False
