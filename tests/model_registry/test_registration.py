from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model_registry_server import (
    ALL,
    Server,
    image,
    make,
    never,
)
from modelcar.errors import InvalidInput, InvalidReference
from modelcar.model_registry.registration import Registration
from wsgi_faults import Recorder


def test_the_first_registration_makes_a_model_a_version_and_an_artifact(server: Server) -> None:
    registered = make(server, server.registration())
    model = server.get(f"/registered_models/{registered.registered_model_id}")
    assert (model["name"], model["owner"], model["state"]) == (f"{server.run}_model", "team", "LIVE")
    (version,) = server.versions(model["id"])
    assert version["id"] == registered.model_version_id
    assert (version["name"], version["author"], version["description"]) == ("v_1", "me", "first")
    (artifact,) = server.artifacts(version["id"])
    assert artifact["id"] == registered.model_artifact_id
    assert registered.created == ALL


def test_the_version_keeps_what_it_was_made_from_under_names_that_can_be_searched_for(server: Server) -> None:
    registration = server.registration()
    registered = make(server, registration)
    found = server.get(f"/model_versions/{registered.model_version_id}")["customProperties"]
    assert {key: value["string_value"] for key, value in found.items()} == {
        "ticket": "T-1",
        "modelcar_content_key": "c" * 64,
        "modelcar_image_digest": str(image().digest),
        "modelcar_image_uri": f"oci://registry.example/team/model@{image().digest}",
        "modelcar_source_uri": "hf://org/name",
        "modelcar_revision": "main",
        "modelcar_commit_hash": "d" * 40,
        "modelcar_size_bytes": "40000000000",
    }
    query = f'modelcar_image_digest="{image().digest}" AND registeredModelId={registered.registered_model_id}'
    assert [one["id"] for one in server.get("/model_versions", filterQuery=query)["items"]] == [
        registered.model_version_id
    ]


def test_the_artifact_names_the_image_by_digest_its_format_and_its_source(server: Server) -> None:
    registered = make(server, server.registration())
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    wanted = {
        "artifactType": "model-artifact",
        "name": f"{server.run}_model",
        "uri": f"oci://registry.example/team/model@{image().digest}",
        "state": "LIVE",
        "modelFormatName": "vLLM",
        "modelFormatVersion": "1",
        "modelSourceKind": "hf",
        "modelSourceGroup": "org",
        "modelSourceId": "d" * 40,
        "modelSourceName": "org/name:main",
    }
    assert {key: artifact[key] for key in wanted} == wanted
    assert set(artifact["customProperties"]) == {
        "modelcar_content_key",
        "modelcar_image_digest",
        "modelcar_size_bytes",
    }


def test_the_format_that_was_asked_for_is_kept(server: Server) -> None:
    registered = make(server, server.registration(model_format="onnx", model_format_version="17"))
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert (artifact["modelFormatName"], artifact["modelFormatVersion"]) == ("onnx", "17")


def test_what_is_not_known_is_left_out(server: Server) -> None:
    registered = make(server, Registration(f"{server.run}_bare", "v1", image()))
    version = server.get(f"/model_versions/{registered.model_version_id}")
    assert set(version["customProperties"]) == {"modelcar_image_digest", "modelcar_image_uri"}
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert not any(key.startswith("modelSource") for key in artifact)


def test_the_first_registration_writes_four_times(sandbox: Server, recorder: Recorder) -> None:
    make(sandbox, sandbox.registration())
    writes = [(r.method, r.path.rpartition("v1/")[2], r.status) for r in recorder.requests if r.method != "GET"]
    assert writes == [
        ("POST", "registered_models", 201),
        ("POST", "model_versions", 201),
        ("POST", "model_versions/2/artifacts", 201),
        ("PATCH", "model_artifacts/1", 200),
    ]


def test_a_rerun_asks_four_questions_and_writes_nothing(sandbox: Server, recorder: Recorder) -> None:
    first = make(sandbox, sandbox.registration())
    recorder.clear()
    assert make(sandbox, sandbox.registration(), never) == replace(first, created=())
    assert [r.method for r in recorder.requests] == ["GET"] * 4


