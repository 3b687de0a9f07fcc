from __future__ import annotations

import pytest

from modelcar.quantities import format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7800.0, "2 h 10 min"),
        (100_000.0, "27 h 47 min"),
    ],
)
def test_times_are_told_as_people_tell_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
