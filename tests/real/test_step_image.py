"""Every step runs from what components/Containerfile installs, as it is compiled, in what a restricted pod has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
import requests

from git_http import serve_git
from modelcar.delivery.inference_service import read_storage_uri
from modelcar.steps.note import Note
from modelcar_sandbox.git_tree import INFERENCE_SERVICE, MANIFEST
from modelcar_sandbox.sandbox import DEMO_DATA, DEMO_MODEL, Sandbox
from promotion.place import Place
from real.container import USER, Container, Image, unpacked_image
from real.launcher import Launched, compiled_steps, launch

pytestmark = pytest.mark.real

DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
WORK = "/tmp/workspace"  # noqa: S108 - in the container
TRAINING = f"""\
training:
  data: hf://{DEMO_DATA}
  entryPoint: modelcar_sandbox.stand_in_trainer:train
  parameters: {{loss: "1.5"}}
  floors: {{loss: at most 2}}
"""


@dataclass(frozen=True)
class World:
    """A sandbox, its git served over HTTP, and a container that reaches both."""

    sandbox: Sandbox
    git: str
    container: Container

    @property
    def spec(self) -> str:
        return self.sandbox.promotion_spec.read_text(encoding="utf-8").replace(self.sandbox.git_url, self.git)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with unpacked_image("REAL_STEP_IMAGE", tmp_path_factory.mktemp("image")) as found:
        yield found


@pytest.fixture(scope="module")
def world(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    with Sandbox(directory / "sandbox") as sandbox, serve_git(directory / "sandbox" / "git") as git:
        environment = {"HF_ENDPOINT": sandbox.hub_url, "NO_PROXY": sandbox.host, "no_proxy": sandbox.host}
        yield World(sandbox, f"{git.url}/gitops.git", Container(image, directory / "container", environment))


@pytest.fixture(scope="module")
def ran(world: World) -> Mapping[str, Launched]:
    """Every step, run once, given what the steps before it gave."""
    done: dict[str, Launched] = {}

    def run(name: str, **arguments: object) -> Mapping[str, object]:
        done[name] = launch(world.container, name, **arguments)
        return done[name].values

    spec = world.spec
    resolved = run("resolve-model", spec=spec)
    found = {"spec": spec, "source": resolved.get("source"), "commit_hash": resolved.get("commit_hash")}
    run("download-model", **found, directory=f"{WORK}/model")
    image = run("build-and-push-modelcar", **found).get("image")
    registered = run("register-model", **found, revision="main", image=image)
    version = {name: registered.get(name) for name in ("registered_model", "version", "model_version_id")}
    registered_model_id = registered.get("registered_model_id")
    serving = resolved.get("serving")
    patched = run(
        "patch-inference-service",
        **found,
        **version,
        image=image,
        serving=serving,
        registered_model_id=registered_model_id,
    )
    steps = {"resolve": "resolve-model", "register": "register-model", "patch": "patch-inference-service"}
    records = {f"{name}_record": done[step].values.get("record") for name, step in steps.items()}
    run("report-promotion", **found, **version, **records, image=image, commit=patched.get("commit"))
    run("report-skipped", resolve_record='{"skipped":"nothing is new"}')
    run("report-failure", status={"state": "SUCCEEDED", "pipelineJobResourceName": "a-run", "error": {}})

    training = {"spec": spec + TRAINING}
    base = run("resolve-training", **training, step_image="quay.io/team/step:1")
    taken = {name: base.get(name) for name in ("source", "commit_hash", "data_commit", "recipe_key")}
    trained = run("retrain-model", **training, **taken, directory=f"{WORK}/training")
    run("check-metrics", **training, metrics=trained.get("metrics"))
    return done


@pytest.mark.parametrize("name", sorted(compiled_steps()))
def test_every_step_of_the_compiled_pipelines_succeeds(name: str, ran: Mapping[str, Launched]) -> None:
    assert ran[name].code == 0, ran[name].log
    assert ran[name].note is None


def test_a_promotion_by_its_steps_leaves_image_version_and_commit(ran: Mapping[str, Launched], world: World) -> None:
    registry = world.sandbox.registry_address
    image = ran["build-and-push-modelcar"].values["image"]
    assert image == f"{registry}/models/demo-llama@{DIGEST}"
    assert ran["build-and-push-modelcar"].artifacts["modelcar"]["uri"] == f"oci://{image}"
    assert requests.get(f"http://{registry}/v2/models/demo-llama/manifests/{DIGEST}", timeout=30).status_code == 200
    place = Place(
        root=world.container.directory,
        hub_url=world.sandbox.hub_url,
        model=DEMO_MODEL,
        registry=registry,
        repository="models/demo-llama",
        base_image=world.sandbox.base_image,
        model_registry=world.sandbox.model_registry_url,
        registered_model="demo-llama",
        git=world.sandbox.git_url,
    )
    assert [one["id"] for one in place.versions()] == [ran["register-model"].values["model_version_id"]]
    assert place.commits()[0] == ran["patch-inference-service"].values["commit"]
    assert read_storage_uri(place.manifest(MANIFEST).decode(), name=INFERENCE_SERVICE) == f"oci://{image}"


def test_a_model_and_a_training_are_files_of_the_volume(ran: Mapping[str, Launched], world: World) -> None:
    assert ran["download-model"].values["directory"] == f"file://{WORK}/model"
    assert ran["retrain-model"].values["directory"] == f"file://{WORK}/training/trained/model"
    for path in ("model", "training/trained/model"):
        config = world.container.tmp / "workspace" / path / "config.json"
        assert (config.stat().st_uid, config.stat().st_gid) == (USER, 0)


def test_reports_are_written_where_the_pipeline_says(ran: Mapping[str, Launched], world: World) -> None:
    for name in ("report-promotion", "report-skipped", "report-failure"):
        assert "<html" in (world.container.tmp / "outputs" / name / "page").read_text(), ran[name].log
    assert DIGEST in (world.container.tmp / "outputs" / "report-promotion" / "summary").read_text()


def test_a_step_that_fails_leaves_its_note_where_kubernetes_reads_it(world: World) -> None:
    spec = world.spec.replace(f"hf://{DEMO_MODEL}", "hf://sandbox/nothing")
    done = launch(world.container, "resolve-model", spec=spec)
    hub = world.sandbox.hub_url.removeprefix("http://")
    assert done.code == 2
    assert done.note == Note(
        "Resolve",
        f"{hub} has no model sandbox/nothing, or it is private",
        "Check the name; if the model is private, set HF_TOKEN to a token that may read it.",
        2,
    )


def test_steps_ran_as_nobody_in_particular_in_a_root_that_they_cannot_write(world: World) -> None:
    told = world.container.run("sh", "-c", "id; touch /a /opt/app-root/a /dev/a; grep NoNewPrivs /proc/self/status")
    assert told.stdout.splitlines() == [f"uid={USER} gid=0(root) groups=0(root)", "NoNewPrivs:\t1"]
    assert [line.rpartition(": ")[2] for line in told.stderr.splitlines()] == ["Read-only file system"] * 3


def test_pip_was_out_of_reach_of_every_step_that_ran_here(world: World) -> None:
    assert "No module named pip" in world.container.run("python3", "-m", "pip", "--version").stderr


def test_the_command_is_there_as_well(world: World) -> None:
    assert re.fullmatch(r"modelcar, version \d+\.\d+\.\d+\n", world.container.run("modelcar", "--version").stdout)


def test_git_is_new_enough(world: World) -> None:
    found = re.search(r"(\d+)\.(\d+)", world.container.run("git", "--version").stdout)
    assert found is not None
    assert tuple(map(int, found.groups())) >= (2, 36)


def test_nothing_that_the_image_adds_runs_as_somebody_else(world: World) -> None:
    found = world.container.run("find", "/opt", "/usr/local", "-xdev", "-perm", "/6000", "-type", "f")
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_image_itself_runs_as_no_root(image: Image) -> None:
    assert image.config["config"]["User"] == "1001"


def test_the_image_holds_no_source_tree_and_no_download(image: Image) -> None:
    assert [path for path in ("opt/modelcar", "root/.cache") if (image.files / path).exists()] == []
    assert list((image.files / "tmp").iterdir()) == []


def test_packages_of_the_tests_and_of_the_sandbox_are_not_there(image: Image) -> None:
    names = {path.name.split("-")[0].lower() for path in image.files.glob("opt/app-root/lib/python*/site-packages/*")}
    assert names & {"kfp", "pytest", "mypy", "ruff", "werkzeug", "cheroot", "jupyterlab"} == {"kfp"}
