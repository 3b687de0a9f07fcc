"""Sizes and times for people."""

from __future__ import annotations

import re

from modelcar.errors import InvalidInput

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(i?)B?")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_bytes(size_bytes: float) -> str:
    """A size: three digits or so, binary units."""
    unit = 0
    while size_bytes >= 1024 and unit < len(_UNITS) - 1:
        size_bytes, unit = size_bytes / 1024, unit + 1
    return f"{size_bytes:.0f} {_UNITS[unit]}" if unit == 0 else f"{size_bytes:.1f} {_UNITS[unit]}"


def parse_bytes(text: str) -> int:
    """A size as people and Kubernetes write it: `20GiB`, `24Gi`, `10GB`, `10G`, `4096`.

    Raises:
        InvalidInput: It is none, or nothing.
    """
    found = _SIZE.fullmatch(text.strip())
    power = " KMGT".index(found[2].upper() or " ") if found is not None else 0
    size_bytes = int(float(found[1]) * (1024 if found[3] else 1000) ** power) if found is not None else 0
    if found is None or (found[3] and not found[2]) or not size_bytes:
        raise InvalidInput(f"{text!r} is not a size", hint="Write 20GiB, 512MiB or a number of bytes.")
    return size_bytes


def format_seconds(seconds: float) -> str:
    """A time: `0.4 s`, `42 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
