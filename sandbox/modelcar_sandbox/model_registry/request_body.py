"""What a request's JSON says about an entity, checked in the server's order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Set
from http import HTTPStatus
from typing import Any, NoReturn

from modelcar_sandbox.model_registry.entities import ARTIFACTS, Draft, Field, Form, Kind
from modelcar_sandbox.model_registry.properties import integer, read_properties
from modelcar_sandbox.model_registry.refusal import Refusal, bad_request, too_long

LONGEST_EXTERNAL_ID = 255
LONGEST_URI_BYTES = 65_535
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
READ_ONLY = frozenset({"id", "createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"})


def parse_object(body: bytes) -> dict[str, Any]:
    """Read a request's body.

    Returns:
        Its members without those that are null, which the server takes for absent.

    Raises:
        Refusal: 400, it is not one JSON object of valid text.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")  # half a surrogate pair is JSON, but no text
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body is not valid JSON: {error}") from error
    if _NUL.search(text):
        raise bad_request("Request body contains null bytes which are not allowed")
    if value is not None and not isinstance(value, dict):
        raise bad_request("json: the body must be an object")
    return {name: member for name, member in (value or {}).items() if member is not None}


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def artifact_kind(body: Mapping[str, Any]) -> Kind:
    """Which kind of artifact a body speaks of.

    Raises:
        Refusal: 400, it does not say, or it says what the sandbox does not keep.
    """
    given = body.get("artifactType")
    for kind in ARTIFACTS:
        if kind.artifact_type == given:
            return kind
    raise bad_request("invalid artifact type, must be either ModelArtifact or DocArtifact")


def read_draft(
    kind: Kind, body: Mapping[str, Any], *, editing: bool = False, also: Set[str] = frozenset(), lenient: bool = False
) -> Draft:
    """Read what a request says about an entity.

    Args:
        kind: Of the entity.
        body: Members of the request's JSON.
        editing: The request changes an entity: what cannot be changed is an unknown field, nothing is required.
        also: Members that may be there and mean nothing here.
        lenient: Members that the kind does not know are skipped, as the server does where it takes any artifact.

    Returns:
        What was given, and the defaults of the rest.

    Raises:
        Refusal: 400 for an unknown field or a wrong value, 422 for a missing one, 500 for one too long.
    """
    known = {"externalId": Field("externalId"), **{n: f for n, f in kind.fields.items() if f.editable or not editing}}
    if not editing:
        known["name"] = Field("name", required=kind.named)
    for name, value in body.items():
        if name in known:
            _check_form(known[name], value)
        elif not lenient and name not in {"customProperties", *also}:
            raise bad_request(f'json: unknown field "{name}"')
    if not isinstance(body.get("customProperties", {}), dict):
        raise bad_request("json: customProperties must be an object")
    if not editing:
        _check_required(known, body)
    return _draft(kind, known, body)


def _draft(kind: Kind, known: Mapping[str, Field], body: Mapping[str, Any]) -> Draft:
    given = {n: _stored(f, body[n]) for n, f in known.items() if n in body}
    given = {n: f.default for n, f in known.items() if f.default is not None} | given
    _check_lengths(given)
    properties = body.get("customProperties")
    return Draft(
        name=given.get("name"),
        external_id=given.get("externalId"),
        fields={name: value for name, value in given.items() if name in kind.fields},
        properties=None if properties is None else read_properties(properties),
    )


def _check_form(field: Field, value: object) -> None:
    if field.form is Form.TEXTS:
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise bad_request(f"json: {field.name} must be {field.form.value if field.form is Form.TEXTS else 'text'}")
    if field.choices and value not in field.choices:
        raise bad_request(f"{value} is not a valid {field.name}: it is one of {', '.join(field.choices)}")


def _check_required(known: Mapping[str, Field], body: Mapping[str, Any]) -> None:
    for name, field in known.items():
        if field.required and not body.get(name):
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"required field '{name}' is zero value.")


def _stored(field: Field, value: Any) -> Any:
    return integer(value, field.name) if field.form is Form.ID else value


def _check_lengths(given: Mapping[str, Any]) -> None:
    if len(given.get("externalId") or "") > LONGEST_EXTERNAL_ID:
        raise too_long("external_id")
    if len((given.get("uri") or "").encode()) > LONGEST_URI_BYTES:
        raise too_long("uri")
