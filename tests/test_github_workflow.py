"""The example of a workflow: what it runs is there, and a secret reaches a command by its environment only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from click import Context, Group

from modelcar.cli import cli
from modelcar_pipelines.step_image import STEP_IMAGE
from modelcar_pipelines.surroundings import token_of

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "docs/examples/github-workflow.yaml"
MODELCAR = ".venv/bin/modelcar "


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(scope="module")
def commands(steps: list[dict[str, Any]]) -> list[str]:
    return [part for step in steps for part in step.get("run", "").split(" && ") if part]


def test_it_is_not_active_here() -> None:
    assert WORKFLOW.is_file()
    assert not (ROOT / ".github").exists()


def test_a_change_is_checked_and_only_one_of_the_main_branch_is_uploaded(
    workflow: dict[Any, Any], commands: list[str]
) -> None:
    assert workflow[True] == {"pull_request": None, "push": {"branches": ["main"]}}  # YAML's `on`
    wanted = [
        "make check test",
        f"{MODELCAR}pipeline compile --check",
        "make gitops-check",
        f"{MODELCAR}pipeline upload",
    ]
    assert [one for one in commands if one.startswith(("make", MODELCAR))] == wanted
    upload = workflow["jobs"]["upload"]
    assert (upload["needs"], upload["if"]) == ("check", "github.event_name == 'push'")


def test_what_it_makes_is_in_the_makefile(commands: list[str]) -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert {target for one in commands if one.startswith("make ") for target in one.split()[1:]} <= made


def test_what_it_runs_of_the_command_is_there(commands: list[str]) -> None:
    for one in commands:
        if one.startswith(MODELCAR):
            words = one.removeprefix(MODELCAR).split()
            command: Any = cli
            while isinstance(command, Group):
                command = command.get_command(Context(command), words.pop(0))
            options = {option for parameter in command.params for option in parameter.opts}
            assert set(words) <= options


def test_files_that_it_installs_from_are_there(commands: list[str]) -> None:
    files = [word for one in commands for word in one.split() if word.startswith("requirements/")]
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_secrets_are_in_no_command_and_in_no_file_that_stays(steps: list[dict[str, Any]], commands: list[str]) -> None:
    assert [one for one in commands if "${{" in one] == []
    named = [(name, value) for step in steps for name, value in step.get("env", {}).items() if "secrets." in value]
    assert named == [("KF_PIPELINES_TOKEN", "${{ secrets.KF_PIPELINES_TOKEN }}")]
    checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert [one["persist-credentials"] for one in checkouts] == [False, False]


def test_the_variables_are_those_that_the_command_reads(steps: list[dict[str, Any]]) -> None:
    (env,) = (step["env"] for step in steps if "env" in step)
    assert set(env) == {"KF_PIPELINES_ENDPOINT", "KF_PIPELINES_TOKEN", STEP_IMAGE}
    assert token_of({"KF_PIPELINES_TOKEN": "t"}, "https://pipelines.example").text == "t"


def test_actions_are_pinned_to_commits(steps: list[dict[str, Any]]) -> None:
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one)] == []
