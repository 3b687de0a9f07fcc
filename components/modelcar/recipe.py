"""Which training a training is, known before it is done: the recipe key.

It is a digest over the base model, the data and the recipe. It stands on the model version that came of the training,
so that a scheduled retraining finds out in seconds that there is nothing new to train.

Where a source has commits, its commit hash says what it holds and nothing is read. A directory has none, so its files
are read; its place does not count, for the same data may be mounted elsewhere tomorrow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from modelcar.retry import retry
from modelcar.snapshot import ModelFile, ModelSnapshot, Source
from modelcar.spec import TrainingSpec

RECIPE_FORMAT_VERSION = "1"
"""Names the rules of this module, and what a trainer is given: other rules, another training."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a trainer does with a base model and data.

    Attributes:
        entry_point: `package.module:function`; None when there is a command.
        command: Program and arguments; empty when there is an entry point.
        image: What it runs in, as the spec names it; None for the image of the other steps, which does not count.
        parameters: What it is told.
    """

    entry_point: str | None
    command: tuple[str, ...]
    image: str | None
    parameters: Mapping[str, str]

    @classmethod
    def of(cls, training: TrainingSpec) -> Self:
        """What a spec says of it; floors are no part of a recipe."""
        image = str(training.image) if training.image is not None else None
        return cls(training.entry_point, training.command, image, training.parameters)

    def to_json(self) -> dict[str, Any]:
        """The recipe as a JSON object; what a trainer is given, too."""
        return {
            "entryPoint": self.entry_point,
            "command": list(self.command),
            "image": self.image,
            "parameters": dict(self.parameters),
        }


def identify(snapshot: ModelSnapshot, source: Source) -> str:
    """Say which files a base model or a data set has.

    Args:
        snapshot: The files that are taken.
        source: Where the snapshot comes from; read when it has no commits, once, in full.

    Returns:
        64 hex digits. Of a source with commits, over its uri, the commit hash and the paths; of another, over each
        file's path, size and sha256.

    Raises:
        SourceError: A file cannot be read, or changed since it was listed.
    """
    if snapshot.commit_hash is not None:
        paths = [file.path for file in snapshot.files]
        return _digest({"uri": snapshot.uri, "commit": snapshot.commit_hash, "paths": paths})
    files = [[file.path, file.size_bytes, retry(partial(_sha256, source, file))] for file in snapshot.files]
    return _digest({"files": files})


def compute_recipe_key(base: str, data: str, recipe: Recipe) -> str:
    """Which training this is.

    Args:
        base: Identity of the base model, from `identify`.
        data: Identity of the data, from `identify`.
        recipe: What is done with them.

    Returns:
        64 hex digits.
    """
    return _digest({"base": base, "data": data, "recipe": recipe.to_json(), "format": RECIPE_FORMAT_VERSION})


def _sha256(source: Source, file: ModelFile) -> str:
    digest = hashlib.sha256()
    with source.open(file) as blocks:
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
