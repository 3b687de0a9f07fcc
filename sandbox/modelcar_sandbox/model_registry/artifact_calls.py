"""Calls on artifacts, which take any type at one path and model artifacts at another."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from modelcar_sandbox.model_registry.call import Answer, Call, created, ok, stored_name, there
from modelcar_sandbox.model_registry.entities import ARTIFACTS, MODEL_ARTIFACT, MODEL_VERSION, Draft, Kind
from modelcar_sandbox.model_registry.entity_calls import list_entities
from modelcar_sandbox.model_registry.paging import Page, read_window
from modelcar_sandbox.model_registry.properties import integer
from modelcar_sandbox.model_registry.refusal import bad_request
from modelcar_sandbox.model_registry.request_body import artifact_kind, read_draft

_TYPE: Final = frozenset({"artifactType"})
_UNKEPT_TYPES: Final = frozenset({"dataset-artifact", "metric", "parameter"})


def list_artifacts(call: Call, *, owner: Kind | None = None) -> Answer:
    """List artifacts of every type, or of the one that `artifactType` names."""
    wanted = call.query.get("artifactType", "")
    kinds = [kind for kind in ARTIFACTS if wanted in {"", kind.artifact_type}]
    parent = call.number(owner.title) if owner else None
    if wanted in _UNKEPT_TYPES:
        return HTTPStatus.OK, Page((), "", read_window(call.query).size).as_json()
    if not kinds:
        raise bad_request(f"invalid artifact type {wanted}: bad request")
    return list_entities(kinds, call, parent=parent)


def create_artifact(call: Call) -> Answer:
    """Make an artifact that belongs to no version. An `id` in the body means nothing here."""
    members = call.members()
    kind = artifact_kind(members)
    draft = read_draft(kind, members, lenient=True)
    return created(call.store.create(kind, draft, stored_name=stored_name(kind, draft)))


def upsert_artifact(call: Call) -> Answer:
    """Make an artifact of a version (201), or change the one with the body's `id` and attach it too (200)."""
    members = call.members()
    version = call.number("model version")
    there(call.store.get((MODEL_VERSION,), version), "model version", version)
    kind = artifact_kind(members)
    draft = read_draft(kind, members, lenient=True)
    if "id" not in members:
        name = stored_name(kind, draft, version)
        return created(call.store.create(kind, draft, stored_name=name, parent=version))
    identifier = integer(str(members["id"]), "artifact ID")
    changed = call.store.update(kind, identifier, draft, parent=version)
    if changed is None:
        raise bad_request(f"artifact with id {identifier} is not a {kind.title}: bad request")
    return ok(changed)


def update_artifact(call: Call) -> Answer:
    """Change an artifact, whose type the body must repeat; its state stays unless it is given."""
    members = call.members()
    kind = artifact_kind(members)
    identifier = call.number("artifact")
    existing = there(call.store.get(ARTIFACTS, identifier), "artifact", identifier)
    if existing.kind is not kind:
        raise bad_request(f"cannot change artifact type from '{existing.kind.artifact_type}' to '{kind.artifact_type}'")
    draft = read_draft(kind, members, editing=True, lenient=True)
    return ok(there(call.store.update(kind, identifier, draft), "artifact", identifier))


def create_model_artifact(call: Call) -> Answer:
    """Make a model artifact that belongs to no version."""
    draft = _with_state(read_draft(MODEL_ARTIFACT, call.members(), also=_TYPE))
    name = stored_name(MODEL_ARTIFACT, draft)
    return created(call.store.create(MODEL_ARTIFACT, draft, stored_name=name))


def update_model_artifact(call: Call) -> Answer:
    """Change a model artifact; its state becomes UNKNOWN unless it is given."""
    draft = _with_state(read_draft(MODEL_ARTIFACT, call.members(), editing=True, also=_TYPE))
    identifier = call.number("artifact")
    return ok(there(call.store.update(MODEL_ARTIFACT, identifier, draft), "artifact", identifier))


def _with_state(draft: Draft) -> Draft:
    """At the paths of model artifacts a state that is not given is UNKNOWN, in a PATCH too."""
    return replace(draft, fields={"state": "UNKNOWN", **draft.fields})
