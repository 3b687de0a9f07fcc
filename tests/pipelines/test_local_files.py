"""Artifacts, the workspace and the environment of a local run."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_runs import Told, run_pipeline
from modelcar_pipelines.events import State
from modelcar_pipelines.showing import show_local


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED", "a secret of the cluster")
        return run_pipeline("files", tmp_path_factory.mktemp("files") / "run", text="<p>hello</p>")


def test_an_artifact_lies_below_the_runs_artifacts(told: Told) -> None:
    [page] = [artifact for artifact in told.run.artifacts if artifact.name == "page"]
    assert page.path == told.run.directory / "artifacts" / "write-page" / "page"
    assert (page.type, page.path.read_text()) == ("system.HTML", "<p>hello</p>")


def test_a_page_is_told_by_a_name_that_browsers_know(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_local(told.run) == 0
    [line] = capsys.readouterr().out.splitlines()
    page = Path(line.removeprefix("report: "))
    assert page == told.run.directory / "artifacts" / "write-page" / "page.html"
    assert page.read_text() == "<p>hello</p>"


def test_the_next_step_gets_artifacts_with_their_uri_and_metadata(told: Told) -> None:
    assert told.output("read-page") == "<p>hello</p> oci://registry.example/m@sha256:0 3"


def test_steps_share_the_runs_own_workspace(told: Told) -> None:
    assert told.output("write-to") == str(told.run.directory / "workspace")
    assert told.output("list-of-2") == ["weights"]


def test_the_workspace_is_gone_after_the_run(told: Told) -> None:
    assert not (told.run.directory / "workspace").exists()


def test_a_step_has_the_environment_of_whoever_started_the_run(told: Told) -> None:
    assert told.output("environment") == "a secret of the cluster"


def test_a_step_has_the_variables_of_its_pipeline_unchanged(told: Told) -> None:
    assert told.output("environment-2") == "python3"


def test_a_workspace_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    from modelcar_pipelines.local_process import Place, new_workspace

    (tmp_path / "workspace").mkdir()
    with pytest.raises(FileExistsError):
        new_workspace(Place(tmp_path))


def test_the_run_succeeds(told: Told) -> None:
    assert told.run.state == State.SUCCEEDED
