"""What the command says of itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from cli.command import MODELCAR, Fill, Run
from modelcar.cli import cli


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, groups too, those of other packages included."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


def test_these_are_the_commands() -> None:
    assert {" ".join(path) for path in ALL} == {
        "",
        "doctor",
        "download",
        "gitops",
        "gitops create-secret",
        "gitops new-model",
        "patch",
        "pipeline",
        "pipeline apply",
        "pipeline cancel",
        "pipeline compile",
        "pipeline list",
        "pipeline pause",
        "pipeline resume",
        "pipeline run",
        "pipeline schedule",
        "pipeline schedules",
        "pipeline status",
        "pipeline unschedule",
        "pipeline upload",
        "plan",
        "promote",
        "push",
        "register",
        "sandbox",
        "sandbox up",
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_fits_100_columns_and_tells_every_option(path: tuple[str, ...], modelcar: Run, place: Fill) -> None:
    ran = modelcar(*path, "--help")

    assert (ran.code, ran.stderr) == (0, "")
    assert max(map(len, ran.stdout.splitlines())) <= 100
    assert "..." not in ran.stdout.replace("[ARGS]...", "")  # no sentence is cut short
    for option in ALL[path].params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert all(name in ran.stdout for name in option.opts)
        else:
            assert str(option.make_metavar(click.Context(ALL[path]))) in ran.stdout


@pytest.mark.parametrize(
    ("path", "defaults"),
    [
        (
            "push",
            [
                "default: registry.access.redhat.com/ubi9/ubi-micro:latest",
                "env var: MODELCAR_BASE_IMAGE",
                "[default: linux/amd64]",
                "[default: 4;",
                "[default: main]",
            ],
        ),
        ("promote", ["[default: 4;"]),
        ("register", ["env var: MODEL_REGISTRY_URL", "first 12 hex digits of the digest"]),
        ("sandbox up", ["[default: 127.0.0.1]"]),
    ],
)
def test_help_tells_the_defaults(path: str, defaults: list[str], modelcar: Run, place: Fill) -> None:
    told = " ".join(modelcar(*path.split(), "--help").stdout.split())

    assert [default for default in defaults if default not in told] == []


def test_help_is_there_by_its_short_name(modelcar: Run, place: Fill) -> None:
    assert modelcar("push", "-h") == modelcar("push", "--help")


def test_without_a_command_it_says_which_there_are(modelcar: Run, place: Fill) -> None:
    ran = modelcar()

    assert (ran.code, ran.stdout) == (2, "")
    assert all(
        f"  {name} " in ran.stderr for name in ("download", "patch", "plan", "promote", "push", "register", "sandbox")
    )


def test_the_version_is_that_of_the_distribution(modelcar: Run, place: Fill) -> None:
    assert modelcar("--version").stdout == f"modelcar, version {version('modelcar-pipelines')}\n"


def test_debug_shows_where_it_failed(environment: dict[str, str]) -> None:
    arguments = ["push", "file:///no/such/dir", "registry.example/a:v1", "--base-image", "scratch"]

    quiet = subprocess.run([*MODELCAR, *arguments], env=environment, capture_output=True, text=True, check=False)
    loud = subprocess.run(
        [*MODELCAR, "--debug", *arguments], env=environment, capture_output=True, text=True, check=False
    )

    assert (quiet.returncode, quiet.stdout) == (2, "")
    assert quiet.stderr.startswith("Error: there is no directory file:///no/such/dir\n")
    assert "Traceback" not in quiet.stderr
    assert (loud.returncode, loud.stdout) == (2, "")
    assert "Traceback (most recent call last)" in loud.stderr
    assert "modelcar.errors.SourceNotFound: there is no directory file:///no/such/dir" in loud.stderr


def test_debug_shows_no_signed_address(environment: dict[str, str], place: Fill, tmp_path: Path) -> None:
    arguments = ["push", "hf://sandbox/demo-llama", f"oci-layout:{tmp_path / 'layout'}:1", "--base-image", "scratch"]
    there = environment | {"HF_ENDPOINT": place("http://{hub}")}

    ran = subprocess.run([*MODELCAR, "--debug", *arguments], env=there, capture_output=True, text=True, check=True)

    assert "Signature" not in ran.stdout + ran.stderr


def test_a_terminal_without_utf_8_shows_what_it_can(environment: dict[str, str], place: Fill, tmp_path: Path) -> None:
    arguments = ["push", "hf://sandbox/demo-llama", f"oci-layout:{tmp_path / 'layout'}:1", "--base-image", "scratch"]
    there = environment | {"HF_ENDPOINT": place("http://{hub}"), "PYTHONIOENCODING": "ascii"}

    ran = subprocess.run([*MODELCAR, *arguments], env=there, capture_output=True, check=True)

    assert b"model-00001-of-00002.safetensors   4.2 MiB  ????" in ran.stdout


PATCH = ("patch", "chat.yaml", "--name", "demo-llama", "--storage-uri", "oci://registry.example/a@{digest}")


def test_patch_prints_the_diff_and_says_that_nothing_was_written(modelcar: Run, place: Fill) -> None:
    before = Path("chat.yaml").read_bytes()

    ran = modelcar(*map(place, PATCH))

    assert ran.code == 0
    assert ran.stdout.startswith("--- a/chat.yaml\n+++ b/chat.yaml\n")
    assert ran.stderr == "chat.yaml is as it was; --write changes it.\n"
    assert Path("chat.yaml").read_bytes() == before


def test_patch_writes_when_asked_and_finds_nothing_to_do_after_that(modelcar: Run, place: Fill) -> None:
    first = modelcar(*map(place, PATCH), "--write")
    written = Path("chat.yaml").read_text()
    second = modelcar(*map(place, PATCH), "--write")

    assert (first.code, first.stderr) == (0, "")
    assert place("oci://registry.example/a@{digest}") in written
    assert (second.code, second.stdout) == (0, "")
    assert second.stderr == "chat.yaml says so already: nothing to change.\n"


def test_a_plan_of_a_spec_refuses_options_that_the_spec_has_keys_for(modelcar: Run, place: Fill) -> None:
    ran = modelcar("plan", "promotion.yaml", "--allow-pickle", "*.bin")

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.endswith("\nError: --allow-pickle goes with SOURCE and DESTINATION; a SPEC says it itself.\n")
