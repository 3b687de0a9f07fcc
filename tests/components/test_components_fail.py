"""What each component says when it cannot do its work: which step, what of, what to do, and whose fault it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from components.alone import Alone
from components.inputs import COMMIT_HASH, SOURCE, TRAINING, patch_arguments, push_image, serving
from modelcar.steps.note import Note
from promotion.place import Place

Arguments = dict[str, str]
OVERTAKEN = f"models/demo-llama@sha256:{'2' * 64}"


def _absent(place: Place) -> str:
    return f"{place.registry}/models/demo-llama@sha256:{'1' * 64}"


def _held(place: Place) -> Arguments:
    return {"spec": place.spec_text(more="hold: until the audit is over\n")}


def _nothing(place: Place) -> Arguments:
    return {"source": "hf://sandbox/nothing", "directory": str(place.root / "volume"), "spec": place.spec_text()}


def _not_pinned(place: Place) -> Arguments:
    return {"source": SOURCE, "spec": place.spec_text(), "commit_hash": "0" * 40}


def _not_pushed(place: Place) -> Arguments:
    return {"image": _absent(place), "source": SOURCE, "spec": place.spec_text()}


def _overtaken(place: Place) -> Arguments:
    image = push_image(place)
    return {**patch_arguments(place, image), "serving": f"oci://{place.registry}/{OVERTAKEN}"}


def _not_reported(place: Place) -> Arguments:
    records = dict.fromkeys(("resolve_record", "push_record", "register_record", "patch_record"), "{}")
    names = {"registered_model": "demo-llama", "version": "1", "model_version_id": "1"}
    return {"image": _absent(place), "source": SOURCE, "spec": place.spec_text(), **names, **records}


def _no_training(place: Place) -> Arguments:
    return {"step_image": "quay.io/team/step:1", "spec": place.spec_text()}


def _broken_trainer(place: Place) -> Arguments:
    data = place.root / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("{}\n")
    spec = place.spec_text() + TRAINING.replace('loss: "1.5"', 'fail: "3"')
    spec = spec.replace("hf://datasets/sandbox/demo-sentences", data.as_uri())
    arguments = {"source": SOURCE, "commit_hash": COMMIT_HASH, "recipe_key": "a" * 64}
    return {**arguments, "directory": str(place.root / "volume"), "spec": spec}


def _below_the_floor(place: Place) -> Arguments:
    (place.root / "metrics.json").write_text('{"loss": 2.5}')
    return {"spec": place.spec_text() + TRAINING, "metrics": str(place.root / "metrics.json")}


NOT_THERE = f"{{registry}}/models/demo-llama@sha256:{'1' * 64} is not there"
PUSH_FIRST = "Push it first, or check the digest."


@pytest.mark.parametrize(
    ("name", "arguments", "note"),
    [
        (
            "resolve_model",
            _held,
            Note(
                "Resolve",
                "promotions of demo-llama are on hold: until the audit is over",
                "Take hold out of the spec.",
                2,
            ),
        ),
        (
            "download_model",
            _nothing,
            Note(
                "Download",
                "{hub} has no model sandbox/nothing, or it is private",
                "Check the name; if the model is private, set HF_TOKEN to a token that may read it.",
                2,
            ),
        ),
        (
            "build_and_push_modelcar",
            _not_pinned,
            Note(
                "Build and push",
                f"the model sandbox/demo-llama has no revision '{'0' * 40}'",
                "Name a branch, a tag or a commit of the model.",
                2,
            ),
        ),
        ("register_model", _not_pushed, Note("Register", NOT_THERE, PUSH_FIRST, 2)),
        (
            "patch_inference_service",
            _overtaken,
            Note(
                "Patch",
                "storageUri of InferenceService demo-llama is {serving}, "
                f"not oci://{{registry}}/{OVERTAKEN} as expected",
                "Somebody changed it meanwhile; look at that change, then plan again.",
                2,
            ),
        ),
        ("report_promotion", _not_reported, Note("Report", NOT_THERE, PUSH_FIRST, 2)),
        (
            "report_skipped",
            lambda _: {"resolve_record": "{}"},
            Note(
                "Report skipped", "KeyError: 'skipped'", "This is a fault in modelcar; MODELCAR_DEBUG=1 shows where.", 1
            ),
        ),
        (
            "resolve_training",
            _no_training,
            Note(
                "Resolve",
                "the spec says nothing of a training",
                "Write its section training, or run promote-model instead.",
                2,
            ),
        ),
        (
            "retrain_model",
            _broken_trainer,
            Note(
                "Retrain",
                "the training failed with exit code 3; its last line was: stand-in trainer: told to fail",
                "Its output above says what went wrong.",
                1,
            ),
        ),
        (
            "check_metrics",
            _below_the_floor,
            Note(
                "Check metrics",
                "the trained model is not promoted: loss is 2.5 (floor: at most 2)",
                "Train with other data or parameters, or change training.floors in the spec.",
                2,
            ),
        ),
    ],
)
def test_a_component_that_fails_leaves_a_note_and_no_outputs(
    name: str, arguments: Callable[[Place], Arguments], note: Note, alone: Alone, sandbox_place: Place
) -> None:
    ended = alone.run(name, **arguments(sandbox_place))
    names = {"registry": sandbox_place.registry, "hub": sandbox_place.hub_url.removeprefix("http://")}
    message = note.message.format(**names, serving=serving(sandbox_place))
    assert ended.note == dataclasses.replace(note, message=message)
    assert ended.outputs == {}
