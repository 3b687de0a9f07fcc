"""The register step, and what a training's key does to the version's name."""

from __future__ import annotations

from modelcar.lineage import Provenance, registration_of
from modelcar.reference import ImageReference
from modelcar.spec import ModelRegistrySpec

WANTED = ModelRegistrySpec("https://registry.example", "llama", None, None, None, None, None, {})
PROVENANCE = Provenance(
    ImageReference.parse(f"quay.io/team/llama@sha256:{'a' * 64}"), "c" * 64, "hf://team/llama", "main", "d" * 40, 100
)


def test_an_image_that_was_not_trained_here_is_named_by_its_digest() -> None:
    registration = registration_of(WANTED, PROVENANCE)
    assert (registration.version, registration.recipe_key) == ("a" * 12, None)


def test_two_trainings_that_come_to_one_image_are_two_versions() -> None:
    names = {registration_of(WANTED, PROVENANCE, key * 64).version for key in "ef"}
    assert names == {"aaaaaaaaaaaa-eeeeeeee", "aaaaaaaaaaaa-ffffffff"}
