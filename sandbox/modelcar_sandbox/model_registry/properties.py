"""Custom properties: typed values under names of the user's choice.

Stored as `{"string_value": "…"}` and the like, under the member that the JSON form uses.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from modelcar_sandbox.model_registry.refusal import bad_request, too_long

Property = Mapping[str, Any]
"""One entry: the member's name and its value."""

LONGEST_NAME: Final = 255
_MEMBERS: Final[dict[str, tuple[str, type | tuple[type, ...], Any]]] = {
    "MetadataStringValue": ("string_value", str, ""),
    "MetadataIntValue": ("int_value", str, ""),
    "MetadataDoubleValue": ("double_value", (int, float), 0),
    "MetadataBoolValue": ("bool_value", bool, False),
    "MetadataStructValue": ("struct_value", str, ""),
}
_TYPES: Final = {member: name for name, (member, _, _) in _MEMBERS.items()}
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT32 = range(-(2**31), 2**31)


def read_properties(given: Mapping[str, Any]) -> dict[str, Property]:
    """Check the properties of a request.

    Args:
        given: As in the request's JSON.

    Returns:
        Name to property, as stored.

    Raises:
        Refusal: 400 for an unknown type or a value that does not fit it, 500 for a name over 255 characters.
    """
    for name in given:
        if len(name) > LONGEST_NAME:
            raise too_long("name")
    return {name: _read(name, value) for name, value in given.items()}


def _read(name: str, given: Any) -> Property:
    kind = given.get("metadataType") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(kind, str) or kind not in _MEMBERS:
        raise bad_request(f"error setting field CustomProperties: metadataType not found for {name}")
    member, form, zero = _MEMBERS[kind]
    value = zero if given.get(member) is None else given[member]
    if not _fits(value, form):
        raise bad_request(f"failed to unmarshal MetadataValue as {kind}: {member} of {name} has the wrong type")
    if member == "int_value":
        value = integer(value, f"{member} of {name}")
    elif member == "double_value":
        value = _double(value, name)
    elif member == "struct_value":
        value = _decoded(value, name)
    return {member: value}


def _fits(value: object, form: type | tuple[type, ...]) -> bool:
    """A bool is an int in Python, and no number in JSON."""
    return isinstance(value, form) and (form is bool or not isinstance(value, bool))


def _double(value: float, name: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise bad_request(f"failed to unmarshal MetadataValue: double_value of {name} is out of range") from error


def integer(text: str, what: str) -> int:
    """Read a number that the API carries as text.

    Raises:
        Refusal: 400, it is no number of 32 bits.
    """
    if not _INTEGER.fullmatch(text):
        raise bad_request(f"invalid {what}: {text!r} is not a number")
    # The length first: Python refuses to read numbers of thousands of digits, with an error of its own.
    if len(text) > 64 or int(text) not in _INT32:
        raise bad_request(f"invalid {what}: {text!r} is out of range")
    return int(text)


def _decoded(text: str, name: str) -> str:
    """The server takes a struct as JSON in base64, and gives back the JSON."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("utf-8")
        json.loads(decoded)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_request(f"error setting field CustomProperties: unable to decode {name}: {error}") from error
    return decoded


def write_properties(stored: Mapping[str, Property]) -> dict[str, dict[str, Any]]:
    """The JSON form of stored properties, sorted by name."""
    return {name: _write(stored[name]) for name in sorted(stored)}


def _write(stored: Property) -> dict[str, Any]:
    (member, value), *_ = stored.items()
    if member == "int_value":
        value = str(value)
    elif member == "double_value" and value.is_integer():
        value = int(value)
    return {"metadataType": _TYPES[member], member: value}
