"""What the first step of a retraining decides and refuses before anything is trained; nothing is trained here.

The demo model's image stands for what an earlier training became.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.inputs import DATA_COMMIT, TRAINING, publish_data, push_image
from modelcar.steps import patch_inference_service, register_model, resolve_training
from modelcar.steps.note import VARIABLE, find_note
from modelcar.steps.record import write_record
from modelcar.steps.retrain import ResolvedTraining
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.sandbox import DEMO_DATA
from promotion.place import Place
from promotion.services import Services
from wsgi_faults import Fault

STEP_IMAGE = "registry.example/modelcar-python:1"
ALWAYS = 1000


@dataclass(frozen=True)
class Retraining:
    """Steps of a retraining in this process, and what an earlier one left.

    Attributes:
        place: Where it goes.
        note: Where a failed step leaves its note.
    """

    place: Place
    note: Path

    def resolve(self, training: str = TRAINING, **spec: str) -> ResolvedTraining:
        return resolve_training(self.place.spec_text(**spec) + training, {}, step_image=STEP_IMAGE)

    def refuse(self, training: str = TRAINING, **spec: str) -> tuple[int, str]:
        """Exit code and message of a first step that fails."""
        with pytest.raises(SystemExit):
            self.resolve(training, **spec)
        found = find_note(self.note.read_text(encoding="utf-8"))
        assert found is not None
        assert found.step == "Resolve"
        return found.exit_code, found.message

    def register(self, **spec: str) -> dict[str, str]:
        """A training is done and registered, with a loss of 1.5; what the step that commits is given."""
        resolved = self.resolve(**spec)
        image = push_image(self.place)
        given = {"image": image, "source": resolved.source, "commit_hash": resolved.commit_hash}
        record = write_record(0.0, metrics={"loss": 1.5}, data=f"hf://{DEMO_DATA}@{resolved.data_commit}")
        registered = register_model(
            self.place.spec_text(**spec), {}, recipe_key=resolved.recipe_key, retrain_record=record, **given
        )
        names = {name: value for name, value in registered._asdict().items() if name != "record"}
        return {**given, **names, "serving": resolved.serving}

    def commit(self, registered: dict[str, str]) -> None:
        patch_inference_service(self.place.spec_text(), {}, **registered)


@pytest.fixture
def retraining(
    sandbox_place: Place, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Retraining]:
    publish_data(services)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "note"))
    before = signal.getsignal(signal.SIGTERM)
    yield Retraining(sandbox_place, tmp_path / "note")
    signal.signal(signal.SIGTERM, before)


def test_what_was_never_trained_is_trained_in_the_step_image(retraining: Retraining) -> None:
    resolved = retraining.resolve()
    assert (resolved.action, resolved.image, resolved.trainer_image) == ("train", "", STEP_IMAGE)
    assert resolved.data_commit == DATA_COMMIT


def test_what_was_registered_and_not_committed_is_delivered(retraining: Retraining) -> None:
    registered = retraining.register()
    resolved = retraining.resolve()
    assert (resolved.action, resolved.image) == ("deliver", registered["image"])


def test_the_version_says_what_was_trained_on_and_measured(retraining: Retraining) -> None:
    retraining.register()
    [version] = retraining.place.versions()
    told = {key: value["string_value"] for key, value in version["customProperties"].items()}
    assert told["modelcar_training_data"] == f"hf://{DEMO_DATA}@{DATA_COMMIT}"
    assert told["modelcar_metrics"] == '{"loss": 1.5}'


def test_what_serves_is_not_trained_again(retraining: Retraining) -> None:
    retraining.commit(retraining.register())
    assert retraining.resolve().action == "skip"


def test_new_data_are_trained_on(retraining: Retraining, services: Services) -> None:
    retraining.commit(retraining.register())
    before = retraining.resolve().recipe_key
    publish_data(services, variant=2)
    resolved = retraining.resolve()
    assert (resolved.action, resolved.image) == ("train", "")
    assert resolved.recipe_key != before


def test_a_trained_version_is_not_delivered_when_it_does_not_hold_floors_that_were_tightened_since(
    retraining: Retraining,
) -> None:
    retraining.register()
    told = retraining.refuse(TRAINING.replace("at most 2", "at most 1"))
    assert told == (2, "the trained model is not promoted: loss is 1.5 (floor: at most 1)")


def test_a_second_training_of_a_named_version_is_refused_before_it_trains(retraining: Retraining) -> None:
    retraining.commit(retraining.register(version="v1"))
    code, message = retraining.refuse(TRAINING.replace('loss: "1.5"', 'loss: "1.25"'), version="v1")
    assert code == 2
    assert message.startswith("version v1 of demo-llama exists with oci://")
    assert message.endswith(", and what is trained now would be another image")


def test_a_registry_that_takes_no_push_is_found_out_before_the_training(
    retraining: Retraining, services: Services
) -> None:
    services.registry.faults.add(Fault.answer("POST", r"/blobs/uploads/", 403, times=ALWAYS))
    code, message = retraining.refuse()
    assert code == 2
    assert re.search(r"refused to push to models/demo-llama without credentials \(HTTP 403\)$", message)


def test_a_training_that_people_took_back_is_not_put_there_again(retraining: Retraining) -> None:
    before = retraining.place.manifest()
    retraining.commit(retraining.register())
    retraining.place.commit_as_person({MANIFEST: before})
    assert retraining.resolve().action == "skip"
    assert retraining.place.manifest() == before
