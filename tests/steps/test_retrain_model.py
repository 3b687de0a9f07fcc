"""The training step, in a process of its own as a pod has it, with base model and data on a Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from modelcar.steps.note import VARIABLE
from modelcar_sandbox import stand_in_trainer
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service

PROGRAM = """
import json, sys
from modelcar.steps.retrain import check_metrics, retrain_model
spec, commit, directory = sys.argv[1:]
outputs, metrics = retrain_model(spec, {}, data_commit=commit, recipe_key="a" * 64, directory=directory)
told = {key: value for key, value in json.loads(outputs.record).items() if key != "seconds"}
print(json.dumps({"directory": outputs.directory, "metrics": dict(metrics), "record": told}))
check_metrics(spec, metrics=outputs.metrics)
"""


@dataclass(frozen=True)
class Place:
    root: Path
    url: str
    data_commit: str

    def run(self, **training: object) -> subprocess.CompletedProcess[str]:
        """Train and check the metrics."""
        wanted = {
            "data": "hf://datasets/acme/answers",
            "command": [sys.executable, str(stand_in_trainer.__file__)],
            **training,
        }
        spec = {
            "apiVersion": "modelcar.dev/v1alpha1",
            "kind": "PromotionSpec",
            "model": {"source": "hf://acme/base"},
            "training": wanted,
        }
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.root), "HF_ENDPOINT": self.url, "NO_PROXY": "127.0.0.1"}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(spec), self.data_commit, str(self.root / "volume")],
            env={**kept, VARIABLE: str(self.root / "note")},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    hub = Hub(tmp_path / "hub")
    write_demo_model(tmp_path / "base")
    hub.publish("acme/base", tmp_path / "base")
    # What no model may hold, and data may: a pickle in a directory that is clutter beside weights.
    files: dict[str, bytes | Path] = {"original/a.pt": b"\x80\x04.", "train.jsonl": b"{}\n" * 4}
    commit = hub.publish("datasets/acme/answers", files)
    hub.publish("datasets/acme/answers", {"train.jsonl": b""})
    with Service(create_app(hub.directory)) as service:
        yield Place(tmp_path, service.url, commit)


def test_a_model_is_trained_on_the_commit_of_the_data_that_was_resolved(place: Place) -> None:
    done = place.run(floors={"loss": "at most 1"})
    assert done.returncode == 0, done.stderr
    outputs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert outputs == {
        "directory": (place.root / "volume/trained/model").as_uri(),
        "metrics": {"lines": 4.0, "loss": 1.0},
        "record": {
            "trained": True,
            "metrics": {"loss": 1.0, "lines": 4.0},
            "data": f"hf://datasets/acme/answers@{place.data_commit}",
        },
    }
    assert (place.root / "volume/data/original/a.pt").read_bytes() == b"\x80\x04."
    assert "stand-in trainer: 4 lines of data, parameters {}" in done.stdout
    assert done.stdout.splitlines()[-1] == "loss is 1 (floor: at most 1)"
    again = place.run(floors={"loss": "at most 1"})
    assert "trained already" in again.stdout


def test_data_with_a_long_path_end_no_finished_training(place: Place) -> None:
    directory = place.root / ("a" * 150) / ("b" * 150)
    directory.mkdir(parents=True)
    (directory / "train.jsonl").write_text("{}\n" * 4)
    done = replace(place, data_commit="").run(data=directory.as_uri())
    assert done.returncode == 0, done.stderr
    outputs = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert outputs["record"] == {"trained": True, "metrics": {"loss": 1.0, "lines": 4.0}}


def test_metrics_below_their_floors_end_the_promotion_as_the_callers_business(place: Place) -> None:
    done = place.run(floors={"loss": "at most 0.5"})
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == ("Error: the trained model is not promoted: loss is 1 (floor: at most 0.5)")


def test_a_trainer_that_fails_ends_the_step_with_its_last_line(place: Place) -> None:
    done = place.run(parameters={"fail": "3"})
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "Error: the training failed with exit code 3; its last line was: stand-in trainer: told to fail"
    )
