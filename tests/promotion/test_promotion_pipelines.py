"""The compiled pipelines on real bytes, without a cluster: what they leave, find done, and say when they fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from components.inputs import DIGEST, TRAINING, publish_data
from modelcar.delivery.inference_service import digest_of, read_storage_uri
from modelcar.steps.note import Note, find_note
from modelcar_pipelines.catalog import compile_pipeline
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.local_run import LocalRun, run_locally
from modelcar_sandbox.git_tree import INFERENCE_SERVICE
from modelcar_sandbox.sandbox import DEMO_MODEL
from promotion.place import Place
from promotion.retraining import Retraining
from promotion.services import Services
from wsgi_faults import Fault

ALWAYS = 1000
LONGEST_OUTPUT_BYTES = 512
Run = Callable[..., LocalRun]


@pytest.fixture
def run(sandbox_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a pipeline here, without pauses between attempts, and sees that what its steps hand on is short enough."""
    for name, value in sandbox_place.process_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODELCAR_LOCAL_BACKOFF_FACTOR", "0")

    def start(name: str, parameters: Mapping[str, object]) -> LocalRun:
        path = tmp_path / f"{name}.yaml"
        path.write_text(compiled_text(name), encoding="utf-8")
        number = len(list(tmp_path.glob("run-*")))
        done = run_locally(path, parameters, directory=tmp_path / f"run-{number}", tell=lambda _: None)
        assert {which: length for which, length in handed_on(done).items() if length > LONGEST_OUTPUT_BYTES} == {}
        return done

    return start


def handed_on(done: LocalRun) -> dict[tuple[str, str], int]:
    """Lengths in bytes of what steps hand on to others, by step and output; artifacts are files."""
    artifacts = {(one.step, one.name) for one in done.artifacts}
    return {
        (step, output): len((value if isinstance(value, str) else json.dumps(value)).encode())
        for step, outputs in done.outputs.items()
        for output, value in outputs.items()
        if (step, output) not in artifacts
    }


@cache
def compiled_text(name: str) -> str:
    return compile_pipeline(name).text


def states(done: LocalRun) -> dict[str, State]:
    """How each step ended, by its name in the pipeline; groups are left out."""
    return {event.task: event.state for event in done.tasks.values() if not _is_group(event)}


def report(done: LocalRun, step: str) -> str:
    [artifact] = [one for one in done.artifacts if one.step.endswith(step) and one.name == "summary"]
    return artifact.path.read_text(encoding="utf-8")


def serving(place: Place) -> str | None:
    """The digest in the manifest."""
    return digest_of(read_storage_uri(place.manifest().decode(), name=INFERENCE_SERVICE))


def sent(services: Services) -> list[str]:
    """What was written; a push asks for leave by an upload that it takes back at once."""
    lines = [*services.registry.writes(), *services.model_registry.writes()]
    return [line for line in lines if "/blobs/uploads/" not in line or not line.startswith(("POST", "DELETE"))]


def notes(done: LocalRun) -> list[Note]:
    return [note for event in done.tasks.values() if (note := find_note(event.message)) is not None]


def _is_group(event: TaskEvent) -> bool:
    return event.task.startswith(("condition-", "exit-handler-", "for-loop-", "iteration-"))


def test_a_promotion_leaves_image_version_and_commit_and_the_next_one_nothing(
    run: Run, sandbox_place: Place, services: Services
) -> None:
    first = run("promote-model", {"spec": sandbox_place.spec_text()})
    assert first.state is State.SUCCEEDED, first.message
    assert serving(sandbox_place) == DIGEST
    assert len(sandbox_place.versions()) == 1
    assert "names the new image" in report(first, "report-promotion")
    [page] = [one.page for one in first.artifacts if one.step.endswith("report-promotion") and one.is_page]
    assert page.suffix == ".html"
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    commits = sandbox_place.commits()
    written = sent(services)
    asked = len(services.hub.recorder.requests)

    second = run("promote-model", {"spec": sandbox_place.spec_text()})
    assert second.state is State.SUCCEEDED, second.message
    assert sandbox_place.commits() == commits
    assert sent(services) == written
    assert not any("/resolve/" in request.path for request in services.hub.recorder.requests[asked:])
    assert "Nothing was new" in report(second, "report-promotion")


