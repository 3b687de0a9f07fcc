"""What a training measured, and the floors that a spec sets for it.

A trainer tells its metrics as one JSON object of finite numbers. `decide` says whether they are good enough for the
promotion to go on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelcar.errors import BelowFloor, InvalidInput, TrainingError

MAX_BYTES = 1 << 20
_FLOOR = re.compile(r"at (least|most) (-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Floor:
    """What a metric must hold.

    Attributes:
        side: "least" for a lower bound, "most" for an upper one; the bound itself holds.
        bound: Finite.
    """

    side: Literal["least", "most"]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Floor:
        """Read `at least 0.8` or `at most 2.5`.

        Raises:
            InvalidInput: It is written in another way, or the number is too large.
        """
        found = _FLOOR.fullmatch(text)
        if found is None or not math.isfinite(float(found[2])):
            number = text.strip("<>= ")
            shown = number if _FLOOR.fullmatch(f"at least {number}") else "0.8"
            raise InvalidInput(f"{text!r} is not a floor", hint=f"Write at least {shown}, or at most {shown}.")
        return cls("least" if found[1] == "least" else "most", float(found[2]))

    def holds(self, value: float) -> bool:
        """Whether a value is on the right side; NaN never is."""
        return value >= self.bound if self.side == "least" else value <= self.bound

    def __str__(self) -> str:
        return f"at {self.side} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class FloorResult:
    """One floor held against one metric.

    Attributes:
        metric: Name.
        floor: What was asked for.
        value: What was measured; None when the training does not tell this metric.
    """

    metric: str
    floor: Floor
    value: float | None

    @property
    def holds(self) -> bool:
        """Whether it was measured and is on the right side."""
        return self.value is not None and self.floor.holds(self.value)

    def __str__(self) -> str:
        measured = "is missing" if self.value is None else f"is {self.value:g}"
        return f"{self.metric} {measured} (floor: {self.floor})"


@dataclass(frozen=True, slots=True)
class FloorsReport:
    """Every floor of a spec, sorted by the names of the metrics."""

    results: tuple[FloorResult, ...]

    @property
    def failed(self) -> tuple[FloorResult, ...]:
        """Those that do not hold."""
        return tuple(result for result in self.results if not result.holds)


def check_floors(metrics: Mapping[str, float], floors: Mapping[str, Floor]) -> FloorsReport:
    """Hold floors against metrics; a metric that is missing, or NaN, fails."""
    return FloorsReport(tuple(FloorResult(name, floor, metrics.get(name)) for name, floor in sorted(floors.items())))


def decide(metrics: Mapping[str, float], floors: Mapping[str, Floor]) -> FloorsReport:
    """Decide whether a trained model may be promoted: the one place where that is decided.

    Args:
        metrics: What the training measured.
        floors: What the spec asks for; without any, everything may.

    Returns:
        The floors, all of which hold.

    Raises:
        BelowFloor: Some do not; the message names each with its value.
    """
    report = check_floors(metrics, floors)
    if report.failed:
        raise BelowFloor(
            f"the trained model is not promoted: {'; '.join(map(str, report.failed))}",
            hint="Train with other data or parameters, or change training.floors in the spec.",
        )
    return report


def read_metrics(path: Path) -> dict[str, float]:
    """Read what a trainer measured.

    Args:
        path: A JSON object of finite numbers, at most 1 MiB.

    Returns:
        The metrics, sorted by name.

    Raises:
        TrainingError: There is no such file, or it holds something else.
    """
    where = f"{path.name} of the training"
    hint = 'The trainer writes one JSON object of finite numbers there: {"loss": 1.5}.'
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise TrainingError(f"the training wrote no {path.name}", hint=hint) from None
    except OSError as error:
        raise TrainingError(f"{where} cannot be read: {error.strerror}", hint=hint) from error
    try:
        value = json.loads(content) if len(content) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{where} is not JSON", hint=hint) from error
    if not isinstance(value, dict):
        raise TrainingError(f"{where} is not a JSON object", hint=hint)
    for name, number in value.items():
        if not _is_finite(number):
            raise TrainingError(
                f"the metric {name!r} of the training is {_show(number)}, not a finite number", hint=hint
            )
    return {name: float(number) for name, number in sorted(value.items())}


def _is_finite(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