def test_a_rerun_leaves_everything_as_it_is(server: Server) -> None:
    registered = make(server, server.registration())
    paths = [
        f"/registered_models/{registered.registered_model_id}",
        f"/model_versions/{registered.model_version_id}",
        f"/model_artifacts/{registered.model_artifact_id}",
    ]
    before = [server.get(path) for path in paths]
    make(server, server.registration(owner="other", author="other", description="other", properties={}), never)
    assert [server.get(path) for path in paths] == before


def test_another_version_shares_the_model(server: Server) -> None:
    first = make(server, server.registration())
    second = make(server, server.registration(version="v_2", image=image("other")))
    assert second.registered_model_id == first.registered_model_id
    assert second.created == ("model_version", "model_artifact")


def test_the_same_image_may_be_a_version_of_two_models(server: Server) -> None:
    first = make(server, server.registration())
    second = make(server, server.registration(registered_model=f"{server.run}_other"))
    assert second.created == ALL
    assert second.uri == first.uri


def test_a_name_with_underscores_is_not_a_pattern(server: Server) -> None:
    dashed = make(server, server.registration(registered_model=f"{server.run}-a-b", version="v-1"))
    ours = make(server, server.registration(registered_model=f"{server.run}-a_b", version="v_1"))
    sibling = make(server, server.registration(registered_model=f"{server.run}-a_b", version="v-1", image=image("x")))
    assert ours.created == ALL
    assert sibling.created == ("model_version", "model_artifact")
    again = make(server, server.registration(registered_model=f"{server.run}-a_b", version="v_1"), never)
    assert again.model_version_id == ours.model_version_id != dashed.model_version_id


def test_percent_quotes_and_letters_of_the_database_survive(server: Server) -> None:
    name = f"{server.run} 100% \"é\" 'x' & y=1/2?#+"
    first = make(server, server.registration(registered_model=name, version=name))
    assert make(server, server.registration(registered_model=name, version=name), never).created == ()
    assert server.get(f"/model_versions/{first.model_version_id}")["name"] == name


def test_the_longest_names_fit(server: Server) -> None:
    model, version = server.run.ljust(255, "m"), "v" * 244
    first = make(server, server.registration(registered_model=model, version=version))
    assert first.created == ALL
    assert make(server, server.registration(registered_model=model, version=version), never).created == ()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"registered_model": ""}, InvalidInput, "registered model's name has 0 characters"),
        ({"registered_model": "m" * 256}, InvalidInput, "has 256 characters"),
        ({"version": "v" * 245}, InvalidInput, "model version's name has 245 characters"),
        ({"version": "v1 "}, InvalidInput, "'v1 ' has blanks around its name"),
        ({"registered_model": "\tm"}, InvalidInput, "has blanks around its name"),
        ({"registered_model": "a\nb"}, InvalidInput, "a control character"),
        ({"registered_model": "a\x00b"}, InvalidInput, "a control character"),
        ({"registered_model": "a\u200bb"}, InvalidInput, "an invisible one"),
        ({"registered_model": "a\ud800b"}, InvalidInput, "an invisible one"),
        ({"registered_model": "a\\b"}, InvalidInput, "a backslash"),
        ({"image": image().tagged("v1")}, InvalidReference, "has no digest"),
        ({"properties": {"modelcar.dev/x": "1"}}, InvalidInput, "'modelcar.dev/x' cannot be the name"),
        ({"properties": {"": "1"}}, InvalidInput, "'' cannot be the name"),
        ({"properties": {"k" * 256: "1"}}, InvalidInput, "cannot be the name"),
        ({"properties": {"modelcar_content_key": "1"}}, InvalidInput, "is not free"),
        ({"source_uri": "s3://key:s3cret@host/x"}, InvalidInput, "^the source's URI holds credentials$"),
    ],
)
def test_what_could_never_be_taken_back_is_refused_before_anything_is_asked(
    sandbox: Server, recorder: Recorder, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(sandbox, sandbox.registration(**changes))
    assert recorder.requests == []
