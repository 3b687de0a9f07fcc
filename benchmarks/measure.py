"""Timed runs: one command each, several kinds in turn, and the lines of a table that come of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

GIB = 1 << 30
MIB = 1 << 20
MODELCAR = (sys.executable, "-c", "from modelcar.cli import main; main()")


@dataclass(frozen=True)
class Run:
    """One timed run of a command, start-up and children included.

    Attributes:
        seconds: By the clock.
        cpu_s: User and system.
        peak_bytes: Largest resident size of any one of its processes.
        written_bytes: Handed to a file system on a disk; those in memory do not count.
        output: What it printed.
    """

    seconds: float
    cpu_s: float
    peak_bytes: int
    written_bytes: int
    output: bytes


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end; when it fails, this process ends with its last words."""
    with tempfile.TemporaryFile() as words:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=words
        )
        output = process.stdout.read() if process.stdout is not None else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words.seek(0)
            sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{words.read().decode()[-2000:]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, usage.ru_oublock << 9, output)


def take_turns(kinds: Mapping[str, Callable[[], Run]], runs: int) -> dict[str, list[Run]]:
    """Run every kind once, then every kind again, and so on; the first round is a warm-up and does not count."""
    results: dict[str, list[Run]] = {name: [] for name in kinds}
    for number in range(runs + 1):
        for name, measure in kinds.items():
            done = measure()
            if number:
                results[name].append(done)
                print(f"  {number}/{runs} {name}: {done.seconds:.2f} s", file=sys.stderr)
    return results


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def ratios(these: Sequence[Run], those: Sequence[Run]) -> list[float]:
    """Round by round, for a machine that is slow for a while is so for both."""
    return [this.seconds / that.seconds for this, that in zip(these, those, strict=True)]


def table(results: Mapping[str, Sequence[Run]], own: str, moved_bytes: int = 0) -> list[str]:
    """Lines of Markdown: each kind, and how many times as long as it the kind `own` took."""
    rate = " GiB/s |" if moved_bytes else ""
    lines = [f"| | seconds |{rate} CPU s | peak memory MiB | written to disk MiB | {own} takes |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for name, done in results.items():
        seconds = [one.seconds for one in done]
        speed = f" {moved_bytes / GIB / statistics.median(seconds):.2f} |" if moved_bytes else ""
        times = "" if name == own else f"{spread(ratios(results[own], done))} x"
        lines.append(
            f"| {name} | {spread(seconds)} |{speed} {statistics.median(one.cpu_s for one in done):.1f} "
            f"| {max(one.peak_bytes for one in done) / MIB:.0f} "
            f"| {max(one.written_bytes for one in done) / MIB:.0f} | {times} |"
        )
    return lines
