"""Get or create: the registered model, the version and the artifact that stand for one image.

Each is looked up before it is made, and looked up again when the server says that somebody was faster, so that this
can be killed anywhere, run again, and run by eight at once: there is one model, one version and one artifact in the
end. What must not be lost goes into the request that makes a thing; nothing is rewritten later but the artifact's
state, from PENDING to LIVE, when the image's digest has been read back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelcar.errors import ModelRegistryError, VersionConflict
from modelcar.model_registry.client import Connection
from modelcar.model_registry.entities import LIVING, Artifact, Entities, Model, Version
from modelcar.model_registry.failures import Conflict
from modelcar.model_registry.names import (
    LONGEST_CHILD_NAME,
    check_model_name,
    check_stored_name,
    check_version_name,
)
from modelcar.model_registry.request import MODEL_FORMAT, MODEL_FORMAT_VERSION, URI_PROPERTY, Registration

__all__ = ["Existing", "RegisteredVersion", "Registration", "check", "register"]

VERSION_PREFIX: Final = "modelcar:version:"
"""Models, versions, environments and services share one space of external ids; hence the kind."""
ARTIFACT_PREFIX: Final = "modelcar:artifact:"


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """What a Model Registry has of an image.

    Attributes:
        registered_model_id: Decimal digits.
        model_version_id: Decimal digits.
        model_artifact_id: Decimal digits.
        registered_model: Name.
        version: Name.
        uri: `oci://registry/repository@sha256:…`.
        created: Which of `registered_model`, `model_version` and `model_artifact` this run made, in this order; one
            whose answer was lost on the way back is not counted.
    """

    registered_model_id: str
    model_version_id: str
    model_artifact_id: str
    registered_model: str
    version: str
    uri: str
    created: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Existing:
    """What a Model Registry has before anything is registered.

    Attributes:
        registered_model_id: None when there is no such model.
        model_version_id: None when there is no such version, or none was asked for.
        uri: The version's image, registered or about to be by a run that was killed; None without a version.
    """

    registered_model_id: str | None
    model_version_id: str | None
    uri: str | None


def check(connection: Connection, registered_model: str, version: str | None) -> Existing:
    """Find out, before bytes move, what would stop a registration after it; writes nothing.

    Args:
        connection: The Model Registry.
        registered_model: Name.
        version: Name, or None when the image's digest will name it.

    Raises:
        InvalidInput: A name cannot be used, or is stored there in another case.
        VersionConflict: The version is somebody else's and names no image.
        ModelRegistryError: The model or version is archived; no server, no access.
    """
    check_model_name(registered_model)
    if version is not None:
        check_version_name(version)
    entities = Entities(connection)
    model = entities.find_model(registered_model)
    if model is None:
        return Existing(None, None, None)
    _check_model(model, registered_model)
    found = entities.find_version_by_name(model.id, version) if version is not None else None
    if version is None or found is None:
        return Existing(model.id, None, None)
    _check_version(found, registered_model, version, model)
    return Existing(model.id, found.id, _image_of(found, entities, registered_model))


def register(connection: Connection, registration: Registration, confirm: Callable[[], None]) -> RegisteredVersion:
    """Register an image as a version of a model, or find that it is.

    Nothing is written when everything is there. Otherwise at most three entities are made and one state is set.

    Args:
        connection: The Model Registry.
        registration: What to register.
        confirm: Reads the image's digest back from its registry and raises when it is not there. Called while the
            artifact is not LIVE yet.

    Raises:
        InvalidInput: A name cannot be used, or is stored there in another case.
        InvalidReference: The image has no digest.
        VersionConflict: The version exists with another image, or is somebody else's and names none.
        ModelRegistryError: The model, version or artifact was put away; the server refuses or cannot be reached.
    """
    registration.check()
    entities = Entities(connection)
    created: list[str] = []
    model = _ensure_model(entities, registration, created)
    version = _ensure_version(entities, registration, model, created)
    artifact = _ensure_artifact(entities, registration, version, created)
    if artifact.state != "LIVE":
        confirm()
        entities.mark_live(artifact.id)
    return RegisteredVersion(
        model.id,
        version.id,
        artifact.id,
        registration.registered_model,
        registration.version,
        registration.uri,
        tuple(created),
    )


def _ensure_model(entities: Entities, registration: Registration, created: list[str]) -> Model:
    name = registration.registered_model
    model = entities.find_model(name)
    if model is None:
        try:
            model = entities.create_model(name, registration.owner)
            created.append("registered_model")
        except Conflict as conflict:
            model = entities.find_model(name)
            if model is None:
                raise _taken_unseen("registered model", name) from conflict
    _check_model(model, name)
    return model


def _ensure_version(entities: Entities, registration: Registration, model: Model, created: list[str]) -> Version:
    external_id = VERSION_PREFIX + registration.identity

    def find() -> Version | None:
        return entities.find_version(external_id) or entities.find_version_by_name(model.id, registration.version)

    version = find()
    if version is None:
        try:
            version = entities.create_version(
                model.id,
                registration.version,
                external_id,
                registration.describe_version(),
                author=registration.author,
                description=registration.description,
            )
            created.append("model_version")
        except Conflict as conflict:
            version = find()
            if version is None:
                raise _taken_unseen("model version", registration.version) from conflict
    _check_version(version, registration.registered_model, registration.version, model)
    if version.external_id != external_id:
        _check_same_image(version, entities, registration)
    return version


def _ensure_artifact(entities: Entities, registration: Registration, version: Version, created: list[str]) -> Artifact:
    external_id = ARTIFACT_PREFIX + registration.identity

    def find() -> Artifact | None:
        found = entities.find_artifact(external_id)
        if found is not None:
            return found
        there = entities.list_artifacts(version.id)
        return next((one for one in there if one.uri == registration.uri), there[0] if there else None)

    artifact = find()
    if artifact is None:
        try:
            artifact = _create_artifact(entities, registration, version, external_id)
            created.append("model_artifact")
        except Conflict as conflict:
            artifact = find()
            if artifact is None:
                raise _taken_unseen("model artifact", registration.registered_model) from conflict
    if artifact.uri != registration.uri:
        raise _other_image(registration.registered_model, registration.version, artifact.uri, registration.uri)
    if artifact.state not in LIVING:
        raise ModelRegistryError(
            f"the artifact of {registration.registered_model} {registration.version} is {artifact.state} "
            "in the Model Registry",
            hint="Somebody took it away; set its state to LIVE, or register under another version name.",
        )
    return artifact


def _create_artifact(entities: Entities, registration: Registration, version: Version, external_id: str) -> Artifact:
    return entities.create_artifact(
        version.id,
        external_id,
        registration.describe_artifact(),
        # The Model Registry's own client looks an artifact up by its model's name.
        name=registration.registered_model[:LONGEST_CHILD_NAME],
        uri=registration.uri,
        model_format_name=registration.model_format or MODEL_FORMAT,
        model_format_version=registration.model_format_version or MODEL_FORMAT_VERSION,
        **registration.describe_source(),
    )


def _check_model(model: Model, name: str) -> None:
    check_stored_name("registered model", name, model.name)
    if model.archived:
        raise ModelRegistryError(
            f"the registered model {name} is archived in the Model Registry",
            hint="Restore it there, or register under another name.",
        )


def _check_version(version: Version, model_name: str, name: str, model: Model) -> None:
    check_stored_name("model version", name, version.name)
    if version.registered_model_id != model.id:
        raise ModelRegistryError(
            f"the model version {version.name} with id {version.id} carries our external id but belongs to another "
            f"registered model, with id {version.registered_model_id}",
            hint="Take the external id off that version; only register sets it.",
        )
    if version.archived:
        raise ModelRegistryError(
            f"the version {name} of {model_name} is archived in the Model Registry",
            hint="Restore it there, or register under another version name.",
        )


def _check_same_image(version: Version, entities: Entities, registration: Registration) -> None:
    """Take somebody else's version only when one of its artifacts is this very image.

    One without artifacts may mean anything: made by hand and to be filled by hand, made by another tool that was
    killed, or made by us for another image. To hang our image on it would change what it means to whoever made it.
    """
    uris = [artifact.uri for artifact in entities.list_artifacts(version.id)]
    if registration.uri not in uris:
        existing = uris[0] if uris else version.properties.get(URI_PROPERTY)
        raise _other_image(registration.registered_model, registration.version, existing, registration.uri)


def _image_of(version: Version, entities: Entities, model_name: str) -> str | None:
    artifacts = entities.list_artifacts(version.id)
    ours = [one for one in artifacts if (one.external_id or "").startswith(ARTIFACT_PREFIX)]
    uri = next((one.uri for one in (*ours, *artifacts) if one.uri), None)
    if uri is not None:
        return uri
    if not (version.external_id or "").startswith(VERSION_PREFIX):
        raise _other_image(model_name, version.name, None, "a new one")
    return version.properties.get(URI_PROPERTY)


def _other_image(model_name: str, version: str, existing: str | None, new: str) -> VersionConflict:
    return VersionConflict(
        f"version {version} of {model_name} exists in the Model Registry with {existing or 'no image'}, not {new}",
        hint="Choose another version name; a version never changes its image.",
    )


def _taken_unseen(kind: str, name: str) -> ModelRegistryError:
    return ModelRegistryError(
        f"the Model Registry says that the {kind} {name!r} exists, and does not find it",
        hint="Its database takes another name for the same one; choose a name that differs in more than accents.",
    )
