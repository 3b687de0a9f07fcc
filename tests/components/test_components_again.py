"""A component that runs again repeats nothing that was done, also when it was killed the first time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.alone import Alone, Ended, kill_step
from components.inputs import COMMIT_HASH, DIGEST, SOURCE, TRAINING, patch_arguments, publish_data, push_image
from promotion.place import Place
from promotion.services import Services
from promotion.traps import Point

KILL_THE_STEP_ABOVE = """\
#!/bin/sh
pid=$PPID
until tr '\\0' ' ' </proc/$pid/cmdline | grep -q -e '-m kfp.dsl.executor_main'; do
  pid=$(sed -n 's/^PPid:.//p' /proc/$pid/status)
done
kill -9 "$pid"
"""


def push(alone: Alone, place: Place) -> Ended:
    return alone.run("build_and_push_modelcar", source=SOURCE, commit_hash=COMMIT_HASH, spec=place.spec_text())


def register(alone: Alone, place: Place, image: str) -> Ended:
    return alone.run(
        "register_model", image=image, source=SOURCE, spec=place.spec_text(), revision="main", commit_hash=COMMIT_HASH
    )


def record(ended: Ended) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(ended.outputs["record"])
    return told


def read(services: Services) -> list[str]:
    """Requests for content of the model."""
    return [r.path for r in services.hub.recorder.requests if "/resolve/" in r.path]


def test_a_model_that_was_resolved_is_resolved_to_the_same(alone: Alone, sandbox_place: Place) -> None:
    first, again = (alone.run("resolve_model", spec=sandbox_place.spec_text()).outputs for _ in range(2))
    assert {**again, "record": ""} == {**first, "record": ""}


def test_a_model_that_was_downloaded_is_not_read_again(alone: Alone, sandbox_place: Place, services: Services) -> None:
    arguments = {"source": SOURCE, "commit_hash": COMMIT_HASH, "directory": str(sandbox_place.root / "volume")}
    first = alone.run("download_model", **arguments)
    services.hub.recorder.clear()
    again = alone.run("download_model", **arguments)
    assert read(services) == []
    assert (record(first)["bytes_read"], record(again)["bytes_read"]) == (8_811_609, 0)


def test_an_image_that_was_pushed_is_neither_read_nor_sent_again(
    alone: Alone, sandbox_place: Place, services: Services
) -> None:
    first = push(alone, sandbox_place)
    for service in (services.hub, services.registry):
        service.recorder.clear()
    again = push(alone, sandbox_place)
    assert again.outputs["image"] == first.outputs["image"]
    assert read(services) == []
    # It asks whether it may push, by an upload that it takes back.
    assert sum(r.bytes_received for r in services.registry.recorder.requests) == 0
    assert (record(again)["bytes_read"], record(again)["bytes_uploaded"], record(again)["reused"]) == (0, 0, "11111")


def test_an_image_that_was_registered_is_found(alone: Alone, sandbox_place: Place, services: Services) -> None:
    image = push_image(sandbox_place)
    first = register(alone, sandbox_place, image)
    services.model_registry.recorder.clear()
    again = register(alone, sandbox_place, image)
    assert {**again.outputs, "record": ""} == {**first.outputs, "record": ""}
    assert services.model_registry.writes() == []
    assert record(again)["created"] == []


def test_an_image_that_is_in_git_is_not_committed_again(alone: Alone, sandbox_place: Place) -> None:
    image = push_image(sandbox_place)
    first = alone.run("patch_inference_service", **patch_arguments(sandbox_place, image))
    commits = sandbox_place.commits()
    again = alone.run("patch_inference_service", **patch_arguments(sandbox_place, image))
    assert sandbox_place.commits() == commits
    assert again.outputs["commit"] == first.outputs["commit"] == commits[0]
    assert record(again)["changed"] is False


def test_a_commit_that_an_earlier_attempt_made_is_the_runs(alone: Alone, sandbox_place: Place) -> None:
    arguments = patch_arguments(sandbox_place, push_image(sandbox_place))
    first = alone.run("patch_inference_service", **arguments)
    commits = sandbox_place.commits()
    again = alone.run("patch_inference_service", **arguments)
    assert sandbox_place.commits() == commits
    assert again.outputs["commit"] == first.outputs["commit"] == commits[0]
    assert (record(first)["changed"], record(again)["changed"]) == (True, True)


def test_a_model_that_was_trained_is_not_trained_again(alone: Alone, sandbox_place: Place, services: Services) -> None:
    arguments = {
        "source": SOURCE,
        "recipe_key": "a" * 64,
        "directory": str(sandbox_place.root / "volume"),
        "spec": sandbox_place.spec_text() + TRAINING,
        "commit_hash": COMMIT_HASH,
        "data_commit": publish_data(services),
    }
    first = alone.run("retrain_model", **arguments)
    services.hub.recorder.clear()
    again = alone.run("retrain_model", **arguments)
    assert read(services) == []
    assert (record(first)["trained"], record(again)["trained"]) == (True, False)
    assert again.outputs["directory"] == first.outputs["directory"]


@pytest.mark.parametrize(
    "point",
    [
        Point("registry", "amid", "PATCH", "/blobs/uploads/"),
        Point("registry", "after", "PUT", "/manifests/"),
    ],
    ids=str,
)
def test_a_push_that_is_killed_ends_with_one_image_when_it_runs_again(
    point: Point, alone: Alone, sandbox_place: Place, services: Services
) -> None:
    services.registry.trap.set(point, kill_step)
    killed = push(alone, sandbox_place)
    assert (killed.outputs, killed.note) == ({}, None)
    again = push(alone, sandbox_place)
    assert again.outputs["image"] == f"{sandbox_place.registry}/models/demo-llama@{DIGEST}"


@pytest.mark.parametrize(
    "point",
    [
        Point("model registry", "after", "POST", "/(model_)?versions$"),
        Point("model registry", "after", "POST", "/artifacts$"),
    ],
    ids=str,
)
def test_a_registration_that_is_killed_ends_with_one_version_when_it_runs_again(
    point: Point, alone: Alone, sandbox_place: Place, services: Services
) -> None:
    image = push_image(sandbox_place)
    services.model_registry.trap.set(point, kill_step)
    killed = register(alone, sandbox_place, image)
    assert (killed.outputs, killed.note) == ({}, None)
    register(alone, sandbox_place, image)
    [version] = sandbox_place.versions()
    [artifact] = sandbox_place.artifacts(version["id"])
    assert (artifact["uri"], artifact["state"]) == (f"oci://{image}", "LIVE")
    sent = [line for line in services.model_registry.writes() if line.startswith("POST")]
    assert len(sent) == 3


def test_a_patch_that_is_killed_when_git_has_the_commit_ends_with_that_commit(
    alone: Alone, sandbox_place: Place, services: Services
) -> None:
    arguments = patch_arguments(sandbox_place, push_image(sandbox_place))
    hook = services.git_directory / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(KILL_THE_STEP_ABOVE)
    hook.chmod(0o755)
    assert alone.run("patch_inference_service", **arguments).outputs == {}
    assert alone.run("patch_inference_service", **arguments).outputs["commit"] == sandbox_place.commits()[0]
    assert len(sandbox_place.commits()) == 2
