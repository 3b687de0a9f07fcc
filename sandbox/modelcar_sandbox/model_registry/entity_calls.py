"""Calls that are alike for several kinds: make, get, find, list, change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

from modelcar_sandbox.model_registry.call import Answer, Call, created, ok, stored_name, there
from modelcar_sandbox.model_registry.entities import (
    INFERENCE_SERVICE,
    MODEL_VERSION,
    REGISTERED_MODEL,
    SERVING_ENVIRONMENT,
    Kind,
    Space,
)
from modelcar_sandbox.model_registry.filter_match import matches
from modelcar_sandbox.model_registry.filter_query import parse_filter
from modelcar_sandbox.model_registry.paging import read_window
from modelcar_sandbox.model_registry.properties import integer
from modelcar_sandbox.model_registry.refusal import bad_request, not_found
from modelcar_sandbox.model_registry.request_body import READ_ONLY, read_draft
from modelcar_sandbox.model_registry.store import Selection

# Elsewhere the server does not even read filterQuery: it gives back everything.
FILTERED: Final = (REGISTERED_MODEL, MODEL_VERSION)


def get_entity(kinds: Sequence[Kind], title: str, call: Call) -> Answer:
    """Get by id."""
    return ok(there(call.store.get(kinds, call.number(title)), title, call.id))


def create_entity(kind: Kind, call: Call) -> Answer:
    """Make an entity that belongs to nothing."""
    draft = read_draft(kind, call.members())
    return created(call.store.create(kind, draft, stored_name=stored_name(kind, draft)))


def create_in(field: str) -> Callable[[Kind, Call], Answer]:
    """What creates an entity in the parent that a field names, or the path where there is an id in it."""

    def create(kind: Kind, call: Call) -> Answer:
        draft = read_draft(kind, call.members())
        if call.id:
            draft = replace(draft, fields={**draft.fields, field: call.number(field)})
        parent: int = draft.fields[field]
        if kind is INFERENCE_SERVICE:
            there(call.store.get((SERVING_ENVIRONMENT,), parent), "serving environment", parent)
        name = stored_name(kind, draft, parent)
        return created(call.store.create(kind, draft, stored_name=name, parent=parent))

    return create


def create_version(call: Call) -> Answer:
    """POST below a model; with an `id` the server changes that version, and says 201 all the same."""
    members = call.members()
    draft = read_draft(MODEL_VERSION, members, also=READ_ONLY)
    model = call.number("registered model")
    draft = replace(draft, fields={**draft.fields, "registeredModelId": model})
    if "id" in members:
        version = integer(str(members["id"]), "model version ID")
        changed = call.store.update(MODEL_VERSION, version, draft, parent=model)
        return created(there(changed, "model version", version))
    name = stored_name(MODEL_VERSION, draft, model)
    return created(call.store.create(MODEL_VERSION, draft, stored_name=name, parent=model))


def update_entity(kind: Kind, call: Call) -> Answer:
    """Change what the body gives; names and owners cannot be changed."""
    draft = read_draft(kind, call.members(), editing=True)
    return ok(there(call.store.update(kind, call.number(kind.title), draft), kind.title, call.id))


def find_entity(kinds: Sequence[Kind], wanted: Sequence[Kind], call: Call) -> Answer:
    """By name, with wildcards because the server asks its database with LIKE, else by external id."""
    owned = kinds[0].owned
    name, external, parent = (call.query.get(key) or None for key in ("name", "externalId", "parentResourceId"))
    if external is None and (name is None or (owned and parent is None)):
        way = "(name and parentResourceId)" if owned else "name"
        raise bad_request(f"invalid parameters call, supply either {way} or externalId: bad request")
    parent_id = integer(parent, "parent resource ID") if owned and parent else None
    prefix = "" if not owned else "%:" if parent_id is None or kinds[0].space is Space.ARTIFACT else f"{parent_id}:"
    selection = Selection(
        kinds,
        parent=parent_id,
        name_like=None if name is None else prefix + name,
        external_id=external if name is None else None,
    )
    found = call.store.select(selection).items
    if len(found) != 1 or found[0].kind not in wanted:
        count = "multiple" if len(found) > 1 else "no"
        keys = ", ".join(f"{key}={call.query.get(key, '')}" for key in ("name", "parentResourceId", "externalId"))
        raise not_found(f"{count} {wanted[0].title}s found for {keys}: not found")
    return ok(found[0])


def list_entities(kinds: Sequence[Kind], call: Call, *, parent: int | None = None, filtered: bool = True) -> Answer:
    """List a page of them, filtered or not."""
    window = read_window(call.query)
    expression = parse_filter(call.query.get("filterQuery", "")) if filtered else None
    keep = partial(matches, expression) if expression else None
    page = call.store.select(Selection(kinds, parent=parent, keep=keep, window=window))
    return HTTPStatus.OK, page.as_json()


def list_owned(kind: Kind, owner: Kind, call: Call) -> Answer:
    """List those of the owner whose id is in the path; an owner that is not there has none."""
    return list_entities((kind,), call, parent=call.number(owner.title), filtered=kind in FILTERED)
