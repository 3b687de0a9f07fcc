from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelcar.steps.note import VARIABLE

SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: hf://acme/base}
image: {repository: quay.io/acme/tiny-llama}
modelRegistry: {url: http://127.0.0.1:1, registeredModel: tiny-llama}
inferenceService: {repository: file:///nowhere, path: a.yaml, name: tiny-llama}
training: {data: file:///data, entryPoint: trainer:train}
"""


def run(program: str, spec: str, directory: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A program that is given a spec, as a step's process is."""
    return subprocess.run(
        [sys.executable, "-c", program, spec],
        env={"PATH": os.environ["PATH"], VARIABLE: str(directory / "note"), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_spec_that_trains_first_is_not_promoted_untrained(tmp_path: Path) -> None:
    program = "import sys; from modelcar.steps.resolve import resolve_model; resolve_model(sys.argv[1], {})"
    done = run(program, SPEC, tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "Error: the spec of tiny-llama has a training, and promoting alone trains nothing"
    )


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        ("from modelcar.steps.resolve import resolve_model; done = resolve_model(sys.argv[1], {}, **when)", "False"),
        (
            "from modelcar.steps.retrain import resolve_training; "
            "done = resolve_training(sys.argv[1], {}, step_image='quay.io/a/b:1', **when)",
            "skip",
        ),
    ],
)
def test_a_run_at_the_wrong_one_of_two_hours_has_nothing_to_do_and_asks_nobody(
    tmp_path: Path, call: str, outcome: str
) -> None:
    program = (
        "import sys; when = {'scheduled': '0 2 * * * Europe/Amsterdam', 'created_at': '2026-07-01T01:00:05Z'}; "
        f"{call}; print(done[0])"
    )
    done = run(program, SPEC, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "skipped: 2026-07-01 03:00 in Europe/Amsterdam is no time of the schedule 0 2 * * *; "
    )
    assert done.stdout.splitlines()[-1] == outcome


def test_a_scheduled_run_of_a_spec_on_hold_has_nothing_to_do(tmp_path: Path) -> None:
    spec = (
        SPEC.partition("training:")[0] + "hold: 'Заморожено до понедельника, потому что " + "так решили " * 40 + "'\n"
    )
    program = (
        "import sys; from modelcar.steps.resolve import resolve_model; "
        "done = resolve_model(sys.argv[1], {}, scheduled='0 2 * * * UTC', created_at='2026-11-26T02:00:05Z'); "
        "print(done.proceed)"
    )
    done = run(program, spec, tmp_path, PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("skipped: promotions of tiny-llama are on hold: Заморожено")
    assert done.stdout.splitlines()[-1] == "False"
