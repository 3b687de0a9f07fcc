from __future__ import annotations

import pytest

from model_registry_server import (
    Server,
    by_hand,
    image,
    make,
    never,
)
from modelcar.errors import InvalidInput, ModelRegistryError, VersionConflict
from modelcar.model_registry.registration import Existing, check
from wsgi_faults import Fault, Faults, Recorder


def test_a_version_name_with_another_image_is_a_conflict(server: Server) -> None:
    make(server, server.registration())
    with pytest.raises(VersionConflict) as raised:
        make(server, server.registration(image=image("other")))
    assert str(raised.value) == (
        f"version v_1 of {server.run}_model exists in the Model Registry with "
        f"oci://registry.example/team/model@{image().digest}, "
        f"not oci://registry.example/team/model@{image('other').digest}"
    )
    assert raised.value.hint is not None
    assert "another version name" in raised.value.hint


def test_the_same_digest_in_another_repository_is_a_conflict(server: Server) -> None:
    make(server, server.registration())
    with pytest.raises(VersionConflict, match="team/mirror"):
        make(server, server.registration(image=image(repository="team/mirror")))


def test_a_version_left_behind_for_another_image_is_a_conflict_that_names_it(sandbox: Server, faults: Faults) -> None:
    faults.add(Fault.answer("POST", r"/artifacts$", 400))
    with pytest.raises(ModelRegistryError):
        make(sandbox, sandbox.registration())
    with pytest.raises(VersionConflict, match=f"with oci://registry.example/team/model@{image().digest}, not"):
        make(sandbox, sandbox.registration(image=image("other")))


def test_somebody_elses_version_with_this_very_image_is_taken(server: Server) -> None:
    registration = server.registration()
    model, version = by_hand(server, registration)
    server.post(
        f"/model_versions/{version}/artifacts", artifactType="model-artifact", name="theirs", uri=registration.uri
    )
    registered = make(server, registration)
    assert (registered.registered_model_id, registered.model_version_id, registered.created) == (model, version, ())
    (artifact,) = server.artifacts(version)
    assert (artifact["name"], artifact["state"]) == ("theirs", "LIVE")


def test_somebody_elses_version_with_another_image_is_a_conflict(server: Server) -> None:
    registration = server.registration()
    _, version = by_hand(server, registration)
    server.post(
        f"/model_versions/{version}/artifacts", artifactType="model-artifact", name="theirs", uri="s3://bucket/x"
    )
    with pytest.raises(VersionConflict, match="exists in the Model Registry with s3://bucket/x, not oci://"):
        make(server, registration)


def test_somebody_elses_version_without_an_image_is_left_alone(server: Server) -> None:
    registration = server.registration()
    _, version = by_hand(server, registration)
    with pytest.raises(VersionConflict, match="with no image, not oci://"):
        make(server, registration)
    assert server.artifacts(version) == []


def test_somebody_elses_documents_are_no_image(server: Server) -> None:
    registration = server.registration()
    _, version = by_hand(server, registration)
    server.post(f"/model_versions/{version}/artifacts", artifactType="doc-artifact", name="card", uri=registration.uri)
    with pytest.raises(VersionConflict, match="with no image"):
        make(server, registration)


def test_a_version_with_numbers_and_other_values_of_people_is_read(server: Server) -> None:
    registration = server.registration()
    number = {"n": {"metadataType": "MetadataIntValue", "int_value": "2000000000"}}
    _, version = by_hand(server, registration, customProperties=number)
    server.post(
        f"/model_versions/{version}/artifacts", artifactType="model-artifact", name="theirs", uri=registration.uri
    )
    assert make(server, registration).model_version_id == version


def test_an_artifact_that_was_taken_away_is_not_brought_back(server: Server) -> None:
    registered = make(server, server.registration())
    path = f"/model_artifacts/{registered.model_artifact_id}"
    server.patch(path, artifactType="model-artifact", state="ABANDONED")
    with pytest.raises(ModelRegistryError, match=r"is ABANDONED in the Model Registry"):
        make(server, server.registration())
    assert server.get(path)["state"] == "ABANDONED"


def test_an_archived_model_is_not_used(server: Server) -> None:
    registered = make(server, server.registration())
    server.patch(f"/registered_models/{registered.registered_model_id}", state="ARCHIVED")
    for version in ("v_1", "v_2"):
        with pytest.raises(ModelRegistryError, match=f"{server.run}_model is archived") as raised:
            make(server, server.registration(version=version))
        assert raised.value.hint is not None
    with pytest.raises(ModelRegistryError, match="is archived"):
        check(server.connect(), f"{server.run}_model", None)


