"""`--json`: one object on stdout, with the keys that scripts rely on; everything else on stderr."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.command import MODELCAR, Fill, Run, Services
from modelcar_sandbox.git_tree import MANIFEST

PUSH_KEYS = [
    "image",
    "digest",
    "platforms",
    "tags",
    "size_bytes",
    "layers",
    "source",
    "bytes_read",
    "bytes_uploaded",
    "bytes_reused",
    "seconds",
    "referrers",
]
REGISTER_KEYS = [
    "registered_model",
    "version",
    "uri",
    "registered_model_id",
    "model_version_id",
    "model_artifact_id",
    "created",
]
HUB = "hf://sandbox/demo-llama"


def read(stdout: str) -> Any:
    """The one object, and nothing before or after it."""
    assert stdout.startswith("{")
    assert stdout.endswith("}\n")
    return json.loads(stdout)


def test_push_prints_one_object(modelcar: Run, place: Fill, services: Services) -> None:
    ran = modelcar("push", HUB, place("{registry}/json/push:v1"), "--json")

    assert ran.code == 0
    pushed = read(ran.stdout)
    assert list(pushed) == PUSH_KEYS
    assert [list(layer) for layer in pushed["layers"]] == [["digest", "size_bytes", "files", "reused"]] * 5
    assert pushed["image"] == place("{registry}/json/push@") + pushed["digest"]
    assert pushed["platforms"] == {"linux/amd64": pushed["digest"]}
    assert pushed["tags"] == [f"modelcar-{pushed['digest'].removeprefix('sha256:')}", "v1"]
    assert pushed["source"] == {"uri": HUB, "commit_hash": commit(services)}
    assert pushed["size_bytes"] == sum(layer["size_bytes"] for layer in pushed["layers"])
    assert pushed["bytes_reused"] == sum(layer["size_bytes"] for layer in pushed["layers"] if layer["reused"])
    assert {line.split()[0] for line in ran.stderr.splitlines()} == {"reused", "pushed"}


def test_plan_prints_one_object_and_moves_nothing(modelcar: Run, place: Fill, services: Services) -> None:
    before = services.state()

    ran = modelcar("plan", HUB, place("{registry}/json/plan:v1"), "--json")

    assert (ran.code, ran.stderr) == (0, "")
    assert list(read(ran.stdout)) == [
        "source",
        "destination",
        "platforms",
        "base_image",
        "size_bytes",
        "reused_bytes",
        "layers",
        "left_out",
        "base_layers",
        "read_bytes",
        "compared_bytes",
        "sent_bytes",
        "limits",
        "times",
        "serving",
        "serving_unknown",
    ]
    assert services.state() == before


def test_a_plan_of_a_spec_is_that_of_its_source_and_destination_and_of_its_manifest(
    modelcar: Run, place: Fill, services: Services
) -> None:
    Path("served.yaml").write_text(services.git("show", f"main:{MANIFEST}"))
    of_spec = modelcar("plan", "promotion.yaml", "--json")
    of_both = modelcar("plan", HUB, place("{registry}/models/demo-llama:latest"), "--manifest", "served.yaml", "--json")

    assert read(of_spec.stdout) == read(of_both.stdout)


def test_promote_prints_one_object_and_finds_all_done_the_second_time(
    modelcar: Run, place: Fill, services: Services
) -> None:
    spec = Path("promotion.yaml")  # names of its own: other tests promote, too
    spec.write_text(
        spec.read_text()
        .replace("models/demo-llama", "json/demo")
        .replace("registeredModel: d", "registeredModel: json-d")
    )
    first = modelcar("promote", "promotion.yaml", "--json")
    second = modelcar("promote", "promotion.yaml", "--json")

    once, again = read(first.stdout), read(second.stdout)
    for promoted in (once, again):
        assert list(promoted) == ["push", "register", "patch", "promotion_key"]
        assert list(promoted["push"]) == PUSH_KEYS
        assert list(promoted["register"]) == REGISTER_KEYS
        assert list(promoted["patch"]) == ["commit", "changed", "diff"]
    assert once["patch"]["commit"] == services.git("rev-parse", "main").strip()
    assert once["push"]["image"] in services.git("show", f"main:{MANIFEST}")
    assert once["register"]["created"] == ["registered_model", "model_version", "model_artifact"]
    assert (again["push"]["bytes_read"], again["push"]["bytes_uploaded"]) == (0, 0)
    assert (again["register"]["created"], again["patch"]["changed"], again["patch"]["diff"]) == ([], False, "")
    assert again["promotion_key"] == once["promotion_key"]
    steps = [line.split()[0] for line in first.stderr.splitlines()]
    assert [step for step in steps if step.endswith("ing")] == [
        "checking",
        "resolving",
        "pushing",
        "registering",
        "patching",
    ]


def test_register_prints_one_object(modelcar: Run, place: Fill) -> None:
    arguments = ("register", place("{base_at}"), "--model", "json", "--url", place("{model_registry}"), "--json")

    first, second = modelcar(*arguments), modelcar(*arguments)

    assert (first.code, first.stderr) == (0, "")
    registered = read(first.stdout)
    assert list(registered) == REGISTER_KEYS
    assert registered["uri"] == place("oci://{base_at}")
    assert read(second.stdout) == {**registered, "created": []}


@pytest.mark.parametrize(
    "arguments",
    [
        ("push", "hf://acme/nothing", "{registry}/json/nothing:v1"),
        ("plan", "hf://acme/nothing", "{registry}/json/nothing:v1"),
        ("promote", "nothing.yaml"),
        ("register", "{registry}/a/b@{digest}", "--model", "m", "--url", "{model_registry}"),
    ],
)
def test_a_command_that_fails_prints_no_object(arguments: tuple[str, ...], modelcar: Run, place: Fill) -> None:
    ran = modelcar(*map(place, arguments), "--json")

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Error: ")


def test_the_installed_command_prints_the_same(modelcar: Run, place: Fill, environment: dict[str, str]) -> None:
    arguments = ["push", HUB, place("{registry}/json/process:v1"), "--json"]
    modelcar(*arguments)  # so that nothing is left to move

    done = subprocess.run([*MODELCAR, *arguments], env=environment, capture_output=True, text=True, check=True)

    pushed = read(done.stdout)
    assert list(pushed) == PUSH_KEYS
    assert pushed["bytes_uploaded"] == 0
    assert all(line.startswith("reused ") for line in done.stderr.splitlines())


def commit(services: Services) -> str:
    """Of the demo model."""
    found = services.sandbox.hub.resolve("sandbox/demo-llama", "main")
    assert found is not None
    return found.commit_hash
