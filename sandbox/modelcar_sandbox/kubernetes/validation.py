"""What an object must be to be kept: its form, its names, its labels.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/; the sentences are a real server's.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from modelcar_sandbox.kubernetes.kinds import CONFIG_MAP, NAMESPACE, SECRET, Kind
from modelcar_sandbox.kubernetes.refusal import Refusal, bad_request, invalid

Object = dict[str, Any]

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_QUALIFIED})?"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_ENDS: Final = "and must start and end with an alphanumeric character"
_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{_ENDS} (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_RULE: Final = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS} "
    f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_KEY_RULE: Final = (
    f"name part must consist of alphanumeric characters, '-', '_' or '.', {_ENDS} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_RULE: Final = (
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {_ENDS} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_CONFIG_KEY_RULE: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)


def parse_object(kind: Kind, body: bytes) -> Object:
    """A request's body as an object of a kind.

    Raises:
        Refusal: It is no JSON, no object, or one of another kind.
    """
    unrecognized = f"the object provided is unrecognized (must be of type {kind.name}): "
    text = body.decode(errors="replace")
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise bad_request(
            f"{unrecognized}couldn't get version/kind; json parse error: {error} ({text[:30]})"
        ) from error
    if not isinstance(parsed, dict):
        raise bad_request(f"{unrecognized}couldn't get version/kind; json parse error: no object ({text[:30]})")
    if kind.custom and not parsed.get("kind"):
        raise bad_request(f"{unrecognized}Object 'Kind' is missing in '{text}' ({text[:30]} ...)")
    return complete(kind, parsed)


def complete(kind: Kind, parsed: Object) -> Object:
    """The object with its kind, version and metadata.

    Raises:
        Refusal: It is of another kind, or its parts are of other types.
    """
    version, name = parsed.get("apiVersion") or kind.api_version, parsed.get("kind") or kind.name
    metadata = parsed.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _mistyped(kind, "value", f"{kind.name}.metadata", "v1.ObjectMeta")
    if kind.custom and version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({kind.api_version})"
        )
    if kind.custom and name != kind.name:
        why = f'Invalid value: "{name}": must be {kind.name}'
        raise invalid(kind, metadata.get("name", ""), "kind", why, called=name)
    if (version, name) != (kind.api_version, kind.name):
        raise bad_request(f'{name} in version "{version}" cannot be handled as a {kind.name}')
    for member in ("labels", "annotations"):
        _check_texts(kind, metadata.get(member), f"ObjectMeta.metadata.{member}")
    if kind in (CONFIG_MAP, SECRET):
        for member in ("data", "stringData"):
            _check_texts(kind, parsed.get(member), f"{kind.name}.{member}")
    return {**parsed, "apiVersion": version, "kind": name, "metadata": dict(metadata)}


def check(kind: Kind, one: Object) -> None:
    """Refuse names and labels that cannot be.

    Raises:
        Refusal: 422, or 400 for a secret that is not in Base64.
    """
    metadata = one["metadata"]
    name = metadata.get("name") or ""
    if not name:
        why = "Required value: name or generateName is required"
        raise invalid(kind, "", "metadata.name", why, reason="FieldValueRequired")
    if (rule := _find_broken_rule(kind, name)) is not None:
        raise _unfit(kind, name, "metadata.name", name, rule)
    _check_labels(kind, name, metadata.get("labels") or {})
    if kind in (CONFIG_MAP, SECRET):
        for key in one.get("data") or {}:
            if not re.fullmatch(_CONFIG_KEY, key):
                raise _unfit(kind, name, f"data[{key}]", key, _CONFIG_KEY_RULE)
    if kind is SECRET:
        _check_base64(one)


def _find_broken_rule(kind: Kind, name: str) -> str | None:
    if kind is NAMESPACE:
        if "." in name:
            return "must not contain dots"
        return None if re.fullmatch(_LABEL, name) and len(name) <= 63 else _LABEL_RULE
    return None if re.fullmatch(_SUBDOMAIN, name) and len(name) <= 253 else _SUBDOMAIN_RULE


def _check_labels(kind: Kind, name: str, labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        last = key.rpartition("/")[2]
        if not re.fullmatch(_QUALIFIED, last) or len(last) > 63:
            raise _unfit(kind, name, "metadata.labels", key, _KEY_RULE)
        if not re.fullmatch(_VALUE, value) or len(value) > 63:
            raise _unfit(kind, name, "metadata.labels", value, _VALUE_RULE)


def _check_base64(secret: Object) -> None:
    for value in (secret.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            message = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
            raise bad_request(message) from error


def _check_texts(kind: Kind, value: Any, path: str) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise _mistyped(kind, _go_name(value), path, "map[string]string")
    for one in value.values():
        if not isinstance(one, str) and one is not None:
            raise _mistyped(kind, _go_name(one), path, "string")


def _go_name(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _mistyped(kind: Kind, found: str, path: str, wanted: str) -> Refusal:
    return bad_request(
        f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: '
        f"json: cannot unmarshal {found} into Go struct field {path} of type {wanted}"
    )


def _unfit(kind: Kind, name: str, field: str, value: str, rule: str) -> Refusal:
    return invalid(kind, name, field, f'Invalid value: "{value}": {rule}')
