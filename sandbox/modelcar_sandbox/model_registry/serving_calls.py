"""Calls on what serves: which model and version a service runs, and the ledger of its servings."""

from __future__ import annotations

from http import HTTPStatus

from modelcar_sandbox.model_registry.call import Answer, Call, created, ok, stored_name, there
from modelcar_sandbox.model_registry.entities import INFERENCE_SERVICE, MODEL_VERSION, REGISTERED_MODEL, SERVING, Entity
from modelcar_sandbox.model_registry.paging import Window
from modelcar_sandbox.model_registry.refusal import Refusal
from modelcar_sandbox.model_registry.request_body import read_draft
from modelcar_sandbox.model_registry.store import Selection


def served_model(call: Call) -> Answer:
    """The model of a service."""
    model = call.store.get((REGISTERED_MODEL,), _service(call).fields["registeredModelId"])
    if model is None:
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "registered model by id not found: record not found")
    return ok(model)


def served_version(call: Call) -> Answer:
    """The version of a service, or its model's newest when it names none."""
    service = _service(call)
    chosen = service.fields.get("modelVersionId")
    if chosen:
        return ok(there(call.store.get((MODEL_VERSION,), chosen), "model version", chosen))
    newest = Window(size=1, column="created_ms", descending=True)
    model = service.fields["registeredModelId"]
    versions = call.store.select(Selection((MODEL_VERSION,), parent=model, window=newest)).items
    return ok(there(versions[0] if versions else None, "model versions", service.id))


def record_serving(call: Call) -> Answer:
    """Add to the ledger of a service: servings are never changed or removed."""
    draft = read_draft(SERVING, call.members())
    version = draft.fields["modelVersionId"]
    there(call.store.get((MODEL_VERSION,), version), "model version", version)
    service = _service(call).id
    name = stored_name(SERVING, draft, service)
    return created(call.store.create(SERVING, draft, stored_name=name, parent=service))


def _service(call: Call) -> Entity:
    identifier = call.number("inference service")
    return there(call.store.get((INFERENCE_SERVICE,), identifier), "inference service", identifier)
