from __future__ import annotations

import pytest

from modelcar.errors import InvalidInput
from modelcar.quantities import format_seconds, parse_bytes


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


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("4096", 4096),
        ("20GiB", 20 << 30),
        ("24Gi", 24 << 30),
        ("10G", 10**10),
        ("10GB", 10**10),
        ("1.5 KiB", 1536),
        ("512k", 512_000),
        ("2TiB", 2 << 40),
    ],
)
def test_sizes_are_read_as_people_and_kubernetes_write_them(text: str, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1iB", "1 apple", "0", "0GiB", "1e9", "\u0661", "1.GiB", "0.1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        parse_bytes(text)
