"""What the first step of a retraining decides and refuses before anything is trained."""

from __future__ import annotations

import re

from components.inputs import DATA_COMMIT, TRAINING, publish_data
from modelcar.steps.record import read_record
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.sandbox import DEMO_DATA
from promotion.retraining import STEP_IMAGE, Retraining
from promotion.services import Services
from wsgi_faults import Fault

ALWAYS = 1000


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


def test_an_image_to_take_layers_from_that_is_not_there_is_found_out_before_the_training(
    retraining: Retraining,
) -> None:
    missing = f"{retraining.place.registry}/models/missing:1"
    code, message = retraining.refuse(reuse_from=missing)
    assert (code, message) == (2, f"image {missing} is not there")


def test_a_training_that_people_took_back_is_not_put_there_again(retraining: Retraining) -> None:
    before = retraining.place.manifest()
    retraining.commit(retraining.register())
    retraining.place.commit_as_person({MANIFEST: before})
    resolved = retraining.resolve()
    assert resolved.action == "skip"
    assert read_record(resolved.record)["skipped"].endswith(", and changed since")
    assert retraining.place.manifest() == before
