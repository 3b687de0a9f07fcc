"""The workbench target of components/Containerfile starts as OpenShift AI starts a workbench, with the notebooks."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from real.container import USER, Container, Image, make_volume, unpacked_image

pytestmark = pytest.mark.real

HOME = "/opt/app-root/src"
PREFIX = "/notebook/private-ai-demo/promotions"
NOTEBOOKS = {path.name: path for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb")}


@dataclass(frozen=True)
class Workbench:
    """A workbench that runs.

    Attributes:
        url: `http://127.0.0.1:PORT/notebook/<namespace>/<name>`.
        said: What it printed when it started.
    """

    url: str
    said: str

    def ask(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        """Ask it as a probe does: again when nobody listens yet, for Jupyter says that it runs a moment before."""
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=Retry(connect=100, backoff_factor=0.05, backoff_max=0.2)))
            return session.request(method, f"{self.url}{path}", timeout=60, **options)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with unpacked_image("REAL_WORKBENCH_IMAGE", tmp_path_factory.mktemp("image")) as found:
        yield found


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What lies over the home directory."""
    return make_volume(tmp_path / "volume")


def dashboard_arguments(port: int) -> str:
    """As the dashboard of OpenShift AI writes them into a workbench: the proxy before it asks who somebody is."""
    lines = (
        f"--ServerApp.port={port}",
        "--ServerApp.token=''",
        "--ServerApp.password=''",
        f"--ServerApp.base_url={PREFIX}",
        "--ServerApp.quit_button=False",
        '--ServerApp.tornado_settings={"user":"ada@example.com","hub_host":"https://hub.example","hub_prefix":"/p"}',
    )
    return "\n                  ".join(lines)


@contextmanager
def workbench(
    image: Image, volume: Path, directory: Path, arguments: Callable[[int], str] = dashboard_arguments
) -> Iterator[Workbench]:
    """Start it by the image's own command, and wait until it says that it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"NB_PREFIX": PREFIX, "NOTEBOOK_ARGS": arguments(port)}
    container = Container(image, directory / "container", variables, volumes={HOME: volume})
    with container.start(*image.config["config"]["Cmd"]) as process:
        said = ""
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "Use Control-C" in line:
                break
        else:
            pytest.fail(said)
        yield Workbench(f"http://127.0.0.1:{port}{PREFIX}", said)


def test_a_new_workbench_has_the_notebooks_in_its_home(image: Image, volume: Path, tmp_path: Path) -> None:
    with workbench(image, volume, tmp_path) as running:
        assert running.ask("/api").status_code == 200
        listed = running.ask("/api/contents/modelcar/notebooks").json()["content"]
        assert {one["name"]: one["writable"] for one in listed} == dict.fromkeys(NOTEBOOKS, True)
        assert NOTEBOOKS
    for name, source in NOTEBOOKS.items():
        copied = volume / "modelcar/notebooks" / name
        assert copied.read_bytes() == source.read_bytes()
        assert copied.stat().st_uid == USER
        pages = re.findall(r"\]\((\.\./docs/[^)#]+)", source.read_text(encoding="utf-8"))
        assert pages
        assert [page for page in pages if not (copied.parent / page).is_file()] == []


def test_a_notebook_runs_in_it_and_has_the_package(image: Image, volume: Path, tmp_path: Path) -> None:
    source = "from modelcar_pipelines import connect\nprint(connect.__module__)"
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    container = Container(image, tmp_path / "container", volumes={HOME: volume})
    (volume / "try.ipynb").write_text(json.dumps(notebook))
    (volume / "try.ipynb").chmod(0o666)
    done = container.run("jupyter", "execute", "--inplace", "try.ipynb")
    assert done.returncode == 0, done.stderr
    [run] = json.loads((volume / "try.ipynb").read_text())["cells"]
    assert "".join(run["outputs"][0]["text"]) == "modelcar_pipelines.notebook.pipelines\n"


def test_its_terminal_has_the_commands(image: Image, volume: Path, tmp_path: Path) -> None:
    container = Container(image, tmp_path / "container", volumes={HOME: volume})
    assert container.run("modelcar", "pipeline", "--help").returncode == 0
    assert container.run("git", "--version").returncode == 0


def test_what_a_person_changed_or_deleted_stays_so(image: Image, volume: Path, tmp_path: Path) -> None:
    with workbench(image, volume, tmp_path):
        pass
    first, second = sorted(NOTEBOOKS)
    (volume / "modelcar/notebooks" / first).write_text("mine")
    (volume / "modelcar/notebooks" / second).unlink()
    with workbench(image, volume, tmp_path) as running:
        assert running.ask("/api").status_code == 200
    assert {path.name: path.read_text() for path in (volume / "modelcar/notebooks").iterdir()} == {first: "mine"}
    assert [path for path in volume.iterdir() if path.name.startswith(".notebooks-")] == []


def test_without_a_proxy_before_it_it_asks_for_a_token(image: Image, volume: Path, tmp_path: Path) -> None:
    with workbench(image, volume, tmp_path, "--ServerApp.port={}".format) as running:
        assert running.ask("/api").status_code == 200
        assert running.ask("/api/contents").status_code == 403
        assert re.search(r"\?token=[0-9a-f]{48}", running.said)


def test_it_listens_on_the_port_that_a_workbench_has(image: Image) -> None:
    assert image.config["config"]["ExposedPorts"] == {"8888/tcp": {}}
    assert "c.ServerApp.port = 8888\n" in (image.files / "usr/local/etc/jupyter/jupyter_server_config.py").read_text()
    assert image.config["config"]["User"] == "1001"
    assert image.environment["HOME"] == HOME