def test_an_archived_version_is_not_used(server: Server) -> None:
    registered = make(server, server.registration())
    server.patch(f"/model_versions/{registered.model_version_id}", state="ARCHIVED")
    with pytest.raises(ModelRegistryError, match=f"the version v_1 of {server.run}_model is archived"):
        make(server, server.registration())
    with pytest.raises(ModelRegistryError, match="is archived"):
        check(server.connect(), f"{server.run}_model", "v_1")


def test_our_external_id_on_another_models_version_is_refused(sandbox: Server) -> None:
    registration = sandbox.registration()
    other = sandbox.post("/registered_models", name="other")
    sandbox.post(
        "/model_versions",
        name="v_1",
        registeredModelId=other["id"],
        externalId=f"modelcar:version:{registration.identity}",
    )
    with pytest.raises(ModelRegistryError, match="belongs to another registered model"):
        make(sandbox, registration)


@pytest.mark.parametrize(("stored", "asked"), [("Model", "model"), ("modéle", "modele")])
def test_a_model_stored_in_another_case_is_named(server: Server, stored: str, asked: str) -> None:
    server.post("/registered_models", name=f"{server.run}-{stored}")
    for ask in (
        lambda: make(server, server.registration(registered_model=f"{server.run}-{asked}")),
        lambda: check(server.connect(), f"{server.run}-{asked}", None),
    ):
        with pytest.raises(InvalidInput, match=f"the registered model '{server.run}-{stored}'"):
            ask()


def test_a_version_stored_in_another_case_is_named(server: Server) -> None:
    make(server, server.registration(version="RC1"))
    with pytest.raises(InvalidInput, match="has the model version 'RC1', and takes 'rc1' for the same name"):
        make(server, server.registration(version="rc1"))
    with pytest.raises(InvalidInput, match="'RC1'"):
        check(server.connect(), f"{server.run}_model", "rc1")


def test_check_knows_nothing_of_a_new_model_and_writes_nothing(sandbox: Server, recorder: Recorder) -> None:
    assert check(sandbox.connect(), "new", "v1") == Existing(None, None, None)
    assert {r.method for r in recorder.requests} == {"GET"}


def test_check_finds_the_model_and_the_image_of_the_version(server: Server) -> None:
    registered = make(server, server.registration())
    connection = server.connect()
    model = f"{server.run}_model"
    assert check(connection, model, None) == Existing(registered.registered_model_id, None, None)
    assert check(connection, model, "v-1") == Existing(registered.registered_model_id, None, None)
    assert check(connection, model, "v_1") == Existing(
        registered.registered_model_id, registered.model_version_id, registered.uri
    )


def test_check_finds_the_image_of_a_version_that_was_left_behind(sandbox: Server, faults: Faults) -> None:
    faults.add(Fault.answer("POST", r"/artifacts$", 400))
    with pytest.raises(ModelRegistryError):
        make(sandbox, sandbox.registration())
    assert check(sandbox.connect(), "run_model", "v_1").uri == sandbox.registration().uri


def test_check_prefers_our_artifact_to_one_that_people_added(server: Server) -> None:
    registered = make(server, server.registration())
    server.post(
        f"/model_versions/{registered.model_version_id}/artifacts",
        artifactType="model-artifact",
        name="a",
        uri="s3://bucket/gguf",
    )
    assert check(server.connect(), f"{server.run}_model", "v_1").uri == registered.uri
    assert make(server, server.registration(), never).model_artifact_id == registered.model_artifact_id


def test_check_refuses_somebody_elses_version_without_an_image(server: Server) -> None:
    registration = server.registration()
    by_hand(server, registration)
    with pytest.raises(VersionConflict, match="with no image"):
        check(server.connect(), registration.registered_model, registration.version)


def test_a_version_with_more_artifacts_than_a_page_is_read_to_its_end(sandbox: Server) -> None:
    registration = sandbox.registration()
    _, version = by_hand(sandbox, registration)
    for number in range(100):
        sandbox.post(
            f"/model_versions/{version}/artifacts", artifactType="model-artifact", name=f"a{number}", uri="s3://x"
        )
    sandbox.post(
        f"/model_versions/{version}/artifacts", artifactType="model-artifact", name="last", uri=registration.uri
    )
    assert make(sandbox, registration).model_version_id == version
