"""Which version of a model came of a training: what a scheduled retraining asks before it trains."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelcar.errors import InvalidInput
from modelcar.model_registry.client import Connection
from modelcar.model_registry.entities import LIVING, Entities, Version
from modelcar.model_registry.names import check_model_name, check_stored_name
from modelcar.model_registry.request import METRICS_PROPERTY, RECIPE_PROPERTY, URI_PROPERTY

_KEY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrainedVersion:
    """A version that came of a training.

    Attributes:
        registered_model_id: Decimal digits.
        model_version_id: Decimal digits.
        version: Name.
        uri: `oci://registry/repository@sha256:…`.
        is_live: Whether its artifact is LIVE; when not, the run that registered it was stopped, and registering the
            same image again ends what it began.
        metrics: What the training measured; None when nobody wrote that down.
    """

    registered_model_id: str
    model_version_id: str
    version: str
    uri: str
    is_live: bool
    metrics: Mapping[str, float] | None


def find_by_recipe(connection: Connection, registered_model: str, recipe_key: str) -> TrainedVersion | None:
    """Find the version that came of a training; writes nothing.

    Args:
        connection: The Model Registry.
        registered_model: Name.
        recipe_key: 64 hex digits, see `modelcar.recipe`.

    Returns:
        The newest such version, one that is LIVE before others. None when there is none: nobody registered it, or it
        or the whole model was archived, which is how people say that it does not count any more.

    Raises:
        InvalidInput: The model's name cannot be used, or is stored in another case; the key is none.
        ModelRegistryError: The server refuses or cannot be reached.
    """
    check_model_name(registered_model)
    if not _KEY.fullmatch(recipe_key):
        raise InvalidInput(f"{recipe_key!r} is not a recipe key", hint="It has 64 hex digits.")
    entities = Entities(connection)
    model = entities.find_model(registered_model)
    if model is None:
        return None
    check_stored_name("registered model", registered_model, model.name)
    if model.archived:
        return None
    query = f'{RECIPE_PROPERTY}="{recipe_key}" AND registeredModelId={model.id}'
    # Compared again: the server compares loosely, and ignores the part about the model in some of its lists.
    versions = [
        version
        for version in entities.list_versions(query)
        if version.properties.get(RECIPE_PROPERTY) == recipe_key
        and version.registered_model_id == model.id
        and not version.archived
    ]
    found = [trained for version in versions if (trained := _look(version, entities)) is not None]
    return next((trained for trained in found if trained.is_live), found[0] if found else None)


def _look(version: Version, entities: Entities) -> TrainedVersion | None:
    """The version with its image; None when somebody took the artifact away."""
    uri = version.properties.get(URI_PROPERTY)
    artifacts = [artifact for artifact in entities.list_artifacts(version.id) if artifact.uri == uri]
    if uri is None or any(artifact.state not in LIVING for artifact in artifacts):
        return None
    is_live = any(artifact.state == "LIVE" for artifact in artifacts)
    metrics = _read_metrics(version.properties.get(METRICS_PROPERTY, ""))
    return TrainedVersion(version.registered_model_id, version.id, version.name, uri, is_live, metrics)


def _read_metrics(text: str) -> dict[str, float] | None:
    """Metrics as a registration wrote them; None for what somebody else wrote in their place."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or not all(isinstance(one, int | float) for one in value.values()):
        return None
    return value
