"""What promotions register, others find and make in the same way."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace

import pytest

from modelcar.distribution.client import Access
from modelcar.registering import register_image
from modelcar_sandbox.sandbox import DEMO_MODEL
from promotion.place import Place
from promotion.services import Services

_OLD_CLIENT = """
import json, sys
from model_registry import ModelRegistry

url, model, version = sys.argv[1:]
host, _, port = url.rpartition(":")
client = ModelRegistry(host, int(port), author="somebody", is_secure=False)
artifact = client.get_model_artifact(model, version)
print(json.dumps([client.get_registered_model(model).name, client.get_model_version(model, version).name,
                  artifact.uri, artifact.state.value]))
"""


def test_an_image_pushed_and_registered_by_hand_is_what_a_promotion_registers(
    sandbox_place: Place, services: Services
) -> None:
    destination = f"{sandbox_place.registry}/{sandbox_place.repository}:latest"
    base = ("--base-image", sandbox_place.base_image)
    pushed = sandbox_place.run("push", f"hf://{DEMO_MODEL}", destination, *base, "--json")
    image = json.loads(pushed.stdout)["image"]
    register = ("register", image, "--model", "demo-llama", "--url", sandbox_place.model_registry, "--json")

    first = json.loads(sandbox_place.run(*register).stdout)
    services.model_registry.recorder.clear()
    second = json.loads(sandbox_place.run(*register).stdout)

    assert first["created"] == ["registered_model", "model_version", "model_artifact"]
    assert second == {**first, "created": []}
    assert services.model_registry.writes() == []

    [version] = sandbox_place.versions()
    promotion = sandbox_place.promote()
    assert promotion.push.content_key == version["customProperties"]["modelcar_content_key"]["string_value"]
    assert promotion.register.created == ()
    assert promotion.register.model_version_id == first["model_version_id"]


def test_a_model_on_top_of_another_model_is_known_by_its_own_files(sandbox_place: Place) -> None:
    below = sandbox_place.promote().push
    above = sandbox_place.promote(base_image=below.image, repository="models/above", registered_model="above").push
    assert len(above.layers) > len(below.layers)

    registered = register_image(
        above.image, model="by-hand", access=Access(plain_http=True), url=sandbox_place.model_registry
    )

    [version] = replace(sandbox_place, registered_model="by-hand").versions()
    assert version["id"] == registered.model_version_id
    assert version["customProperties"]["modelcar_content_key"]["string_value"] == above.content_key


@pytest.mark.usefixtures("own_loop")
def test_the_unmodified_client_finds_what_was_promoted(sandbox_place: Place) -> None:
    from model_registry import ModelRegistry

    promotion = sandbox_place.promote()

    with pytest.warns(UserWarning, match="User access token is missing"):
        client = ModelRegistry(sandbox_place.model_registry, author="somebody", is_secure=False)
    version = client.get_model_version("demo-llama", promotion.register.version)
    artifact = client.get_model_artifact("demo-llama", promotion.register.version)
    assert version is not None
    assert artifact is not None
    assert (version.id, artifact.id) == (promotion.register.model_version_id, promotion.register.model_artifact_id)
    assert (artifact.uri, artifact.state.value) == (f"oci://{promotion.push.image}", "LIVE")
    assert version.custom_properties["modelcar_content_key"] == promotion.push.content_key


@pytest.mark.real
@pytest.mark.parametrize("place", ["REAL_OCI_REGISTRY"], indirect=True)
def test_an_older_client_finds_on_the_real_server_what_was_promoted(place: Place) -> None:
    python = os.environ.get("REAL_MODEL_REGISTRY_CLIENT_PYTHON")
    if not python:
        pytest.skip("REAL_MODEL_REGISTRY_CLIENT_PYTHON is not set")
    promotion = place.promote()
    name, version = place.registered_model, promotion.register.version

    found = subprocess.run(
        [python, "-W", "ignore", "-c", _OLD_CLIENT, place.model_registry, name, version],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(found.stdout) == [name, version, f"oci://{promotion.push.image}", "LIVE"]
