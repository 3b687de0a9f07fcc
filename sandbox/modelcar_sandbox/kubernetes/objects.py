"""What the server makes of objects that are given to it: what it fills in, what it keeps, what it counts.

All functions give new objects and leave those that they are given as they are.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from modelcar_sandbox.kubernetes.kinds import CONFIG_MAP, NAMESPACE, POD, SECRET, Kind

Object = dict[str, Any]

_OWN: Final = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Metadata that callers cannot change; `generation` is counted."""
_NEVER: Final = ("managedFields", "selfLink", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds")


def make(kind: Kind, given: Object, namespace: str, name: str) -> Object:
    """An object as it is when it has just been created; without a resourceVersion."""
    metadata = _read_metadata(given)
    metadata |= {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
    if kind.namespaced:
        metadata["namespace"] = namespace
    if kind.counted:
        metadata["generation"] = 1
    made = {**_default(kind, given), "metadata": metadata}
    if kind.status:
        made.pop("status", None)
    if kind is NAMESPACE:
        made["metadata"]["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": name}
        made |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    elif kind is POD:
        made["status"] = {"phase": "Pending"}
    elif kind.status and not kind.custom:
        made["status"] = {}
    return made


def change(kind: Kind, old: Object, given: Object) -> Object:
    """An object after what is wanted of it was changed."""
    changed = _default(kind, given)
    metadata = _read_metadata(given)
    for key in (*_OWN, "generation"):
        metadata.pop(key, None)
        if key in old["metadata"]:
            metadata[key] = old["metadata"][key]
    changed["metadata"] = metadata | {"resourceVersion": old["metadata"]["resourceVersion"]}
    if kind is NAMESPACE:
        metadata["labels"] = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata["name"]}
        changed["spec"] = old["spec"]
        changed["metadata"]["labels"] = metadata["labels"]
    if kind.status:
        _copy_member(old, changed, "status")
    if kind.counted and _wanted(kind, changed) != _wanted(kind, old):
        changed["metadata"]["generation"] = old["metadata"]["generation"] + 1
    return changed


def change_status(old: Object, given: Object) -> Object:
    """An object after its status was told; nothing else of what is given counts."""
    changed = dict(old)
    _copy_member(given, changed, "status")
    return changed


def mark_deleted(kind: Kind, old: Object) -> Object:
    """An object that waits for its finalizers to be taken off."""
    if "deletionTimestamp" in old["metadata"]:
        return old
    metadata = old["metadata"] | {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
    if kind.counted:
        metadata["generation"] += 1
    return {**old, "metadata": metadata}


def with_version(one: Object, version: int) -> Object:
    """The object as of a resourceVersion."""
    return {**one, "metadata": {**one["metadata"], "resourceVersion": str(version)}}


def now() -> str:
    """The time, in whole seconds as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_metadata(given: Object) -> Object:
    """What callers may say of an object; nothing that is empty is kept."""
    return {key: value for key, value in given["metadata"].items() if key not in _NEVER and value not in (None, {}, [])}


def _default(kind: Kind, given: Object) -> Object:
    filled = dict(given)
    if kind is SECRET:
        texts: Mapping[str, str] = filled.pop("stringData", None) or {}
        if texts:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
            filled["data"] = {**(filled.get("data") or {}), **encoded}
        filled.setdefault("type", "Opaque")
    if kind in (CONFIG_MAP, SECRET) and not filled.get("data"):
        filled.pop("data", None)
    return filled


def _copy_member(source: Object, target: Object, member: str) -> None:
    if member in source:
        target[member] = source[member]
    else:
        target.pop(member, None)


def _wanted(kind: Kind, one: Object) -> Object:
    """What `generation` counts the changes of."""
    if not kind.custom:
        return {"spec": one.get("spec")}
    ignored = {"metadata", "status"} if kind.status else {"metadata"}
    return {key: value for key, value in one.items() if key not in ignored}
