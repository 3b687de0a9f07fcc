"""The pipelines on a real Kubeflow Pipelines, in pods of a restricted user: what they leave, and how they fail.

All runs are started at once, by the command, and each test looks at one of them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelcar_pipelines.connection import Server
from modelcar_pipelines.runs import ENDED, list_runs
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.demo_model import write_demo_model
from real.kfp_place import VARIABLES, KfpPlace, kfp_place, read_artifact

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(1500)]

COMMAND = str(Path(sys.executable).parent / "modelcar")
DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
"""Of the demo model on the sandbox's base image, as everywhere else."""
SERVICES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
DATA = "datasets/sandbox/demo-sentences"
TRAINING = f"""\
training:
  data: hf://{DATA}
  command: [python3, -m, modelcar_sandbox.stand_in_trainer]
  parameters: {{loss: "1.5"}}
  floors: {{loss: at most 2}}
"""


@dataclass
class Started:
    """A command that follows a run.

    Attributes:
        process: It, with its output.
        run_id: Of the run.
    """

    process: subprocess.Popen[str]
    run_id: str

    def end(self) -> tuple[int, str]:
        """Exit code, and what it wrote after the run's id."""
        out, err = self.process.communicate(timeout=1200)
        return self.process.returncode, out + err


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "pipeline", *arguments], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KfpPlace]:
    for name in VARIABLES:
        if not os.environ.get(name):
            pytest.skip(f"{name} is not set")
    directory = tmp_path_factory.mktemp("kfp")
    before = os.environ.get("KF_PIPELINES_ENDPOINT")
    os.environ["KF_PIPELINES_ENDPOINT"] = os.environ["REAL_KFP_ENDPOINT"]
    with kfp_place(directory, SERVICES) as made:
        write_demo_data(directory / "data")
        made.sandbox.hub.publish(DATA, directory / "data")
        yield made
    if before is None:
        del os.environ["KF_PIPELINES_ENDPOINT"]


@pytest.fixture(scope="module")
def start(place: KfpPlace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Started]:
    """Starts a pipeline on specs, and follows it."""
    done = _command("upload", "--image", os.environ["REAL_STEP_IMAGE"])
    assert done.returncode == 0, done.stderr
    directory = tmp_path_factory.mktemp("specs")

    def begin(pipeline: str, *specs: str) -> Started:
        words = [COMMAND, "pipeline", "run", pipeline, "--wait"]
        for spec in specs:
            path = directory / f"{len(list(directory.iterdir()))}.yaml"
            path.write_text(spec, encoding="utf-8")
            words += ["--spec", str(path)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"run ([0-9a-f-]{36})", first)
        assert found, first + process.stderr.read()
        return Started(process, found[1])

    return begin


@pytest.fixture(scope="module")
def runs(
    place: KfpPlace, start: Callable[..., Started], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Started]:
    started = {
        "promote-model": start("promote-model", place.spec("alpha")),
        "workspace": start("promote-model-workspace", place.spec("beta")),
        "models": start("promote-models", place.spec("gamma"), place.spec("delta")),
        "retrain": start("retrain-and-promote", place.spec("epsilon", TRAINING)),
        "late": start("promote-model", place.spec("zeta", source="hf://sandbox/late")),
        "missing": start("promote-model", place.spec("eta", source="hf://sandbox/never")),
        "cancelled": start("promote-model", place.spec("theta")),
    }
    late = (place, started["late"].run_id, tmp_path_factory.mktemp("late"))
    threading.Thread(target=_published_after_a_failure, args=late, daemon=True).start()
    done = _command("cancel", started["cancelled"].run_id)
    assert done.returncode == 0, done.stderr
    return started


def _published_after_a_failure(place: KfpPlace, run_id: str, directory: Path) -> None:
    """Publish the model that a run waits for, once its first attempt has failed."""
    server = Server(os.environ["REAL_KFP_ENDPOINT"])
    while True:
        details = server.call(server.runs.run_service_get_run, run_id).run_details
        if details and any(one.display_name == "executor(0)" and one.state == "FAILED" for one in details.task_details):
            break
        time.sleep(1)  # between looks at the server
    write_demo_model(directory / "model")
    place.sandbox.hub.publish("sandbox/late", directory / "model")


