"""Time a promotion in a pipeline beside one without, and compiling beside the import that it cannot do without.

    python benchmarks/pipelines.py [--runs 5]

All commands are processes of their own, start-up included, against sandboxes that were just filled: every promotion
moves the demo model, registers and commits it. Runs alternate; the first of each kind is a warm-up and does not count.
The sandbox's pipeline server starts a process for each step, as a cluster starts a pod, but without the seconds that
scheduling and pulling take there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from modelcar_sandbox.sandbox import Sandbox

COMMAND = [sys.executable, "-c", "from modelcar.cli import main; main()"]


def main() -> None:
    """Run the two pairs, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    print("| | seconds | beside | seconds | ratio, pair by pair |\n|---|---|---|---|---|")
    _print("promotion in a pipeline", "`modelcar promote`", _alternate(runs, _promote_in_pipeline, _promote))
    _print("`modelcar pipeline compile`, all four", "`import kfp`", _alternate(runs, _compile, _import_kfp))


def _alternate(runs: int, one: Callable[[], float], other: Callable[[], float]) -> list[tuple[float, float]]:
    """Seconds of both kinds, in pairs; the first pair is dropped."""
    return [(one(), other()) for _ in range(runs + 1)][1:]


def _print(name: str, beside: str, pairs: list[tuple[float, float]]) -> None:
    ratios = [first / second for first, second in pairs]
    cells = [name, _spread([first for first, _ in pairs]), beside, _spread([second for _, second in pairs])]
    print("| " + " | ".join([*cells, _spread(ratios)]) + " |", flush=True)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _promote() -> float:
    with tempfile.TemporaryDirectory() as directory, Sandbox(Path(directory)) as sandbox:
        return _time(["promote", "--json", str(sandbox.promotion_spec)], sandbox.environment)


def _promote_in_pipeline() -> float:
    with tempfile.TemporaryDirectory() as directory, Sandbox(Path(directory)) as sandbox:
        _time(["pipeline", "upload", "promote-model"], sandbox.environment)
        run = ["pipeline", "run", "promote-model", "--wait", "--spec", str(sandbox.promotion_spec)]
        return _time(run, sandbox.environment)


def _compile() -> float:
    with tempfile.TemporaryDirectory() as directory:
        return _time(["pipeline", "compile", "--dir", directory], {})


def _import_kfp() -> float:
    return _time_process([sys.executable, "-c", "import kfp"], {})


def _time(arguments: list[str], environment: dict[str, str]) -> float:
    return _time_process([*COMMAND, *arguments], environment)


def _time_process(words: list[str], environment: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(words, env=os.environ | environment, check=True, capture_output=True)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
