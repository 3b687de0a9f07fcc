from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import BelowFloor, TrainingError
from modelcar.metrics import Floor, check_floors, decide, read_metrics

LOSS = {"loss": Floor("most", 2.5)}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FLOORS = st.builds(Floor, st.sampled_from(["least", "most"]), NUMBERS)


def test_metrics_that_hold_every_floor_are_promoted() -> None:
    report = decide({"loss": 2.5, "accuracy": 0.9, "tokens": 7.0}, {**LOSS, "accuracy": Floor("least", 0.9)})
    assert [str(result) for result in report.results] == [
        "accuracy is 0.9 (floor: at least 0.9)",
        "loss is 2.5 (floor: at most 2.5)",
    ]


def test_without_floors_everything_is_promoted() -> None:
    assert decide({}, {}).results == ()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"loss": 2.51}, "loss is 2.51 (floor: at most 2.5)"),
        ({}, "loss is missing (floor: at most 2.5)"),
        ({"loss": math.nan}, "loss is nan (floor: at most 2.5)"),
        ({"Loss": 1.0}, "loss is missing (floor: at most 2.5)"),
    ],
)
def test_a_metric_that_does_not_hold_stops_the_promotion_by_name_value_and_floor(
    metrics: dict[str, float], message: str
) -> None:
    with pytest.raises(BelowFloor) as caught:
        decide(metrics, LOSS)
    assert str(caught.value) == f"the trained model is not promoted: {message}"
    assert caught.value.exit_code == 2
    assert not caught.value.retryable


def test_all_that_do_not_hold_are_named() -> None:
    with pytest.raises(BelowFloor, match=r"accuracy is missing .*; loss is 3 "):
        decide({"loss": 3.0}, {**LOSS, "accuracy": Floor("least", 0.9)})


@given(st.dictionaries(st.sampled_from("abc"), st.floats()), st.dictionaries(st.sampled_from("abcd"), FLOORS))
def test_decide_raises_exactly_when_a_floor_fails(metrics: dict[str, float], floors: dict[str, Floor]) -> None:
    report = check_floors(metrics, floors)
    assert [result.metric for result in report.results] == sorted(floors)
    if report.failed:
        with pytest.raises(BelowFloor):
            decide(metrics, floors)
    else:
        assert decide(metrics, floors) == report


@given(NUMBERS, FLOORS)
def test_a_value_fails_on_one_side_only(value: float, floor: Floor) -> None:
    other = Floor("most" if floor.side == "least" else "least", floor.bound)
    assert floor.holds(value) or other.holds(value)
    assert (floor.holds(value) and other.holds(value)) == (value == floor.bound)
    assert floor.holds(floor.bound)


@given(st.sampled_from(["least", "most"]), NUMBERS)
def test_a_floor_is_read_as_python_writes_a_number(side: str, bound: float) -> None:
    assert Floor.parse(f"at {side} {bound!r}") == Floor("least" if side == "least" else "most", bound)


def test_metrics_are_read_sorted_by_name(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"loss": 1.5, "eval/loss": 2, "a": -1e-3}')
    assert list(read_metrics(tmp_path / "metrics.json").items()) == [("a", -0.001), ("eval/loss", 2.0), ("loss", 1.5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the training wrote no metrics.json"),
        ("", "metrics.json of the training is not JSON"),
        ("loss: 1", "metrics.json of the training is not JSON"),
        ("\xff\xff", "metrics.json of the training is not JSON"),
        ("[" * 100_000, "metrics.json of the training is not JSON"),
        ("[1]", "metrics.json of the training is not a JSON object"),
        (json.dumps({"x" * (1 << 20): 1}), "metrics.json of the training is not a JSON object"),
        ('{"loss": NaN}', "the metric 'loss' of the training is NaN, not a finite number"),
        ('{"loss": -Infinity}', "the metric 'loss' of the training is -Infinity, not a finite number"),
        ('{"loss": "1.5"}', "the metric 'loss' of the training is \"1.5\", not a finite number"),
        ('{"loss": true}', "the metric 'loss' of the training is true, not a finite number"),
        ('{"loss": {"eval": 1}}', "the metric 'loss' of the training is {\"eval\": 1}, not a finite number"),
        ('{"n": 1' + "0" * 400 + "}", f"the metric 'n' of the training is 1{'0' * 39}…, not a finite number"),
    ],
    ids=lambda value: str(value)[:16],
)
def test_metrics_that_are_none_are_refused_by_name(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(TrainingError) as caught:
        read_metrics(tmp_path / "metrics.json")
    assert str(caught.value) == message
    assert caught.value.exit_code == 1


def test_metrics_that_are_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"of the training cannot be read: Is a directory$"):
        read_metrics(tmp_path)
