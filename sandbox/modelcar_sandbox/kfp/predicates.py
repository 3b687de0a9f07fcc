"""The `filter` of lists: predicates that must all hold.

Source: https://github.com/kubeflow/pipelines/blob/master/backend/api/v2beta1/filter.proto
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

from modelcar_sandbox.collation import fold
from modelcar_sandbox.kfp.refusal import invalid
from modelcar_sandbox.kfp.times import read_time

_NUMBERS: Final = {
    1: "EQUALS",
    2: "NOT_EQUALS",
    3: "GREATER_THAN",
    5: "GREATER_THAN_EQUALS",
    6: "LESS_THAN",
    7: "LESS_THAN_EQUALS",
    8: "IN",
    9: "IS_SUBSTRING",
}
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "EQUALS": lambda field, value: field == value,
    "NOT_EQUALS": lambda field, value: field != value,
    "GREATER_THAN": lambda field, value: field > value,
    "GREATER_THAN_EQUALS": lambda field, value: field >= value,
    "LESS_THAN": lambda field, value: field < value,
    "LESS_THAN_EQUALS": lambda field, value: field <= value,
    "IN": lambda field, value: field in value,
    "IS_SUBSTRING": lambda field, value: value in field,
}
_VALUES: Final[Mapping[str, type]] = {
    "int_value": int,
    "long_value": int,
    "string_value": str,
    "timestamp_value": str,
    "int_values": dict,
    "long_values": dict,
    "string_values": dict,
}
# protojson's names of the same members.
_CAMEL: Final = {
    "intValue": "int_value",
    "longValue": "long_value",
    "stringValue": "string_value",
    "timestampValue": "timestamp_value",
    "intValues": "int_values",
    "longValues": "long_values",
    "stringValues": "string_values",
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """One condition.

    Attributes:
        key: Name of a field.
        operation: One of filter.proto's.
        value: As fields are compared, see `comparable`; a list of such for IN.
    """

    key: str
    operation: str
    value: Any

    def holds(self, field: str, document: Mapping[str, Any]) -> bool:
        """Whether it is true of a document's field; never of one that cannot be compared with the value."""
        try:
            return _COMPARISONS[self.operation](comparable(field, document), self.value)
        except TypeError:
            return False


def comparable(field: str, document: Mapping[str, Any]) -> Any:
    """What the database compares of a document's field: seconds of a time, else text without case and accents."""
    value = document.get(field, "")
    return _seconds(value) if field.endswith("_at") else fold(value)


def _seconds(time: str) -> int:
    return int(read_time(time).timestamp())


def parse_filter(text: str) -> tuple[Predicate, ...]:
    """Read the URL's parameter.

    Args:
        text: JSON, which may be percent-encoded once more than the URL is; empty for no condition.

    Raises:
        Refusal: 400, it is no filter, or an operation and its value do not go together.
    """
    if not text:
        return ()
    decoded = unquote_plus(text)
    try:
        predicates = json.loads(decoded)["predicates"]
        return tuple(_predicate(one) for one in predicates)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid(f"failed to parse valid filter from {text!r}: {error}") from error


def _predicate(given: Mapping[str, Any]) -> Predicate:
    members = {_CAMEL.get(name, name): value for name, value in given.items()}
    operation = members.pop("operation", 0)
    operation = _NUMBERS.get(operation, operation)
    key = members.pop("key", "")
    if operation not in _COMPARISONS:
        raise invalid(f"invalid predicate operation: {operation}")
    if len(members) != 1:
        raise ValueError(f"one value is needed, not {sorted(members)}")
    ((name, value),) = members.items()
    if name.startswith(("int", "long")) and isinstance(value, str):
        value = int(value)
    if not isinstance(value, _VALUES[name]):
        raise ValueError(f"{name} is {value!r}")
    _check_pair(operation, name)
    return Predicate(key, operation, _value(name, value))


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return [_value(name, one) for one in value.get("values", [])]
    if name == "timestamp_value":
        return _seconds(value)
    return fold(value) if isinstance(value, str) else value


def _check_pair(operation: str, value_name: str) -> None:
    if (operation == "IN") != value_name.endswith("values"):
        raise invalid(f"cannot use operator {operation} with {value_name}")
    if operation == "IS_SUBSTRING" and value_name != "string_value":
        raise invalid(f"cannot use non string value {value_name} with operator {operation}")


def keep(predicates: tuple[Predicate, ...], fields: Mapping[str, str], document: Mapping[str, Any]) -> bool:
    """Whether all predicates hold.

    Args:
        predicates: What must hold.
        fields: What each key is called in a document.
        document: As a GET answers.
    """
    return all(predicate.holds(fields[predicate.key], document) for predicate in predicates)


def check_keys(predicates: tuple[Predicate, ...], fields: Mapping[str, str]) -> None:
    """Refuse predicates about what cannot be filtered by.

    Raises:
        Refusal: 400.
    """
    for predicate in predicates:
        if predicate.key not in fields:
            raise invalid(f'no support for filtering on unrecognized field "{predicate.key}"')
