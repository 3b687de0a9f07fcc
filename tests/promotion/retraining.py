"""Steps of a retraining in this process, where nothing is trained.

The demo model's image stands for what an earlier training became.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from components.inputs import TRAINING, push_image
from modelcar.steps import patch_inference_service, register_model, resolve_training
from modelcar.steps.note import find_note
from modelcar.steps.record import write_record
from modelcar.steps.retrain import ResolvedTraining
from modelcar_sandbox.sandbox import DEMO_DATA
from promotion.place import Place

STEP_IMAGE = "registry.example/modelcar-python:1"


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
