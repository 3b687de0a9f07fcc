"""`modelcar pipeline apply`: the server has what git says, and a second time changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from cli.command import Run, modelcar
from kfp_scripted import serve_scripted
from modelcar.errors import InvalidInput
from modelcar_pipelines.declared_schedules import DeclaredSchedule, read_declared

__all__ = ["few_certificates", "home", "modelcar"]

SPEC = """\
  model: {source: "hf://acme/base"}
  image: {repository: registry.example/acme/base}
  modelRegistry: {url: "https://registry.example", registeredModel: base, description: costs $5}
  inferenceService: {repository: "https://git.example/x.git", path: base.yaml, name: base}
"""
NIGHTLY = f'pipeline: promote-model\ncron: "0 2 * * *"\ntimezone: Europe/Amsterdam\nspec:\n{SPEC}'


@pytest.fixture
def directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the files are; the shell names the server."""
    with serve_scripted(home / "kfp") as made:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", made.api.url)
        monkeypatch.delenv("KF_PIPELINES_TOKEN", raising=False)
        (home / "schedules").mkdir()
        yield home / "schedules"


def test_pipelines_and_schedules_are_made_once(modelcar: Run, directory: Path) -> None:
    (directory / "nightly.yaml").write_text(NIGHTLY)
    (directory / "README.md").write_text("not a schedule")

    first = modelcar("pipeline", "apply", str(directory))
    second = modelcar("pipeline", "apply", str(directory))

    assert (first.code, first.stderr) == (0, "")
    *uploaded, scheduled = first.stdout.splitlines()
    assert sorted(line.split()[0] for line in uploaded) == [
        "promote-model",
        "promote-model-workspace",
        "promote-models",
        "retrain-and-promote",
    ]
    assert {line.split("  ")[2] for line in uploaded} == {"uploaded"}
    assert scheduled == "nightly: created"
    assert {line.split("  ")[2] for line in second.stdout.splitlines()[:4]} == {"is the latest already"}
    assert second.stdout.splitlines()[4] == "nightly: unchanged"
    [listed] = json.loads(modelcar("pipeline", "schedules", "--json").stdout)
    assert listed["name"] == "nightly"


def test_a_changed_file_changes_its_schedule(modelcar: Run, directory: Path) -> None:
    (directory / "nightly.yaml").write_text(NIGHTLY)
    modelcar("pipeline", "apply", str(directory))
    (directory / "nightly.yaml").write_text(NIGHTLY.replace("0 2 * * *", "0 3 * * *"))
    assert modelcar("pipeline", "apply", str(directory)).stdout.splitlines()[-1] == "nightly: changed"


def test_pipelines_that_something_else_brings_are_not_uploaded(modelcar: Run, directory: Path) -> None:
    (directory / "nightly.yaml").write_text(NIGHTLY)
    modelcar("pipeline", "upload", "promote-model")
    before = modelcar("pipeline", "list", "--json").stdout
    assert modelcar("pipeline", "apply", "--no-upload", str(directory)).stdout == "nightly: created\n"
    assert modelcar("pipeline", "list", "--json").stdout == before


def test_an_image_for_what_is_not_uploaded_is_refused(modelcar: Run, directory: Path) -> None:
    ran = modelcar("pipeline", "apply", "--no-upload", "--image", "quay.io/team/steps:1", str(directory))
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Error: --image is for what is uploaded, and --no-upload uploads nothing")


def test_a_file_at_fault_keeps_no_other_from_being_applied(modelcar: Run, directory: Path) -> None:
    (directory / "a.yaml").write_text(NIGHTLY.replace("promote-model", "promote-nothing"))
    (directory / "b.yaml").write_text(NIGHTLY)
    ran = modelcar("pipeline", "apply", str(directory))
    assert ran.code == 2
    assert ran.stdout.splitlines()[-1] == "b: created"
    assert ran.stderr.startswith("a: ")
    assert "promote-nothing" in ran.stderr


def test_a_file_says_what_runs_and_when(tmp_path: Path) -> None:
    (tmp_path / "weekly.yaml").write_text('pipeline: promote-models\ncron: "@weekly"\nspecs: [{a: 1}, "b:\\n"]\n')
    assert read_declared(tmp_path) == [
        DeclaredSchedule("weekly", "promote-models", "@weekly", "UTC", ({"a": 1}, "b:\n"), None, "")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pipeline: [", "nightly.yaml does not parse as YAML"),
        ("- a", "nightly.yaml is no schedule"),
        ("pipeline: a\ncorn: b\n", "nightly.yaml: corn: unknown key"),
        ("pipeline: a\n", "nightly.yaml has no cron"),
        ("pipeline: a\ncron: 5\n", "nightly.yaml: cron is 5, and no text"),
        ("pipeline: a\ncron: b\nspec: {}\nspecs: []\n", "nightly.yaml has spec and specs"),
        ("pipeline: a\ncron: b\nspecs: 3\n", "nightly.yaml: specs is no list of PromotionSpecs"),
    ],
)
def test_a_file_that_is_no_schedule_is_told_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nightly.yaml").write_text(text)
    with pytest.raises(InvalidInput) as raised:
        read_declared(tmp_path)
    assert str(raised.value).endswith(message)
    assert raised.value.hint


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no directory"):
        read_declared(tmp_path / "none")