def _check_promoted(place: KfpPlace, service: str, digest: str = DIGEST) -> None:
    """One commit, one model version with a live artifact, and the image that both name."""
    image = f"{os.environ['REAL_OCI_REGISTRY']}/{place.name}/{service}@{digest}"
    assert f"storageUri: oci://{image}  # by digest" in place.manifest(service)
    assert len(place.commits(service)) == 2
    [artifact] = place.artifacts(service)
    assert (artifact["uri"], artifact["state"]) == (f"oci://{image}", "LIVE")


def test_a_promotion_leaves_image_version_commit_and_report(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["promote-model"].end()
    assert code == 0, told
    for step in ("Resolve", "Build and push", "Register", "Patch", "Report", "Report failures"):
        assert re.search(rf"✓ {step}  [0-9.]+ s", told), told
    assert re.search(r"^SUCCEEDED: \S+ on main names the new image; Argo CD rolls it out\.$", told, re.MULTILINE), told
    _check_promoted(place, "alpha")
    page = read_artifact(runs["promote-model"].run_id, "report-promotion", "page")
    assert DIGEST in page
    assert place.commits("alpha")[0]["sha"][:12] in page


def test_the_same_by_way_of_a_volume_is_the_same_image(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["workspace"].end()
    assert code == 0, told
    assert "✓ Download" in told
    _check_promoted(place, "beta")


def test_several_models_in_one_run(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["models"].end()
    assert code == 0, told
    _check_promoted(place, "gamma")
    _check_promoted(place, "delta")


def test_a_training_is_promoted_and_not_done_twice(
    place: KfpPlace, runs: dict[str, Started], start: Callable[..., Started]
) -> None:
    code, told = runs["retrain"].end()
    assert code == 0, told
    assert "✓ Retrain" in told
    assert "✓ Check metrics" in told
    [artifact] = place.artifacts("epsilon")
    digest = artifact["uri"].partition("@")[2]
    assert digest != DIGEST
    _check_promoted(place, "epsilon", digest)

    code, told = start("retrain-and-promote", place.spec("epsilon", TRAINING)).end()
    assert code == 0, told
    assert "▸ Retrain" not in told
    assert len(place.commits("epsilon")) == 2


def test_a_step_that_failed_is_tried_again(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["late"].end()
    assert code == 0, told
    _check_promoted(place, "zeta")


def test_a_failure_says_which_step_why_and_what_to_do(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["missing"].end()
    assert code == 2, told
    assert "✗ Resolve" in told
    assert re.search(r"^Resolve: \S+ has no model sandbox/never, or it is private$", told, re.MULTILINE), told
    assert "  Check the name; if the model is private, set HF_TOKEN" in told
    assert len(place.commits("eta")) == 1
    page = read_artifact(runs["missing"].run_id, "report-failure", "page")
    assert "has no model sandbox/never" in page
    assert "Check the name" in page


def test_a_cancelled_run_ends_the_wait(place: KfpPlace, runs: dict[str, Started]) -> None:
    code, told = runs["cancelled"].end()
    assert code == 1, told
    assert "CANCELED" in told
    assert len(place.commits("theta")) == 1


def test_a_schedule_fires(place: KfpPlace, runs: dict[str, Started], tmp_path: Path) -> None:
    runs["promote-model"].end()
    (tmp_path / "alpha.yaml").write_text(place.spec("alpha"), encoding="utf-8")
    spec = ["--spec", str(tmp_path / "alpha.yaml")]
    every_minute = ["--cron", "* * * * *", "--timezone", "Europe/Amsterdam", "--name", place.name]
    done = _command("schedule", "promote-model", *every_minute, *spec)
    assert done.returncode == 0, done.stderr
    server = Server(os.environ["REAL_KFP_ENDPOINT"])
    try:
        deadline = time.monotonic() + 600
        while True:
            fired = [one for one in list_runs(server, 50) if one.name.startswith(place.name)]
            if any(one.state in ENDED for one in fired):
                break
            assert time.monotonic() < deadline, fired
            time.sleep(2)  # between looks at the server
    finally:
        done = _command("unschedule", place.name, "--wait")
    assert done.returncode == 0, done.stderr
    assert [one.state for one in fired if one.state in ENDED][-1] == "SUCCEEDED"
    assert len(place.commits("alpha")) == 2
