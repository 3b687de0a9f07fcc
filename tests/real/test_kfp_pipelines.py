"""The pipelines on a real Kubeflow Pipelines, in pods of a restricted user: what they leave, and how they fail.

The runs are started by the command, a few at once, and each test looks at one of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pytest
from kubernetes import client, config

from components.inputs import DIGEST
from modelcar.quantities import format_bytes
from modelcar_pipelines.connection import Server
from modelcar_pipelines.runs import ENDED, list_runs
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.sandbox import DEMO_DATA
from real.kfp_artifacts import read_artifact
from real.place import VARIABLES, RealPlace, real_place
from real.tekton_namespace import VARIABLES as TEKTON_VARIABLES
from real.tekton_namespace import open_namespace
from real_servers import require

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(1500)]

COMMAND = str(Path(sys.executable).parent / "modelcar")
SERVICES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "omega", "sigma")
AT_ONCE = 3
"""Runs; more would each take longer, and on a node that is too busy Argo loses some (`_lost_by_argo`)."""
TRAINING = f"""\
training:
  data: hf://{DEMO_DATA}
  command: [python3, -m, modelcar_sandbox.stand_in_trainer]
  parameters: {{loss: "1.5"}}
  floors: {{loss: at most 2}}
"""


@dataclass(frozen=True)
class Ended:
    """A run that has ended.

    Attributes:
        code: The exit code of the command that followed it.
        told: What that command wrote.
        run_id: Of the run.
    """

    code: int
    told: str
    run_id: str


Run = Callable[..., Ended]
Runs = dict[str, Future[Any]]


def _command(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "pipeline", *arguments], env=env, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlace]:
    require(*VARIABLES, "REAL_KFP_RUNS", "REAL_KFP_ENDPOINT", "REAL_KFP_NAMESPACE")
    directory = tmp_path_factory.mktemp("kfp")
    before = os.environ.get("KF_PIPELINES_ENDPOINT")
    os.environ["KF_PIPELINES_ENDPOINT"] = os.environ["REAL_KFP_ENDPOINT"]
    with real_place(directory, SERVICES, os.environ["REAL_KFP_NAMESPACE"]) as made:
        write_demo_data(directory / "data")
        made.sandbox.hub.publish(DEMO_DATA, directory / "data")
        yield made
    if before is None:
        del os.environ["KF_PIPELINES_ENDPOINT"]


@pytest.fixture(scope="module")
def run(place: RealPlace, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a pipeline on specs to its end; `meanwhile` is given the run's id and its command's standard error."""
    done = _command("upload", "--image", os.environ["REAL_STEP_IMAGE"])
    assert done.returncode == 0, done.stderr

    def begin(pipeline: str, *specs: str, meanwhile: Callable[[str, IO[str]], str] = lambda *_: "") -> Ended:
        directory = tmp_path_factory.mktemp("specs")
        words = [COMMAND, "pipeline", "run", pipeline, "--wait"]
        for number, spec in enumerate(specs):
            path = directory / f"{number}.yaml"
            path.write_text(spec, encoding="utf-8")
            words += ["--spec", str(path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            found = re.search(r"run ([0-9a-f-]{36})", first)
            assert found, first + process.stderr.read()
            told = meanwhile(found[1], process.stderr)
            out, err = process.communicate(timeout=1200)
        ended = Ended(process.returncode, told + out + err, found[1])
        if not _lost_by_argo(ended):
            return ended
        again = begin(pipeline, *specs)
        return Ended(again.code, ended.told + again.told, ended.run_id)

    return begin


def _lost_by_argo(ended: Ended) -> bool:
    """Whether a run failed because Argo, on a busy node, stopped a pod's waiting container before that had begun.

    Go ends with exit code 2 then, and says nothing; no pipeline can do anything about it. Any other failure of a pod
    of Kubeflow's own is one.
    """
    if ended.code != 1 or "Kubeflow: its pod" not in ended.told:
        return False
    objects = client.CustomObjectsApi(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    place = ("argoproj.io", "v1alpha1", os.environ["REAL_KFP_NAMESPACE"], "workflows")
    found = objects.list_namespaced_custom_object(*place, label_selector=f"pipeline/runid={ended.run_id}")["items"]
    nodes = [node for one in found for node in one["status"]["nodes"].values()]
    return any(str(node.get("message")).startswith("wait: Error (exit code 2)") for node in nodes)


@pytest.fixture(scope="module")
def runs(place: RealPlace, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    model = tmp_path_factory.mktemp("late")
    never = "hf://sandbox/never"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            "promote-model": pool.submit(run, "promote-model", place.spec("alpha")),
            "retrain": pool.submit(_retrain_twice, place, run),
            "missing": pool.submit(run, "promote-model", place.spec("eta", source=never)),
            "models": pool.submit(
                run, "promote-models", place.spec("gamma"), place.spec("iota", source=never), place.spec("delta")
            ),
            "late": pool.submit(
                run,
                "promote-model",
                place.spec("zeta", source="hf://sandbox/late"),
                meanwhile=lambda run_id, _: _publish_after_a_failure(place, run_id, model),
            ),
            "workspace": pool.submit(run, "promote-model-workspace", place.spec("beta")),
            "cancelled": pool.submit(run, "promote-model", place.spec("theta"), meanwhile=_cancel_in_a_step),
        }


def _cancel_in_a_step(run_id: str, lines: IO[str]) -> str:
    """Cancel a run while it pushes."""
    told = ""
    for line in lines:
        told += line
        if "▸ Build and push" in line:
            done = _command("cancel", run_id)
            assert done.returncode == 0, done.stderr
            break
    return told


def _retrain_twice(place: RealPlace, run: Run) -> tuple[Ended, Ended]:
    spec = place.spec("epsilon", TRAINING)
    return run("retrain-and-promote", spec), run("retrain-and-promote", spec)


def _publish_after_a_failure(place: RealPlace, run_id: str, directory: Path) -> str:
    """Publish the model that a run waits for, once its first attempt has failed."""
    server = Server(os.environ["REAL_KFP_ENDPOINT"])
    while True:
        details = server.call(server.runs.run_service_get_run, run_id).run_details
        if details and any(one.display_name == "executor(0)" and one.state == "FAILED" for one in details.task_details):
            break
        time.sleep(1)  # between looks at the server
    write_demo_model(directory / "model")
    place.sandbox.hub.publish("sandbox/late", directory / "model")
    return ""


def _check_promoted(place: RealPlace, service: str, digest: str = DIGEST) -> None:
    """One commit, one model version with a live artifact, and the image that both name."""
    image = f"{os.environ['REAL_OCI_REGISTRY']}/{place.name}/{service}@{digest}"
    assert f"storageUri: oci://{image}  # by digest" in place.manifest(service)
    assert len(place.commits(service)) == 2
    [artifact] = place.artifacts(service)
    assert (artifact["uri"], artifact["state"]) == (f"oci://{image}", "LIVE")


def test_a_promotion_leaves_image_version_commit_and_report(place: RealPlace, runs: Runs) -> None:
    ended = runs["promote-model"].result()
    assert ended.code == 0, ended.told
    for step in ("Resolve", "Build and push", "Register", "Patch", "Report", "Report failures"):
        assert re.search(rf"✓ {step}  [0-9.]+ s", ended.told), ended.told
    assert re.search(
        r"^(SUCCEEDED:| ) \S+ on alpha names the new image; Argo CD rolls it out\.$", ended.told, re.MULTILINE
    )
    _check_promoted(place, "alpha")
    page = read_artifact(ended.run_id, "report-promotion", "page")
    assert DIGEST in page
    assert place.commits("alpha")[0]["sha"][:12] in page


def test_the_same_by_way_of_a_volume_is_the_same_image(place: RealPlace, runs: Runs) -> None:
    ended = runs["workspace"].result()
    assert ended.code == 0, ended.told
    assert "✓ Download" in ended.told
    _check_promoted(place, "beta")


def test_of_several_models_two_move_at_once_and_one_that_fails_does_not_stop_the_rest(
    place: RealPlace, runs: Runs
) -> None:
    ended = runs["models"].result()
    assert ended.code == 2, ended.told
    assert re.search(r"^Resolve of iota: \S+ has no model sandbox/never", ended.told, re.MULTILINE), ended.told
    for service in ("gamma", "delta"):
        assert f"  {service}.yaml on {service} names the new image; Argo CD rolls it out.\n" in ended.told
        _check_promoted(place, service)
    assert len(place.commits("iota")) == 1
    rounds = _rounds(ended.run_id)
    assert len(rounds) == 3
    at_once = [sum(begin <= moment < end for begin, end in rounds) for moment, _ in rounds]
    assert max(at_once) == 2, rounds


def _rounds(run_id: str) -> list[tuple[datetime, datetime]]:
    """When the rounds of a run's loop began and ended."""
    server = Server(os.environ["REAL_KFP_ENDPOINT"])
    details = server.call(server.runs.run_service_get_run, run_id).run_details.task_details
    return [(one.start_time, one.end_time) for one in details if one.display_name.startswith("iteration-iterations(")]


def test_a_training_is_promoted_and_not_done_twice(place: RealPlace, runs: Runs) -> None:
    first, second = runs["retrain"].result()
    assert first.code == 0, first.told
    assert "✓ Retrain" in first.told
    assert "✓ Check metrics" in first.told
    assert second.code == 0, second.told
    assert "▸ Retrain" not in second.told
    [artifact] = place.artifacts("epsilon")
    digest = artifact["uri"].partition("@")[2]
    assert digest != DIGEST
    _check_promoted(place, "epsilon", digest)


def test_a_step_that_failed_is_tried_again(place: RealPlace, runs: Runs) -> None:
    ended = runs["late"].result()
    assert ended.code == 0, ended.told
    _check_promoted(place, "zeta")


def test_a_failure_says_which_step_why_and_what_to_do(place: RealPlace, runs: Runs) -> None:
    ended = runs["missing"].result()
    assert ended.code == 2, ended.told
    assert "✗ Resolve" in ended.told
    assert re.search(r"^Resolve: \S+ has no model sandbox/never, or it is private$", ended.told, re.MULTILINE), (
        ended.told
    )
    assert "  Check the name; if the model is private, set HF_TOKEN" in ended.told
    assert len(place.commits("eta")) == 1
    page = read_artifact(ended.run_id, "report-failure", "page")
    assert "has no model sandbox/never" in page
    assert "Check the name" in page


def test_a_run_that_is_cancelled_in_a_step_ends_the_wait(place: RealPlace, runs: Runs) -> None:
    ended = runs["cancelled"].result()
    assert ended.code == 1, ended.told
    assert "CANCELED" in ended.told
    assert "▸ Register" not in ended.told
    assert len(place.commits("theta")) == 1


@pytest.fixture(scope="module")
def on_tekton(place: RealPlace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The same pipelines on Tekton, in the same namespace."""
    require(*TEKTON_VARIABLES)
    namespace = open_namespace(os.environ["REAL_KFP_NAMESPACE"])
    namespace.apply_compiled(tmp_path_factory.mktemp("tekton"))
    directory = tmp_path_factory.mktemp("specs")

    def begin(pipeline: str, service: str) -> subprocess.CompletedProcess[str]:
        spec = directory / f"{service}.yaml"
        spec.write_text(place.spec(service), encoding="utf-8")
        words = ["run", pipeline, "--tekton", "--namespace", namespace.name, "--wait", "--spec", str(spec)]
        environment = {name: value for name, value in os.environ.items() if name != "KF_PIPELINES_ENDPOINT"}
        environment["KUBECONFIG"] = os.environ["REAL_KUBECONFIG"]
        return _command(*words, env=environment)

    with ThreadPoolExecutor(2) as pool:
        yield {
            "promote-model": pool.submit(begin, "promote-model", "kappa"),
            "workspace": pool.submit(begin, "promote-model-workspace", "omega"),
        }


def test_on_tekton_a_promotion_leaves_image_version_and_commit(place: RealPlace, on_tekton: Runs) -> None:
    done = on_tekton["promote-model"].result()
    assert done.returncode == 0, done.stderr
    for step in ("Resolve", "Build and push", "Register", "Patch", "Report", "Report failures"):
        assert re.search(rf"✓ {step}  [0-9.]+ s", done.stderr), done.stderr
    image = f"{os.environ['REAL_OCI_REGISTRY']}/{place.name}/kappa"
    assert f"IMAGE_URL: {image}\nIMAGE_DIGEST: {DIGEST}\n" in done.stdout
    _check_promoted(place, "kappa")


def test_on_tekton_the_same_by_way_of_a_volume_is_the_same_image(place: RealPlace, on_tekton: Runs) -> None:
    done = on_tekton["workspace"].result()
    assert done.returncode == 0, done.stderr
    _check_promoted(place, "omega")


def test_kubeflow_tekton_and_the_command_end_in_the_same(
    place: RealPlace, runs: Runs, on_tekton: Runs, tmp_path: Path
) -> None:
    (tmp_path / "sigma.yaml").write_text(place.spec("sigma"), encoding="utf-8")
    mine = {"HF_ENDPOINT": place.sandbox.hub_url, "MODELCAR_GIT_TOKEN": os.environ["REAL_GITEA_TOKEN"]}
    promote = [COMMAND, "promote", "--plain-http", "--json", str(tmp_path / "sigma.yaml")]
    done = subprocess.run(promote, env={**os.environ, **mine}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    sent = format_bytes(json.loads(done.stdout)["push"]["bytes_uploaded"])
    for pipeline in ("promote-model", "workspace"):
        assert f", {sent} sent, " in read_artifact(runs[pipeline].result().run_id, "report-promotion", "page")
        assert f", {sent} sent, " in _log_of_report(on_tekton[pipeline].result())
    end = place.end("sigma")
    assert f"@{DIGEST}" in end["manifest"]
    for service in ("alpha", "beta", "kappa", "omega"):
        assert place.end(service) == end, service


def _log_of_report(done: subprocess.CompletedProcess[str]) -> str:
    """What the run, which the command was first to name, printed as its report."""
    name = done.stderr.partition(" ")[0]
    namespace = open_namespace(os.environ["REAL_KFP_NAMESPACE"])
    return namespace.log(f"tekton.dev/pipelineRun={name},tekton.dev/pipelineTask=report-promotion")


def test_a_schedule_fires(place: RealPlace, runs: Runs, tmp_path: Path) -> None:
    runs["promote-model"].result()
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
