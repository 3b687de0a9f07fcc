"""Kubernetes objects as dictionaries: what they are called, what is in them, what their selectors select."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

from gitops_tree.tree import Object, Tree

_SUFFIXES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{letter}i": 1024**power for power, letter in enumerate("KMGT", 1)
}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def words(text: str) -> frozenset[str]:
    """What is written with blanks between."""
    return frozenset(text.split())


def describe(one: Object) -> str:
    """How a problem calls an object: `Deployment private-ai-demo/object-store`."""
    metadata = one.get("metadata", {})
    name = metadata.get("name") or f"{metadata.get('generateName', '')}*"
    return f"{one['kind']} {metadata['namespace']}/{name}" if "namespace" in metadata else f"{one['kind']} {name}"


def group(one: Object) -> str:
    """The API group, empty for the core's."""
    return str(one["apiVersion"]).rpartition("/")[0]


def name_of(one: Object) -> str:
    """`metadata.name`, empty when there is none."""
    return str(one["metadata"].get("name", ""))


def namespace_of(one: Object) -> str:
    """`metadata.namespace`, empty for objects of the cluster."""
    return str(one["metadata"].get("namespace", ""))


def labels_of(one: Object) -> dict[str, str]:
    """`metadata.labels`."""
    return one["metadata"].get("labels") or {}


def annotations_of(one: Object) -> dict[str, str]:
    """`metadata.annotations`."""
    return one["metadata"].get("annotations") or {}


def strings(value: Any) -> Iterator[str]:
    """All texts in a value, keys included, in no order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def values_at(value: Any, key: str) -> Iterator[Any]:
    """Whatever stands under a key, at any depth, in no order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if key in one:
                yield one[key]
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


@dataclass(frozen=True)
class Contents:
    """What is in an object, at any depth.

    Attributes:
        texts: Keys included.
        values: By key.
    """

    texts: frozenset[str]
    values: Mapping[str, Sequence[Any]]


def contents(tree: Tree, one: Object) -> Contents:
    """Of an object of the tree, which is looked through once."""
    if id(one) not in tree.memo:
        tree.memo[id(one)] = look_through(one)
    found: Contents = tree.memo[id(one)]
    return found


def look_through(one: Object) -> Contents:
    """Of any value that is a mapping."""
    texts, values = set[str](), dict[str, list[Any]]()
    waiting: list[Any] = [one]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            texts.update(value)
            for key, inner in value.items():
                values.setdefault(key, []).append(inner)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            texts.add(value)
    return Contents(frozenset(texts), values)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; one that says nothing selects all."""
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(one, labels) for one in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", ())
    if operator in ("Exists", "DoesNotExist"):
        return bool((key in labels) == (operator == "Exists"))
    assert operator in ("In", "NotIn")
    return bool((labels.get(key) in values) == (operator == "In"))


@cache
def quantity(text: object) -> Fraction:
    """A quantity of Kubernetes as a number: cores, bytes, pieces."""
    found = _QUANTITY.fullmatch(str(text))
    assert found, f"{text!r} is no quantity"
    number, suffix = Fraction(found[1]), found[2]
    return number / 1000 if suffix == "m" else number * _SUFFIXES[suffix]


def seconds(text: str) -> int:
    """A duration as Go writes it: `1h2m3s`."""
    found = _DURATION.fullmatch(text)
    assert found, f"{text!r} is no duration"
    hours, minutes, rest = (int(one or 0) for one in found.groups())
    return hours * 3600 + minutes * 60 + rest


def resource_of(kind: str) -> str:
    """What the API calls objects of a kind: its plural, in small letters."""
    small = kind.lower()
    return f"{small[:-1]}ies" if small.endswith("y") else f"{small}s"
