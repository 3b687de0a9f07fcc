"""The workbench notebooks: as they are kept, and as they run from top to bottom in the sandbox."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from modelcar_sandbox.sandbox import Sandbox

DIRECTORY = Path(__file__).parents[2] / "notebooks"
NAMES = ["01-promote-a-model", "02-schedule-retraining-promotions"]
TIMEOUT_S = 120
HOSTS = re.compile(r"https?://|localhost|\b\d{1,3}(\.\d{1,3}){3}\b|\.svc\b|\.com\b", re.IGNORECASE)
SECRETS = re.compile(r"token|password|secret|credential", re.IGNORECASE)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("workbench") / "sandbox") as running:
        yield running


@pytest.fixture
def workbench(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The environment of kernels that are started: the sandbox's, and nothing of the home directory."""
    home = {name: str(tmp_path / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    for name, value in {**sandbox.environment, **home}.items():
        monkeypatch.setenv(name, value)
    return sandbox


def load(name: str) -> Any:
    return nbformat.read(DIRECTORY / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def code(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any, *, allow_errors: bool = False) -> dict[str, list[Any]]:
    """The outputs of each code cell, by its source."""
    NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3", allow_errors=allow_errors).execute()
    return {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def drawn(outputs: list[Any]) -> Mapping[str, str]:
    """What the last expression of a cell gave, by media type."""
    [result] = [output for output in outputs if output.output_type == "execute_result"]
    data: Mapping[str, str] = result.data
    return data


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_valid_and_without_outputs(name: str) -> None:
    notebook = load(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert [cell.execution_count for cell in cells] == [None] * len(cells)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_names_no_host_and_no_secret_in_its_code(name: str) -> None:
    assert [source for source in code(load(name)) if HOSTS.search(source) or SECRETS.search(source)] == []


def test_all_notebooks_are_tested() -> None:
    assert sorted(path.stem for path in DIRECTORY.glob("*.ipynb")) == NAMES


def test_a_model_is_promoted_and_no_token_is_shown(workbench: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = "planted-0f4e"
    for name in ("KF_PIPELINES_TOKEN", "MODEL_REGISTRY_TOKEN", "MODELCAR_GIT_TOKEN"):
        monkeypatch.setenv(name, planted)
    notebook = load(NAMES[0])
    plan_at, again_at = (at for at, cell in enumerate(notebook.cells) if cell.source == "p.plan(spec)")
    cells = execute(notebook)

    assert planted not in nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    before, after = (drawn(notebook.cells[at].outputs) for at in (plan_at, again_at))
    assert "At most 8.4 MiB would move, 0 B would be reused." in before["text/html"]
    assert "Serves now: nothing yet" in before["text/plain"]
    assert "At most 12.0 KiB would move, 8.4 MiB would be reused." in after["text/html"]
    assert f"Serves now: oci://{workbench.registry_address}/models/demo-llama@sha256:" in after["text/plain"]
    [promoted] = [outputs for source, outputs in cells.items() if "p.promote(spec)" in source]
    assert re.match(r"promote-model .*: SUCCEEDED\n  ✓ Resolve", drawn(promoted)["text/plain"])
    assert 'sandbox="allow-popups"' in drawn(promoted)["text/html"]
    assert "Argo CD rolls it out" in drawn(promoted)["text/html"]
    assert promoted[0].data["text/plain"].endswith(": SUCCEEDED")
    assert "succeeded, 6 steps" in promoted[0].data["text/html"]
    manifest = "HEAD:gitops/stage01-model-serving/application/vllm/demo-llama.yaml"
    git = ["git", "-C", str(workbench.directory / "git" / "gitops.git"), "show", manifest]
    served = subprocess.run(git, check=True, capture_output=True, text=True).stdout
    assert f"storageUri: oci://{workbench.registry_address}/models/demo-llama@sha256:" in served


def test_a_retraining_is_scheduled_and_run_and_has_nothing_to_do_the_second_time(workbench: Sandbox) -> None:
    notebook = load(NAMES[1])
    execute(notebook)
    shown = [(cell.source, drawn(cell.outputs)) for cell in notebook.cells if cell.get("outputs")]
    seen = {source: data["text/plain"] for source, data in shown}

    assert "It would train, and promote what comes of it: nothing was trained with it yet." in seen["p.plan(spec)"]
    scheduled = seen['p.schedule("retrain-and-promote", cron="0 2 * * *", timezone="Europe/Amsterdam", spec=spec)']
    assert scheduled.startswith(
        "retrain-and-promote: created\n  pipeline retrain-and-promote promotes demo-llama "
        "(gitops/stage01-model-serving/application/vllm/demo-llama.yaml)\n  0 2 * * * Europe/Amsterdam  (on;"
    )
    assert len(re.findall(r"next: \w{3} \d{4}-\d\d-\d\d 02:00 CES?T", scheduled)) == 3
    assert "(paused;" in seen['p.pause("retrain-and-promote")']
    assert "(on;" in seen['p.resume("retrain-and-promote")']
    first, second = (data for source, data in shown if source == "p.retrain(spec)")
    assert ": SUCCEEDED\n" in first["text/plain"]
    assert re.search(r": SKIPPED: nothing is new: version \S+ came of it, and serves\n", second["text/plain"])
    assert '<span class="pill skipped">SKIPPED</span>' in second["text/html"]
    assert seen['p.unschedule("retrain-and-promote")'] == "There are no schedules."


def test_an_error_is_one_sentence_and_the_way_out(workbench: Sandbox) -> None:
    notebook = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    source = "from modelcar_pipelines import connect\np = connect()\np.plan('nowhere.yaml')"
    notebook.cells = [nbformat.v4.new_code_cell(source)]  # type: ignore[no-untyped-call]
    [[error]] = execute(notebook, allow_errors=True).values()

    assert error.ename == "InvalidSpec"
    assert error.traceback == ["Error: nowhere.yaml: no such file", "-> Name the PromotionSpec's file."]
