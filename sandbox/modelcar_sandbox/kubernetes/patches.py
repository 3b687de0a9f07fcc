"""Patches: JSON merge patch, JSON patch, and Kubernetes' own strategic merge patch.

Source: RFC 7386, RFC 6902,
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from __future__ import annotations

import copy
from typing import Any, Final

from modelcar_sandbox.kubernetes.refusal import rejected

_MERGE_KEYS: Final = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""By the list's name, which says enough for the kinds that are kept. Other lists are replaced."""
_SETS: Final = frozenset({"finalizers"})
_DELETE: Final = "$deleteFromPrimitiveList/"


def merge(target: Any, patch: Any) -> Any:
    """What a JSON merge patch makes of a value."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def merge_strategically(target: Any, patch: Any) -> Any:
    """What a strategic merge patch makes of a value."""
    if not isinstance(patch, dict):
        return patch
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [one for one in merged.get(name) or () if one not in value]
        elif value is None:
            merged.pop(key, None)
        elif not key.startswith("$"):
            merged[key] = _merge_member(key, merged.get(key), value)
    return merged


def _merge_member(key: str, target: Any, value: Any) -> Any:
    if not isinstance(value, list):
        return merge_strategically(target, value)
    there = target if isinstance(target, list) else []
    if key in _SETS:
        return there + [one for one in value if one not in there]
    merge_key = _MERGE_KEYS.get(key)
    if merge_key is None or not all(isinstance(one, dict) for one in (*there, *value)):
        return value
    return _merge_list(there, value, merge_key)


def _merge_list(there: list[Any], patch: list[Any], key: str) -> list[Any]:
    """Elements are merged by a member; new ones go before those that the patch does not name."""
    if any(one.get("$patch") == "replace" for one in patch):
        return [one for one in patch if "$patch" not in one]
    gone = [one.get(key) for one in patch if one.get("$patch") == "delete"]
    patched = [one for one in patch if "$patch" not in one]
    if any(key not in one for one in patched):
        raise rejected()
    old = {one.get(key): one for one in there}
    merged = [merge_strategically(old.get(one[key]), one) for one in patched]
    named = {one[key] for one in patched}
    left = [one for one in there if one.get(key) not in named and one.get(key) not in gone]
    return _order(merged, left, [one.get(key) for one in there], key)


def _order(patched: list[Any], left: list[Any], before: list[Any], key: str) -> list[Any]:
    ordered: list[Any] = []
    patched, left = list(patched), list(left)
    while patched and left:
        first = patched[0][key]
        earlier = first not in before or before.index(first) < before.index(left[0].get(key))
        ordered.append((patched if earlier else left).pop(0))
    return ordered + patched + left


def apply_operations(target: Any, operations: Any) -> Any:
    """What a JSON patch makes of a value.

    Raises:
        Refusal: It does not fit the value, or a test in it fails.
    """
    document = {"": copy.deepcopy(target)}
    if not isinstance(operations, list):
        raise rejected()
    for operation in operations:
        try:
            _apply(document, operation)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise rejected() from error
    return document[""]


def _apply(document: dict[str, Any], operation: Any) -> None:
    path = _split(operation["path"])
    name = operation["op"]
    if name == "test":
        if _get(document, path) != operation.get("value"):
            raise ValueError
    elif name == "replace":
        _put(document, path, operation["value"], replace=True)
    elif name == "add":
        _put(document, path, operation["value"])
    elif name == "remove":
        _take(document, path)
    elif name == "move":
        _put(document, path, _take(document, _split(operation["from"])))
    elif name == "copy":
        _put(document, path, copy.deepcopy(_get(document, _split(operation["from"]))))
    else:
        raise ValueError


def _split(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError
    return ["", *(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])]


def _index(key: str, *, end: int) -> int:
    if not key.isdecimal() or int(key) > end:
        raise IndexError
    return int(key)


def _get(parent: Any, path: list[str]) -> Any:
    for key in path:
        parent = parent[_index(key, end=len(parent) - 1)] if isinstance(parent, list) else parent[key]
    return parent


def _put(document: Any, path: list[str], value: Any, *, replace: bool = False) -> None:
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[key] = value
    elif replace:
        parent[_index(key, end=len(parent) - 1)] = value
    else:
        parent.insert(len(parent) if key == "-" else _index(key, end=len(parent)), value)


def _take(document: Any, path: list[str]) -> Any:
    parent, key = _get(document, path[:-1]), path[-1]
    return parent.pop(_index(key, end=len(parent) - 1) if isinstance(parent, list) else key)
