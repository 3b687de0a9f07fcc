from __future__ import annotations

import hashlib

import pytest

from model_registry_server import Server, confirmed, image, make, unheld
from modelcar.errors import ImageNotFound, InvalidInput
from modelcar.model_registry.recipes import TrainedVersion, find_by_recipe
from modelcar.model_registry.registration import RegisteredVersion, register


def key(server: Server, training: str = "first") -> str:
    """A recipe key that no other run has."""
    return hashlib.sha256(f"{server.run} {training}".encode()).hexdigest()


def trained(server: Server, training: str = "first", version: str = "v_1", **changes: str) -> RegisteredVersion:
    return make(
        server,
        server.registration(version=version, image=image(version), recipe_key=key(server, training), **changes),
    )


def find(server: Server, training: str = "first", model: str | None = None) -> TrainedVersion | None:
    return find_by_recipe(server.connect(), model or f"{server.run}_model", key(server, training))


def test_a_training_is_found_by_its_key_with_the_image_that_came_of_it(server: Server) -> None:
    registered = trained(server)
    assert find(server) == TrainedVersion(
        registered.registered_model_id, registered.model_version_id, "v_1", registered.uri, is_live=True, metrics=None
    )


def test_what_a_training_measured_is_found_with_it(server: Server) -> None:
    registration = server.registration(recipe_key=key(server), metrics={"loss": 1.5, "lines": 403})
    make(server, registration)
    found = find(server)
    assert found is not None
    assert found.metrics == {"loss": 1.5, "lines": 403}


def test_the_key_stands_on_the_version_from_its_first_moment(server: Server) -> None:
    with pytest.raises(ImageNotFound):
        register(server.connect(), server.registration(recipe_key=key(server)), unheld)
    found = find(server)
    assert found is not None
    assert (found.version, found.uri, found.is_live) == ("v_1", server.registration().uri, False)
    register(server.connect(), server.registration(recipe_key=key(server)), confirmed)
    again = find(server)
    assert again is not None
    assert again.is_live


def test_a_training_that_nobody_registered_is_not_found(server: Server) -> None:
    assert find(server) is None
    trained(server)
    assert find(server, "second") is None


def test_a_version_without_a_training_is_not_found(server: Server) -> None:
    registered = make(server, server.registration())
    stored = server.get(f"/model_versions/{registered.model_version_id}")["customProperties"]
    assert "modelcar_recipe_key" not in stored
    assert find(server) is None


def test_another_model_of_the_same_training_does_not_count(server: Server) -> None:
    trained(server, registered_model=f"{server.run}_other")
    trained(server, "second")
    assert find(server) is None
    assert find(server, model=f"{server.run}_other") is not None


def test_the_newest_of_several_is_found(server: Server) -> None:
    for version in ("v_1", "v_2", "v_3"):
        trained(server, version=version)
    found = find(server)
    assert found is not None
    assert found.version == "v_3"


def test_one_that_is_live_goes_before_a_newer_one_that_is_not(server: Server) -> None:
    trained(server)
    second = server.registration(version="v_2", image=image("v_2"), recipe_key=key(server))
    with pytest.raises(ImageNotFound):
        register(server.connect(), second, unheld)
    found = find(server)
    assert found is not None
    assert (found.version, found.is_live) == ("v_1", True)


def test_what_people_put_away_does_not_count(server: Server) -> None:
    version = trained(server)
    server.patch(f"/model_versions/{version.model_version_id}", state="ARCHIVED")
    assert find(server) is None
    artifact = trained(server, "second", "v_2")
    body = {"artifactType": "model-artifact", "state": "MARKED_FOR_DELETION"}
    server.patch(f"/model_artifacts/{artifact.model_artifact_id}", **body)
    assert find(server, "second") is None
    trained(server, "third", "v_3")
    assert find(server, "third") is not None
    server.patch(f"/registered_models/{version.registered_model_id}", state="ARCHIVED")
    assert find(server, "third") is None


def test_a_key_in_another_case_is_another_key(server: Server) -> None:
    registered = trained(server)
    custom = server.get(f"/model_versions/{registered.model_version_id}")["customProperties"]
    custom["modelcar_recipe_key"]["string_value"] = key(server).upper()
    server.patch(f"/model_versions/{registered.model_version_id}", customProperties=custom)
    assert find(server) is None


def test_a_model_stored_in_another_case_is_said(server: Server) -> None:
    trained(server)
    with pytest.raises(InvalidInput, match=r"takes .* for the same name"):
        find(server, model=f"{server.run}_MODEL")


@pytest.mark.parametrize("wrong", ["", "a" * 63, "A" * 64, 'a" OR name!="' + "a" * 52])
def test_a_key_that_is_none_is_refused_before_anything_is_asked(sandbox: Server, wrong: str) -> None:
    with pytest.raises(InvalidInput, match="is not a recipe key"):
        find_by_recipe(sandbox.connect(), "model", wrong)
