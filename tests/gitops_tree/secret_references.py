"""Who reads which keys of which Secret: pods, custom resources, pipelines on Tekton and on Kubeflow Pipelines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from gitops_tree.objects import (
    contents,
    describe,
    look_through,
    namespace_of,
    words,
)
from gitops_tree.tree import NAMESPACE, Tree, read_yaml

KFP: Final = "compiled/kfp/"
TRIGGER: Final = "compiled/tekton/trigger/"
LOGIN: Final = frozenset({".dockerconfigjson"})
_HANDLED: Final = words(
    "imagePullSecret imagePullSecrets passwordSecret pullSecret pushSecret s3CredentialsSecret secret secretAsEnv "
    "secretAsVolume secretKeyRef secretRef sourceSecret"
)
_COMPARED: Final = re.compile(r"compareSecret\('([^']+)', '([^']+)'\)")


@dataclass(frozen=True)
class Read:
    """A Secret that is named somewhere.

    Attributes:
        name: Of the Secret.
        keys: That are read; none when it is read as a whole.
        optional: Whether its reader does without it.
        who: Reads it.
        namespace: Of the Secret.
    """

    name: str
    keys: frozenset[str]
    optional: bool
    who: str = ""
    namespace: str = ""


def references(tree: Tree) -> Iterator[Read]:
    """All of the tree, of what is compiled, and of the sample runs."""
    for one in tree.objects:
        for found in _reads(contents(tree, one).values):
            yield replace(found, who=describe(one), namespace=namespace_of(one))
    for path, run in tree.sample_runs.items():
        yield from (replace(found, who=path, namespace=NAMESPACE) for found in _reads(look_through(run).values))
    for path, text in tree.files.items():
        if path.startswith(KFP):
            yield from (replace(found, who=path, namespace=NAMESPACE) for found in _reads_of_kfp(text))
        elif path.startswith(TRIGGER):  # its interceptor refuses everything while the Secret is not there
            yield from (Read(name, frozenset({key}), True, path, NAMESPACE) for key, name in _COMPARED.findall(text))


@cache
def _reads_of_kfp(text: str) -> tuple[Read, ...]:
    return tuple({found for document in read_yaml(text) for found in _reads(look_through(document).values)})


def _reads(values: Mapping[str, Sequence[Any]]) -> Iterator[Read]:
    for key in _HANDLED & values.keys():
        yield from (found for value in values[key] for each in _each(value) for found in _read(key, each))


def _each(value: Any) -> list[Any]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _read(key: str, one: dict[str, Any]) -> Iterator[Read]:
    optional = bool(one.get("optional", False))
    if key in ("secretKeyRef", "passwordSecret"):
        yield Read(one["name"], frozenset({one["key"]}), optional)
    elif key in ("secretRef", "sourceSecret", "pushSecret", "pullSecret"):
        yield Read(one["name"], frozenset(), optional)
    elif key == "secret" and "secretName" in one:
        yield Read(one["secretName"], frozenset(item["key"] for item in one.get("items", ())), optional)
    elif key == "s3CredentialsSecret":
        yield Read(one["secretName"], frozenset({one["accessKey"], one["secretKey"]}), optional)
    elif key in ("imagePullSecrets", "imagePullSecret"):  # pods start without it, and pull without a login
        yield Read(one.get("name") or one["secretName"], LOGIN, True)
    elif key == "secretAsEnv":
        yield Read(one["secretName"], frozenset(item["secretKey"] for item in one["keyToEnv"]), optional)
    elif key == "secretAsVolume":
        yield Read(one["secretName"], frozenset(), optional)
