"""The step that tells the Model Registry of an image."""

from __future__ import annotations

import time
from typing import NamedTuple

from modelcar.lineage import Provenance, registration_of
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import register
from modelcar.registering import look_up
from modelcar.spec import ModelRegistrySpec
from modelcar.steps.fields import read_part
from modelcar.steps.record import read_record, write_record
from modelcar.steps.running import say, step
from modelcar.steps.surroundings import make_access


class Registered(NamedTuple):
    """What later steps are given.

    Attributes:
        registered_model: Name.
        version: Name.
        registered_model_id: Decimal digits.
        model_version_id: Decimal digits.
        record: For the report.
    """

    registered_model: str
    version: str
    registered_model_id: str
    model_version_id: str
    record: str


@step("Register")
def register_model(
    spec: str,
    fields: dict[str, str],
    *,
    image: str,
    source: str,
    revision: str = "",
    commit_hash: str = "",
    recipe_key: str = "",
    retrain_record: str = "",
) -> Registered:
    """Register an image as a version of a model, or find that it is; the image is read back from its registry first.

    Args:
        spec: A PromotionSpec as YAML or JSON, of which `modelRegistry` counts; blank when the fields say it.
        fields: Single fields.
        image: `registry/repository@sha256:…`.
        source: Where the model comes from, without revision.
        revision: What was asked for.
        commit_hash: What it resolved to.
        recipe_key: Which training it came of; empty without one.
        retrain_record: What the step that trained told, with data and metrics; empty without one.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    wanted: ModelRegistrySpec = read_part(spec, ("modelRegistry",), fields)["model_registry"]
    stored = look_up(image, make_access())
    provenance = Provenance(
        stored.image, stored.content_key, source, revision or None, commit_hash or None, stored.size_bytes
    )
    trained = read_record(retrain_record)
    registration = registration_of(wanted, provenance, recipe_key or None, trained.get("metrics"), trained.get("data"))
    # The manifest was read back by its digest a moment ago; there is nothing more to confirm.
    found = register(Connection.from_environment(wanted.url), registration, confirm=lambda: None)
    made = ", ".join(found.created) or "nothing: all of it was there"
    say(f"{found.registered_model} / {found.version} (version id {found.model_version_id}): made {made}")
    record = write_record(started, artifact_id=found.model_artifact_id, created=list(found.created))
    return Registered(found.registered_model, found.version, found.registered_model_id, found.model_version_id, record)
