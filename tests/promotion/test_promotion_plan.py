"""A plan of a spec says what promote would do, meets what would stop it, and changes nothing."""

from __future__ import annotations

import json

import pytest

from modelcar.distribution.client import Access
from modelcar.errors import GitError, InvalidInput, ManifestShapeError, ModelRegistryError, VersionConflict
from modelcar.gpu.server import read_server
from modelcar.promotion import plan_promotion
from promotion.place import Place
from promotion.services import Services
from wsgi_faults import Fault

ALWAYS = 10_000


def plan(place: Place, *, more: str = "", **changes: str) -> tuple[dict[tuple[str, ...], bool], list[str]]:
    """Which files' layers it says are reused, and the lines that it tells.

    The layer of directories has no files and a few KiB; whether it is there is seen when it is pushed.
    """
    lines: list[str] = []
    planned = plan_promotion(place.spec(more=more, **changes), access=Access(plain_http=True), tell=lines.append)
    layers = [(tuple(file.path for file in one.layer.files), one.reusable) for one in planned.build.plan.layers]
    return {files: reusable for files, reusable in layers if files}, lines


def test_a_plan_reuses_the_image_that_serves_under_another_tag_as_the_promotion_does(
    sandbox_place: Place, services: Services
) -> None:
    sandbox_place.promote(tag="spring")
    services.publish(variant=2)

    planned, _ = plan(sandbox_place, tag="autumn")
    promoted = sandbox_place.promote(tag="autumn")

    assert planned == {layer.files: layer.reused for layer in promoted.push.layers if layer.files}
    assert sorted(planned.values()) == [False, True, True]


def test_the_command_says_the_same_as_promote_does(sandbox_place: Place, services: Services) -> None:
    sandbox_place.promote(tag="spring")
    services.publish(variant=2)
    spec = sandbox_place.spec_file(tag="autumn")

    planned = sandbox_place.run("plan", "--plain-http", "--json", str(spec))
    promoted = sandbox_place.run("promote", "--plain-http", "--json", str(spec))

    assert (planned.returncode, promoted.returncode) == (0, 0)
    assert [line.split()[0] for line in planned.stderr.splitlines()] == ["checking", "resolving"]
    said = {tuple(layer["files"]): layer["reusable"] for layer in json.loads(planned.stdout)["layers"]}
    made = {tuple(layer["files"]): layer["reused"] for layer in json.loads(promoted.stdout)["push"]["layers"]}
    assert {files: said[files] for files in said if files} == {files: made[files] for files in made if files}
    assert sorted(said[files] for files in said if files) == [False, True, True]


def test_a_plan_writes_nothing(sandbox_place: Place, services: Services) -> None:
    refs = (services.git_directory / "refs" / "heads" / "main").read_text()

    plan(sandbox_place)

    watched = (services.hub, services.registry, services.model_registry)
    assert [service.writes() for service in watched] == [[], [], []]
    assert services.hub.recorder.seen("GET", "/resolve/") == []
    assert (services.git_directory / "refs" / "heads" / "main").read_text() == refs


def test_the_manifest_in_git_and_the_runtime_beside_it_say_what_waits_for_the_model(sandbox_place: Place) -> None:
    planned = plan_promotion(sandbox_place.spec(), access=Access(plain_http=True), tell=lambda _: None)

    server = read_server([planned.manifest.text, *planned.beside], name="demo-llama")
    assert server.arguments["model"] == "/mnt/models"  # as the ServingRuntime vllm-cuda has it


def test_a_hold_is_told_and_the_plan_goes_on(sandbox_place: Place) -> None:
    _, lines = plan(sandbox_place, more="hold: frozen until the audit is over\n")

    assert lines[0] == "promotions of demo-llama are on hold: frozen until the audit is over"
    assert lines[-1] == f"resolving hf://{sandbox_place.model}"


def test_no_such_manifest(sandbox_place: Place, services: Services) -> None:
    with pytest.raises(InvalidInput, match=r"has no file nothing\.yaml"):
        plan(sandbox_place, path="nothing.yaml")
    with pytest.raises(ManifestShapeError, match="has no InferenceService other"):
        plan(sandbox_place, name="other")
    assert services.hub.recorder.requests == []


def test_no_git_repository(sandbox_place: Place) -> None:
    with pytest.raises(GitError, match="there is no git repository at"):
        plan(sandbox_place, git=f"{sandbox_place.git}-nothing")


@pytest.mark.real
@pytest.mark.parametrize("place", ["REAL_OCI_REGISTRY"], indirect=True)
def test_a_git_server_that_we_may_only_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELCAR_GIT_TOKEN")
    with pytest.raises(GitError, match="does not accept the credentials, or asks for some"):
        plan(place)


def test_a_model_registry_that_does_not_let_us_in(sandbox_place: Place, services: Services) -> None:
    services.model_registry.faults.add(Fault.answer("GET", "/api/", 403, times=ALWAYS))
    with pytest.raises(ModelRegistryError, match="does not allow this"):
        plan(sandbox_place)
    assert services.hub.recorder.requests == []


def test_a_version_name_that_another_model_has(sandbox_place: Place, services: Services) -> None:
    sandbox_place.promote(version="v1")
    services.publish(variant=2)
    with pytest.raises(VersionConflict, match="version v1 of demo-llama exists in the Model Registry with oci://"):
        plan(sandbox_place, version="v1")


def test_the_same_image_moved_to_another_repository_is_what_git_says_in_the_end(sandbox_place: Place) -> None:
    first = sandbox_place.promote(version="v1")
    moved = sandbox_place.promote(version="v2", repository="models/moved")

    assert moved.push.digest == first.push.digest
    assert moved.patch.changed
    assert f"storageUri: oci://{moved.push.image}\n".encode() in sandbox_place.manifest()
    assert f'"{moved.register.model_version_id}"'.encode() in sandbox_place.manifest()
