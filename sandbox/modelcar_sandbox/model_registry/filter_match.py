"""The meaning of `filterQuery`: which entities a parsed filter selects, as the server's SQL does.

The server keeps some fields in columns and the others, with the custom properties, in a table of properties, each in
the column of its type. A comparison looks where the name's definition says; a property that is not there matches
nothing, not even `!=`. A name that it does not know is a custom property's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from modelcar_sandbox.collation import fold, number, resembles
from modelcar_sandbox.model_registry.entities import ARTIFACT_STATE_NUMBERS, Entity, Form, Space
from modelcar_sandbox.model_registry.filter_query import All, Comparison, Expression, Scalar

_COLUMNS: Final[dict[str, Callable[[Entity], Any]]] = {
    "id": lambda entity: entity.id,
    "name": lambda entity: entity.stored_name,
    "externalId": lambda entity: entity.external_id,
    "createTimeSinceEpoch": lambda entity: entity.created_ms,
    "lastUpdateTimeSinceEpoch": lambda entity: entity.updated_ms,
}
_ARTIFACT_COLUMNS: Final[dict[str, Callable[[Entity], Any]]] = {
    "uri": lambda entity: entity.fields.get("uri"),
    "state": lambda entity: ARTIFACT_STATE_NUMBERS.get(entity.fields.get("state", "")),
}
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    # The server reads `<>` and then looks for what is equal; measured.
    "<>": lambda left, right: bool(left == right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
}


def matches(expression: Expression, entity: Entity) -> bool:
    """Whether a filter selects an entity.

    Args:
        expression: As parsed.
        entity: Of any kind.

    Returns:
        What the server's database would say.
    """
    if isinstance(expression, Comparison):
        return _compares(expression, entity)
    join = all if isinstance(expression, All) else any
    return join(matches(part, entity) for part in expression.parts)


def _compares(comparison: Comparison, entity: Entity) -> bool:
    columns = _COLUMNS | (_ARTIFACT_COLUMNS if entity.kind.space is Space.ARTIFACT else {})
    if comparison.name not in columns:
        return any(_holds(found, comparison.operator, comparison.value) for found in _properties(comparison, entity))
    value, operator = comparison.value, comparison.operator
    if comparison.name == "state" and isinstance(value, str):
        value = ARTIFACT_STATE_NUMBERS.get(value, -1)
    if comparison.name == "name" and entity.kind.owned and isinstance(value, str):
        operator, value = _owned_name(operator, value)
    stored = columns[comparison.name](entity)
    return stored is not None and _holds(stored, operator, value)


def _owned_name(operator: str, value: str) -> tuple[str, str]:
    """Stored names of owned entities begin with the parent's id and a colon; other operators see them as they are."""
    if operator == "=":
        return "LIKE", f"%:{value}"
    if operator == "LIKE" and ":" not in value and not value.startswith("%"):
        return "LIKE", f"%:{value}"
    return operator, value


def _properties(comparison: Comparison, entity: Entity) -> Iterator[Scalar]:
    known = comparison.name in entity.kind.searchable
    name = _column_name(comparison.name) if known else comparison.name
    types = _types(comparison, entity, known=known)
    for stored_name, member, value in _stored_properties(entity):
        if member in types and fold(stored_name) == fold(name):
            yield value


def _types(comparison: Comparison, entity: Entity, *, known: bool) -> tuple[str, ...]:
    """In which columns of the table of properties the value is looked for."""
    if comparison.value_type:
        return (comparison.value_type,)
    if known:
        return ("int_value" if entity.kind.fields[comparison.name].form is Form.ID else "string_value",)
    value = comparison.value
    sample = (value[0] if value else "") if isinstance(value, tuple) else value
    if isinstance(sample, bool):
        return ("bool_value",)
    if isinstance(sample, int):
        return ("int_value", "double_value")
    return ("double_value",) if isinstance(sample, float) else ("string_value",)


def _stored_properties(entity: Entity) -> Iterator[tuple[str, str, Any]]:
    """Name, type and value of all rows that the server has in its table of properties."""
    columns = _ARTIFACT_COLUMNS if entity.kind.space is Space.ARTIFACT else {}
    for name, value in entity.fields.items():
        if name not in columns and not isinstance(value, list):
            member = "int_value" if entity.kind.fields[name].form is Form.ID else "string_value"
            yield _column_name(name), member, value
    for name, typed in entity.properties.items():
        for member, value in typed.items():
            yield name, member, value


def _column_name(field: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", field)


def _holds(stored: Any, operator: str, value: Scalar | tuple[Scalar, ...]) -> bool:
    if isinstance(value, tuple):
        return operator == "IN" and any(_holds(stored, "=", item) for item in value)
    if operator in {"LIKE", "ILIKE"}:
        return resembles(str(stored), str(value))
    operator = "=" if operator == "IN" else operator
    if isinstance(stored, str) and isinstance(value, str):
        return _COMPARE[operator](fold(stored), fold(value))
    return _COMPARE[operator](number(stored), number(value))
