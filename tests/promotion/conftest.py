"""The servers that promotions go to: the sandbox's, each watched, and real ones."""

from __future__ import annotations

import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from components.inputs import publish_data
from modelcar.steps.note import VARIABLE
from modelcar_sandbox.base_image import push_base_image
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.hub import create_app as create_hub
from modelcar_sandbox.model_registry.app import create_app as create_model_registry
from modelcar_sandbox.oci_registry.app import create_app as create_oci_registry
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox
from modelcar_sandbox.service import Service
from promotion.place import TIMEOUT_S, Place
from promotion.retraining import Retraining
from promotion.services import Services, Watched
from promotion.traps import Trap
from real_servers import require
from wsgi_faults import Faults
from wsgi_recorder import Recorder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a sandbox holds after its first start."""
    directory = tmp_path_factory.mktemp("template") / "sandbox"
    with Sandbox(directory):
        return directory


@pytest.fixture
def services(template: Path, tmp_path: Path) -> Iterator[Services]:
    """The sandbox's services on ports of their own, with its first contents."""
    directory = tmp_path / "sandbox"
    shutil.copytree(template, directory)
    applications = {
        "hub": create_hub(directory / "hub"),
        "registry": create_oci_registry(directory / "oci-registry"),
        "model_registry": create_model_registry(directory / "model-registry"),
    }
    with ExitStack() as running:
        watched = {}
        for name, application in applications.items():
            trap = Trap(application)
            faults = Faults(trap)
            recorder = Recorder(faults)
            watched[name] = Watched(running.enter_context(Service(recorder)).url, recorder, faults, trap)
        yield Services(directory, **watched)


@pytest.fixture
def sandbox_place(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The sandbox as the place to promote to."""
    place = Place(
        root=tmp_path,
        hub_url=services.hub.url,
        model=DEMO_MODEL,
        registry=services.registry.address,
        repository="models/demo-llama",
        base_image=f"{services.registry.address}/sandbox/synthetic-base:1",
        model_registry=services.model_registry.url,
        registered_model="demo-llama",
        git=services.git_directory.as_uri(),
    )
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return place


@pytest.fixture(
    params=[
        "sandbox",
        pytest.param("REAL_OCI_REGISTRY", marks=pytest.mark.real),
        pytest.param("REAL_ZOT", marks=pytest.mark.real),
    ]
)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The sandbox, or real servers: one of two registries, the Model Registry, Gitea."""
    if request.param != "sandbox":
        require(request.param)
    made: Place = request.getfixturevalue("sandbox_place")
    if request.param == "sandbox":
        return made
    real = _real_place(made, request.param)
    for name, value in real.environment.items():
        monkeypatch.setenv(name, value)
    return real


def _real_place(sandbox: Place, registry_variable: str) -> Place:
    run, registry = f"t{uuid.uuid4().hex[:10]}", require(registry_variable)
    gitea, user = require("REAL_GITEA_URL"), require("REAL_GITEA_USER")
    headers = {"Authorization": f"token {require('REAL_GITEA_TOKEN')}"}
    made = requests.post(f"{gitea}/api/v1/user/repos", json={"name": run}, headers=headers, timeout=TIMEOUT_S)
    made.raise_for_status()
    place = Place(
        root=sandbox.root,
        hub_url=sandbox.hub_url,
        model=sandbox.model,
        registry=registry,
        repository=f"{run}/demo-llama",
        base_image=push_base_image(f"http://{registry}"),
        model_registry=require("REAL_MODEL_REGISTRY_URL"),
        registered_model=f"demo-llama-{run}",
        git=f"{gitea}/{user}/{run}.git",
        git_token=require("REAL_GITEA_TOKEN"),
    )
    place.git_run("push", "--quiet", place.git, "main:main", directory=Path(sandbox.git.removeprefix("file://")))
    return place


@pytest.fixture
def original(place: Place) -> bytes:
    """The manifest before anything was promoted."""
    return place.manifest(MANIFEST)


@pytest.fixture
def retraining(
    sandbox_place: Place, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Retraining]:
    """A retraining's steps, with data on the Hub."""
    publish_data(services)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "note"))
    before = signal.getsignal(signal.SIGTERM)
    yield Retraining(sandbox_place, tmp_path / "note")
    signal.signal(signal.SIGTERM, before)
