"""What a Model Registry holds of a model, read and made through a connection; no decisions.

Source: https://github.com/kubeflow/model-registry/blob/main/api/openapi/model-registry.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from modelcar.model_registry.client import Connection
from modelcar.model_registry.exchange import Operation
from modelcar.model_registry.failures import NotFound
from modelcar.model_registry.names import escape

T = TypeVar("T")

LIVING: Final = ("LIVE", "PENDING", "UNKNOWN")
"""States of an artifact that nobody took away. The Model Registry's own client leaves all at UNKNOWN, and so does
every PATCH that forgets the state."""


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model.

    Attributes:
        id: The server's, decimal digits.
        name: As stored, which may differ in case and accents from what was asked for.
        archived: Whether people put it away.
    """

    id: str
    name: str
    archived: bool


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model.

    Attributes:
        id: The server's.
        name: As stored.
        external_id: Who made it says; None when people did not.
        registered_model_id: Its model.
        archived: Whether people put it away.
        properties: Its custom properties that are text.
    """

    id: str
    name: str
    external_id: str | None
    registered_model_id: str
    archived: bool
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model artifact of a version.

    Attributes:
        id: The server's.
        external_id: As for a version.
        uri: Where the model's bytes are; None when people left it empty.
        state: `PENDING`, `LIVE`, `UNKNOWN`, … as the API names it.
    """

    id: str
    external_id: str | None
    uri: str | None
    state: str


class Entities:
    """Finds and makes; every method may raise `ModelRegistryError`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find_model(self, name: str) -> Model | None:
        """By name, as loosely as the server compares."""
        return self._find(lambda api: api.find_registered_model(name=escape(name)), _model)

    def create_model(self, name: str, owner: str | None) -> Model:
        """Make one.

        Raises:
            Conflict: The name is taken.
        """
        from mr_openapi.models import RegisteredModelCreate

        body = RegisteredModelCreate(name=name, owner=owner)
        return self._connection.call(lambda api: api.create_registered_model(body), _model)

    def find_version(self, external_id: str) -> Version | None:
        """By external id, which is unique over all models."""
        return self._find(lambda api: api.find_model_version(external_id=external_id), _version)

    def find_version_by_name(self, model_id: str, name: str) -> Version | None:
        """By name within a model, as loosely as the server compares."""
        return self._find(lambda api: api.find_model_version(name=escape(name), parent_resource_id=model_id), _version)

    def list_versions(self, filter_query: str) -> list[Version]:
        """All versions, of whatever model, that the server's query language finds, newest first."""
        return self._list(partial(_page_of_versions, filter_query), _versions)

    def create_version(
        self, model_id: str, name: str, external_id: str, properties: Mapping[str, str], **texts: str | None
    ) -> Version:
        """Make one; `texts` are its `author` and `description`.

        Raises:
            Conflict: The name is taken in the model, or the external id anywhere.
        """
        from mr_openapi.models import ModelVersionCreate

        body = ModelVersionCreate(
            name=name,
            registered_model_id=model_id,
            external_id=external_id,
            custom_properties=_custom(properties),
            **texts,
        )
        return self._connection.call(lambda api: api.create_model_version(body), _version)

    def find_artifact(self, external_id: str) -> Artifact | None:
        """By external id, which is unique over all artifacts."""
        return self._find(lambda api: api.find_model_artifact(external_id=external_id), _artifact)

    def list_artifacts(self, version_id: str) -> list[Artifact]:
        """The model artifacts of a version, of whatever name; not its documents and metrics."""
        return self._list(partial(_page_of_artifacts, version_id), _artifacts)

    def create_artifact(
        self, version_id: str, external_id: str, properties: Mapping[str, str], **texts: str | None
    ) -> Artifact:
        """Make one that is PENDING; `texts` are its `name`, `uri`, `model_format_name` and so on.

        Raises:
            Conflict: The name is taken in the version, or the external id anywhere.
        """
        from mr_openapi.models import Artifact as AnyArtifact
        from mr_openapi.models import ArtifactState, ModelArtifact

        body = ModelArtifact(
            external_id=external_id, custom_properties=_custom(properties), state=ArtifactState.PENDING, **texts
        )
        return self._connection.call(
            lambda api: api.upsert_model_version_artifact(version_id, AnyArtifact(body)), _artifact
        )

    def mark_live(self, artifact_id: str) -> None:
        """Set the state of a model artifact to LIVE and leave the rest as it is."""
        from mr_openapi.models import ArtifactState, ModelArtifactUpdate

        body = ModelArtifactUpdate(state=ArtifactState.LIVE)
        self._connection.call(lambda api: api.update_model_artifact(artifact_id, body), _artifact)

    def _list(self, page: Callable[[str], Operation], read: Callable[[dict[str, Any]], tuple[list[T], str]]) -> list[T]:
        items: list[T] = []
        token = ""
        while True:
            found, token = self._connection.call(page(token), read)
            items += found
            if not token:
                return items

    def _find(self, operation: Operation, read: Callable[[Any], T]) -> T | None:
        try:
            return self._connection.call(operation, read)
        except NotFound:
            return None


def _page_of_artifacts(version_id: str, token: str) -> Operation:
    return lambda api: api.get_model_version_artifacts(version_id, page_size="100", next_page_token=token or None)


def _page_of_versions(filter_query: str, token: str) -> Operation:
    return lambda api: api.get_model_versions(
        filter_query=filter_query,
        page_size="100",
        order_by="CREATE_TIME",
        sort_order="DESC",
        next_page_token=token or None,
    )


def _model(found: dict[str, Any]) -> Model:
    return Model(found["id"], found["name"], found.get("state") == "ARCHIVED")


def _version(found: dict[str, Any]) -> Version:
    custom = found.get("customProperties") or {}
    texts = {key: value["string_value"] for key, value in custom.items() if "string_value" in value}
    archived = found.get("state") == "ARCHIVED"
    return Version(found["id"], found["name"], found.get("externalId"), found["registeredModelId"], archived, texts)


def _artifact(found: dict[str, Any]) -> Artifact:
    return Artifact(found["id"], found.get("externalId"), found.get("uri"), found.get("state") or "UNKNOWN")


def _artifacts(page: dict[str, Any]) -> tuple[list[Artifact], str]:
    found = [_artifact(one) for one in page["items"] or [] if one["artifactType"] == "model-artifact"]
    return found, page.get("nextPageToken") or ""


def _versions(page: dict[str, Any]) -> tuple[list[Version], str]:
    return [_version(one) for one in page["items"] or []], page.get("nextPageToken") or ""


def _custom(properties: Mapping[str, str]) -> dict[str, Any]:
    from mr_openapi.models import MetadataStringValue, MetadataValue

    def wrap(value: str) -> Any:
        return MetadataValue(MetadataStringValue(string_value=value, metadata_type="MetadataStringValue"))

    return {key: wrap(value) for key, value in properties.items()}
