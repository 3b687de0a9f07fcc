"""What a recipe may say to the small trainer, and the texts that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

LARGEST_SEED = 2**63 - 1


class WrongRecipe(Exception):
    """A parameter or a line of the data cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The parameters of a recipe, with every default filled in.

    Attributes:
        epochs: Passes over the data.
        learning_rate: Of AdamW at the first step; falls to nothing in a straight line.
        batch_size: Blocks in a step.
        block_tokens: Tokens in a block; texts are put one behind the other and cut into blocks.
        holdout: Part of the texts, the last ones, that measures and does not train; at least one text.
        seed: Of the order of the blocks.
        threads: Of the CPU. More are faster, but add up in another order: other last digits, another model.
    """

    epochs: int = 3
    learning_rate: float = 1e-3
    batch_size: int = 8
    block_tokens: int = 64
    holdout: float = 0.1
    seed: int = 0
    threads: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Self:
        """Read the parameters of a recipe.

        Raises:
            WrongRecipe: One that does not exist, is no number, or is out of bounds.
        """
        unknown = sorted(set(parameters) - {field.name for field in fields(cls)})
        if unknown:
            raise WrongRecipe(f"there is no parameter {unknown[0]!r}; there are {', '.join(_BOUNDS)}")
        return cls(**{name: _read(name, text) for name, text in parameters.items()})  # type: ignore[arg-type]


_BOUNDS: Mapping[str, tuple[type[int | float], float, float]] = {
    "epochs": (int, 1, 10_000),
    "learning_rate": (float, 0.0, 1.0),
    "batch_size": (int, 1, 100_000),
    "block_tokens": (int, 2, 1_000_000),
    "holdout": (float, 0.0, 0.9),
    "seed": (int, 0, LARGEST_SEED),
    "threads": (int, 1, 1024),
}


def _read(name: str, text: str) -> float:
    kind, least, most = _BOUNDS[name]
    try:
        value = kind(text)
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise WrongRecipe(f"parameter {name} is {text!r}, not {what}") from error
    if not least <= value <= most:
        raise WrongRecipe(f"parameter {name} is {text}; {least:g} to {most:g} is possible")
    return value


def read_texts(directory: Path) -> list[str]:
    """Read the texts of a data set.

    Args:
        directory: Its `*.jsonl`, wherever they lie, hold one JSON object a line with a `text`; other files are left
            alone.

    Returns:
        The texts, by the order of their files' paths and of their lines.

    Raises:
        WrongRecipe: There are none, or a line is something else.
    """
    texts = []
    for path in sorted(directory.rglob("*.jsonl"), key=lambda path: path.relative_to(directory).as_posix()):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if line.strip():
                texts.append(_text(line, f"{path.relative_to(directory)}:{number}"))
    if not texts:
        raise WrongRecipe(f"{directory} has no *.jsonl with texts")
    return texts


def _text(line: bytes, where: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, LookupError, TypeError) as error:
        raise WrongRecipe(f'{where}: is not an object with a text: {{"text": "…"}}') from error
    if not isinstance(text, str) or not text.strip():
        raise WrongRecipe(f"{where}: its text is blank, or no text")
    return text