def test_a_promotion_is_given_by_its_fields_as_well(
    run: Run, sandbox_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = sandbox_place.spec()
    monkeypatch.setenv("MODEL_REGISTRY_URL", spec.model_registry.url)
    monkeypatch.setenv("MODELCAR_BASE_IMAGE", sandbox_place.base_image)
    done = run(
        "promote-model",
        {
            "source": spec.model.source,
            "image_repository": spec.image.repository.name,
            "registered_model": spec.model_registry.registered_model,
            "git_repository": spec.inference_service.repository,
            "manifest_path": spec.inference_service.path,
            "inference_service": spec.inference_service.name,
        },
    )
    assert done.state is State.SUCCEEDED, done.message
    assert serving(sandbox_place) == DIGEST


def test_by_way_of_a_volume_the_image_and_the_promotion_are_the_same(run: Run, sandbox_place: Place) -> None:
    done = run("promote-model-workspace", {"spec": sandbox_place.spec_text()})
    assert done.state is State.SUCCEEDED, done.message
    assert len({step for step, _ in handed_on(done)}) >= 5
    assert serving(sandbox_place) == DIGEST
    commits = sandbox_place.commits()
    assert sandbox_place.promote().patch.changed is False
    assert sandbox_place.commits() == commits


def test_one_model_that_fails_does_not_stop_the_others(run: Run, sandbox_place: Place) -> None:
    bad, good = sandbox_place.spec_text(source="hf://sandbox/nothing"), sandbox_place.spec_text()
    done = run("promote-models", {"specs": [bad, good]})
    assert done.state is State.FAILED
    assert serving(sandbox_place) == DIGEST
    assert {(note.step, note.exit_code) for note in notes(done)} == {("Resolve", 2)}
    assert "sandbox/nothing" in report(done, "report-failure")


def test_a_training_is_promoted_once_and_again_when_the_data_is_new(
    run: Run, sandbox_place: Place, services: Services
) -> None:
    publish_data(services)
    spec = {"spec": sandbox_place.spec_text() + TRAINING}
    first = run("retrain-and-promote", spec)
    assert first.state is State.SUCCEEDED, first.message
    assert states(first)["retrain-model"] is State.SUCCEEDED
    assert len({step for step, _ in handed_on(first)}) >= 5
    trained = serving(sandbox_place)
    assert trained not in (None, DIGEST)
    assert "loss" in report(first, "report-promotion")
    commits = sandbox_place.commits()

    second = run("retrain-and-promote", spec)
    assert "retrain-model" not in states(second)
    assert re.search("nothing is new: version .* came of it, and serves", report(second, "report-skipped"))
    assert sandbox_place.commits() == commits

    publish_data(services, variant=2)
    third = run("retrain-and-promote", spec)
    assert states(third)["retrain-model"] is State.SUCCEEDED
    assert serving(sandbox_place) not in (None, DIGEST, trained)


def test_a_training_below_its_floors_is_not_promoted(run: Run, sandbox_place: Place, services: Services) -> None:
    publish_data(services)
    done = run("retrain-and-promote", {"spec": sandbox_place.spec_text() + TRAINING.replace("1.5", "2.5")})
    assert done.state is State.FAILED
    [note] = notes(done)
    assert (note.step, note.exit_code) == ("Check metrics", 2)
    assert note.message == "the trained model is not promoted: loss is 2.5 (floor: at most 2)"
    assert sent(services) == []
    assert len(sandbox_place.commits()) == 1


def test_a_training_that_is_registered_and_not_committed_is_delivered_without_training_again(
    run: Run, retraining: Retraining, sandbox_place: Place
) -> None:
    retraining.register()
    done = run("retrain-and-promote", {"spec": sandbox_place.spec_text() + TRAINING})
    assert done.state is State.SUCCEEDED, done.message
    assert "retrain-model" not in states(done)
    assert len(sandbox_place.commits()) == 2
    assert len(sandbox_place.versions()) == 1


def _break_register(services: Services) -> None:
    services.model_registry.faults.add(Fault.answer("POST", "/model_versions", 403, times=ALWAYS))


def _break_push(services: Services) -> None:
    services.registry.faults.add(Fault.answer("PUT", "/manifests/", 403, times=ALWAYS))


def _break_patch(services: Services) -> None:
    hook = services.git_directory / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho frozen until Monday >&2\nexit 1\n")
    hook.chmod(0o755)


def _break_resolve(services: Services) -> None:
    services.hub.faults.add(Fault.answer("GET", f"/api/models/{DEMO_MODEL}", 401, times=ALWAYS))


@pytest.mark.parametrize(
    ("step", "break_it", "message"),
    [
        ("Resolve", _break_resolve, "sandbox/demo-llama"),
        ("Build and push", _break_push, "models/demo-llama"),
        ("Register", _break_register, "the Model Registry at"),
        ("Patch", _break_patch, "frozen until Monday"),
    ],
)
def test_a_failed_step_says_why_in_its_note_and_in_the_report(
    step: str, break_it: Callable[[Services], None], message: str, run: Run, sandbox_place: Place, services: Services
) -> None:
    break_it(services)
    done = run("promote-model", {"spec": sandbox_place.spec_text()})
    assert done.state is State.FAILED
    [note] = notes(done)
    assert note.step == step
    assert message in note.message
    assert note.hint
    told = report(done, "report-failure")
    assert f"{step} failed" in told
    assert message in told
    assert len(sandbox_place.commits()) == 1


def test_a_step_that_is_tried_again_repeats_nothing_that_was_done(
    run: Run, sandbox_place: Place, services: Services
) -> None:
    services.model_registry.faults.add(Fault.answer("POST", "/artifacts", 501, times=1))
    done = run("promote-model", {"spec": sandbox_place.spec_text()})
    assert done.state is State.SUCCEEDED, done.message
    [attempts] = [event.attempt for event in done.tasks.values() if event.task == "register-model"]
    assert attempts == 2
    made = [
        line for line in services.model_registry.writes() if line.endswith(("/registered_models", "/model_versions"))
    ]
    assert len(made) == 2
    assert len(sandbox_place.versions()) == 1
    assert len(sandbox_place.commits()) == 2
