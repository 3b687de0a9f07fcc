from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from model_registry_server import Mortal, Server, image
from modelcar.errors import ImageNotFound, InvalidInput, InvalidReference, ModelRegistryError, VersionConflict
from modelcar.model_registry.registration import Existing, RegisteredVersion, Registration, check, register
from wsgi_faults import Fault, Faults, Recorder

ALL = ("registered_model", "model_version", "model_artifact")


def confirmed() -> None:
    """The image's registry holds the digest."""


def unheld() -> None:
    raise ImageNotFound("the image is not there")


def never() -> None:
    raise AssertionError("asked again for what is known")


def make(server: Server, registration: Registration, confirm: Callable[[], None] = confirmed) -> RegisteredVersion:
    return register(server.connect(), registration, confirm)


def by_hand(server: Server, registration: Registration, **version: Any) -> tuple[str, str]:
    """A model and a version that people made; their ids."""
    model = server.post("/registered_models", name=registration.registered_model)
    made = server.post("/model_versions", name=registration.version, registeredModelId=model["id"], **version)
    return model["id"], made["id"]


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


def test_an_image_that_its_registry_does_not_hold_stays_pending(server: Server) -> None:
    with pytest.raises(ImageNotFound, match="the image is not there"):
        make(server, server.registration(), unheld)
    model = server.get("/registered_model", name=f"{server.run}\\_model")
    (version,) = server.versions(model["id"])
    (artifact,) = server.artifacts(version["id"])
    assert artifact["state"] == "PENDING"


def test_a_pending_artifact_is_confirmed_by_the_next_run(server: Server) -> None:
    with pytest.raises(ImageNotFound):
        make(server, server.registration(), unheld)
    asked: list[bool] = []
    registered = make(server, server.registration(), lambda: asked.append(True))
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert (asked, registered.created, artifact["state"]) == ([True], (), "LIVE")
    assert artifact["modelFormatName"] == "vLLM"
    assert "modelcar_content_key" in artifact["customProperties"]


@pytest.mark.parametrize("requests", range(10))
def test_killed_after_any_request_and_run_again_ends_the_same(sandbox: Server, mortal: Mortal, requests: int) -> None:
    mortal.lives = requests
    with pytest.raises(ModelRegistryError):
        make(sandbox, sandbox.registration())
    mortal.lives = None
    _assert_one_of_each(sandbox, make(sandbox, sandbox.registration()))


def test_ten_requests_are_all(sandbox: Server, mortal: Mortal) -> None:
    mortal.lives = 10
    assert make(sandbox, sandbox.registration()).created == ALL


def _assert_one_of_each(server: Server, registered: RegisteredVersion) -> None:
    model = server.get("/registered_model", name=registered.registered_model.replace("_", r"\_"))
    assert model["id"] == registered.registered_model_id
    assert [one["id"] for one in server.versions(model["id"])] == [registered.model_version_id]
    (artifact,) = server.artifacts(registered.model_version_id)
    assert (artifact["id"], artifact["uri"], artifact["state"]) == (
        registered.model_artifact_id,
        registered.uri,
        "LIVE",
    )


@pytest.mark.parametrize("path", [r"/registered_models$", r"/model_versions$", r"/artifacts$", r"/model_artifacts/"])
def test_an_answer_that_is_lost_on_the_way_back_is_no_failure(sandbox: Server, faults: Faults, path: str) -> None:
    faults.add(Fault.cut_answer("PATCH" if path.endswith("artifacts/") else "POST", path, 0))
    registered = make(sandbox, sandbox.registration())
    assert faults.fired == 1
    _assert_one_of_each(sandbox, registered)


def test_eight_threads_at_once_make_one_of_each(server: Server) -> None:
    start = threading.Barrier(8)
    connection = server.connect()

    def run(_: int) -> RegisteredVersion:
        start.wait()
        return register(connection, server.registration(), confirmed)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(run, range(8)))
    assert len({replace(result, created=()) for result in results}) == 1
    assert sorted(name for result in results for name in result.created) == sorted(ALL)
    _assert_one_of_each(server, results[0])


PROCESS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Registration, check, register
from modelcar.reference import ImageReference

url, model, image = sys.argv[1:]
connection = Connection(url)
check(connection, model, None)
registration = Registration(model, "v_1", ImageReference.parse(image))
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(2) as threads:
    for result in threads.map(lambda _: register(connection, registration, lambda: None), range(2)):
        print(result.model_artifact_id, *result.created, flush=True)
"""


def test_processes_at_once_make_one_of_each(server: Server) -> None:
    command = [sys.executable, "-c", PROCESS, server.url, f"{server.run}_model", str(image())]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert len(lines) == 8
    assert len({line[0] for line in lines}) == 1
    assert sorted(name for line in lines for name in line[1:]) == sorted(ALL)
    _assert_one_of_each(server, make(server, server.registration(), never))


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


def test_an_artifact_whose_state_was_lost_is_confirmed_again(server: Server) -> None:
    registered = make(server, server.registration())
    # What a PATCH without the state does.
    server.patch(f"/model_artifacts/{registered.model_artifact_id}", artifactType="model-artifact", description="new")
    assert server.get(f"/model_artifacts/{registered.model_artifact_id}")["state"] == "UNKNOWN"
    make(server, server.registration())
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert (artifact["state"], artifact["description"]) == ("LIVE", "new")


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
