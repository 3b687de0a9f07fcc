"""Requests that look: at one object, or at a list of them, in pages."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any, Final

from modelcar_sandbox.kubernetes.call import Call, Object
from modelcar_sandbox.kubernetes.refusal import bad_request, expired, in_future
from modelcar_sandbox.kubernetes.selectors import select
from modelcar_sandbox.kubernetes.store import Key

Answer = tuple[HTTPStatus, Object]

_TOO_OLD: Final = "The resourceVersion for the provided list is too old."
_TOO_OLD_PAGE: Final = "The provided continue parameter is too old to display a consistent list result."


def get(call: Call) -> Answer:
    """Give one object."""
    with call.store.alone():
        version = call.number("resourceVersion") or 0
        if version > call.store.version:
            raise in_future(version, call.store.version)
        return HTTPStatus.OK, call.find()


def list_objects(call: Call) -> Answer:
    """Give the objects that the selectors leave, or a page of them.

    All pages show what was there when the first one was given.
    """
    matches = select(call.kind, call.query)
    limit = call.number("limit") or 0
    with call.store.alone():
        version, start = _read_continue(call)
        if version is None:
            version = _find_version(call, limit)
        shown = version or call.store.version
        found = [(key, one) for key, one in call.store.find(call.kind, call.namespace, version) if matches(one)]
    left = [entry for entry in found if start is None or entry[0] > start]
    page = left[:limit] if limit else left
    metadata: dict[str, Any] = {"resourceVersion": str(shown)}
    if call.kind.custom:
        metadata["continue"] = ""
    if len(page) < len(left):
        metadata["continue"] = _write_continue(shown, page[-1][0])
        if not call.query.get("labelSelector") and not call.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(left) - len(page)
    head = {"kind": f"{call.kind.name}List", "apiVersion": call.kind.api_version, "metadata": metadata}
    return HTTPStatus.OK, {**head, "items": [_as_item(call, one) for _, one in page]}


def _as_item(call: Call, one: Object) -> Object:
    """Lists name the kind once; those of custom kinds at each object, too."""
    if call.kind.custom:
        return one
    return {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}


def _find_version(call: Call, limit: int) -> int | None:
    """The change after which the list is wanted; None for now."""
    asked = call.number("resourceVersion") or 0
    if asked > call.store.version:
        raise in_future(asked, call.store.version)
    exact = call.query.get("resourceVersionMatch") == "Exact" or bool(limit)
    if not asked or not exact or asked == call.store.version:
        return None
    if asked < call.store.oldest:
        raise expired(_TOO_OLD)
    return asked


def _write_continue(version: int, last: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *last]).encode()).decode().rstrip("=")


def _read_continue(call: Call) -> tuple[int | None, Key | None]:
    token = call.query.get("continue")
    if not token:
        return None, None
    if call.query.get("resourceVersion"):
        raise bad_request("specifying resource version is not allowed when using continue")
    try:
        version, *key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        last = Key(*key)
    except (ValueError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    if version < call.store.oldest:
        raise expired(_TOO_OLD_PAGE)
    return version, last
