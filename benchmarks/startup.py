"""Time what a command costs before it does anything, beside a Python that does nothing.

python benchmarks/startup.py [--runs 20]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import MODELCAR, Run, ratios, run, spread, take_turns


def main() -> None:
    """Run, print the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--runs", type=int, default=20)
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        push = [*MODELCAR, "push", f"file://{model}", f"oci-layout:{temporary}/layout", "--base-image", "scratch"]
        kinds = {
            "python -c pass": partial(run, [sys.executable, "-c", "pass"]),
            "modelcar --help": partial(run, [*MODELCAR, "--help"]),
            "modelcar push, nothing new": partial(run, push),
        }
        results = take_turns(kinds, runs)
    print("\n".join(report(results)))


def report(results: dict[str, list[Run]]) -> list[str]:
    """Lines of Markdown."""
    nothing = results["python -c pass"]
    lines = ["| | ms | x `python -c pass` |", "|---|---|---|"]
    for name, done in results.items():
        milliseconds = statistics.median(one.seconds for one in done) * 1000
        lines.append(f"| `{name}` | {milliseconds:.0f} | {spread(ratios(done, nothing))} |")
    return lines


if __name__ == "__main__":
    main()
