"""The command of a Tekton step: runs one component, whose inputs are variables and whose outputs become results."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelcar.errors import PromotionError
from modelcar.steps.note import Note
from modelcar_tekton.contract import load_component, load_source
from modelcar_tekton.results import write_failure
from modelcar_tekton.step import run_step


def main(words: Sequence[str]) -> int:
    """Run a component; returns the exit code: 2 when an input is at fault."""
    parser = argparse.ArgumentParser(prog="python3 -m modelcar_tekton", description=__doc__)
    parser.add_argument("component", help="module of a component of this image, or a function of --source")
    parser.add_argument("--source", help="Python that defines the component")
    parser.add_argument("--now", action="append", default=[], metavar="INPUT", help="an input that is the time now")
    given = parser.parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="modelcar-source-") as directory:
            contract = (
                load_component(given.component)
                if given.source is None
                else load_source(given.source, given.component, Path(directory))
            )
            run_step(contract, given.now)
    except PromotionError as error:
        note = Note(given.component.rpartition(".")[2], str(error), error.hint, error.exit_code)
        print(note, file=sys.stderr)
        write_failure(note)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
