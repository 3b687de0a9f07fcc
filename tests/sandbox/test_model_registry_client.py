"""The unmodified `model-registry` client works with the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.service import Service

if TYPE_CHECKING:
    from model_registry import ModelRegistry

pytestmark = pytest.mark.usefixtures("own_loop")

TOKEN = "client-token"
URI = "oci://registry.example/team/qwen@sha256:" + "a" * 64


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with Service(create_app(tmp_path, token=TOKEN)) as service:
        yield service.url


@pytest.fixture
def client(url: str) -> ModelRegistry:
    return connect(url, TOKEN)


def connect(url: str, token: str) -> ModelRegistry:
    from model_registry import ModelRegistry

    return ModelRegistry(url, author="me", user_token=token)


def register(client: ModelRegistry, version: str = "1.0") -> Any:
    return client.register_model(
        "qwen",
        URI,
        model_format_name="vLLM",
        model_format_version="1",
        version=version,
        owner="team",
        version_description="first",
        metadata={"key": "abc", "files": 3, "loss": 0.5, "tuned": True},
    )


def test_what_it_registers_it_finds_again(client: ModelRegistry) -> None:
    model = register(client)
    version = client.get_model_version("qwen", "1.0")
    artifact = client.get_model_artifact("qwen", "1.0")
    assert version is not None
    assert artifact is not None
    assert (model.name, model.owner, model.state.value) == ("qwen", "team", "LIVE")
    assert (version.name, version.author, version.description) == ("1.0", "me", "first")
    assert version.custom_properties == {"key": "abc", "files": 3, "loss": 0.5, "tuned": True}
    assert (artifact.uri, artifact.model_format_name, artifact.state.value) == (URI, "vLLM", "UNKNOWN")


def test_what_is_not_there_is_none(client: ModelRegistry) -> None:
    register(client)
    assert client.get_registered_model("nope") is None
    assert client.get_model_version("qwen", "9.9") is None


def test_it_updates_models_versions_and_artifacts(client: ModelRegistry) -> None:
    from model_registry.types import ArtifactState, ModelVersionState

    register(client)
    version, artifact = client.get_model_version("qwen", "1.0"), client.get_model_artifact("qwen", "1.0")
    assert version is not None
    assert artifact is not None
    version.state = ModelVersionState.ARCHIVED
    version.custom_properties = {"key": "def"}
    artifact.state = ArtifactState.LIVE
    client.update(version)
    client.update(artifact)
    after, live = client.get_model_version("qwen", "1.0"), client.get_model_artifact("qwen", "1.0")
    assert after is not None
    assert live is not None
    assert (after.state.value, after.custom_properties) == ("ARCHIVED", {"key": "def"})
    assert (live.state.value, live.uri) == ("LIVE", URI)


def test_it_lists_in_pages_and_in_order(client: ModelRegistry) -> None:
    for number in range(5):
        register(client, f"{number}.0")
    newest_first = client.get_model_versions("qwen").order_by_creation_time().descending().page_size(2)
    assert [version.name for version in newest_first] == ["4.0", "3.0", "2.0", "1.0", "0.0"]
    assert [model.name for model in client.get_registered_models()] == ["qwen"]


def test_a_version_that_is_there_is_refused(client: ModelRegistry) -> None:
    from model_registry.exceptions import StoreError

    register(client)
    with pytest.raises(StoreError, match=r"Version 1\.0 already exists"):
        register(client)


def test_a_wrong_token_is_refused(url: str) -> None:
    from mr_openapi.exceptions import UnauthorizedException

    with pytest.raises(UnauthorizedException):
        connect(url, "wrong")


def test_without_a_token_it_warns_and_works(tmp_path: Path) -> None:
    from model_registry import ModelRegistry

    with Service(create_app(tmp_path / "open")) as service:
        with pytest.warns(UserWarning, match="User access token is missing"):
            client = ModelRegistry(service.url, author="me", is_secure=False)
        assert register(client).name == "qwen"
