"""Check 41: files that every tool reads alike, and names that everything made from them can have."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from gitops_tree.checks.registry import check
from gitops_tree.objects import describe, name_of
from gitops_tree.tree import Tree

LONGEST_NAME: Final = 63
DOTTED: Final = ("PipelineVersion",)
"""Kinds whose names are never more than that of an object: several labels with dots between, as in a version."""
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


class _UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Refuses what YAML forbids and most readers let through: a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands twice", node.value[number][0].start_mark
                )
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


@check(41, "YAML has no key twice, no tab and one newline at its end; names are labels of DNS, up to 63 long")
def text(tree: Tree) -> Iterator[str]:
    for path, content in tree.files.items():
        if path.endswith((".yaml", ".yml")):
            yield from (f"{path}: {problem}" for problem in _problems(content))
    for one in (*tree.objects, *tree.sample_runs.values()):
        name = name_of(one) or f"{one['metadata'].get('generateName', '')}abcde"
        longest = f"{name}-predictor" if one["kind"] == "InferenceService" else name
        labels = name.split(".") if one["kind"] in DOTTED else [name]
        if not all(map(NAME.fullmatch, labels)):
            yield f"{describe(one)}: the name is no label of DNS"
        if len(longest) > LONGEST_NAME:
            yield f"{describe(one)}: {longest} has {len(longest)} characters, more than {LONGEST_NAME}"


@cache
def _problems(content: str) -> tuple[str, ...]:
    return tuple(_find_problems(content))


def _find_problems(content: str) -> Iterator[str]:
    if not content.endswith("\n") or content.endswith("\n\n"):
        yield "it does not end with one newline"
    if "\t" in content:
        yield f"line {content[: content.index(chr(9))].count(chr(10)) + 1} has a tab"
    if "\r" in content:
        yield "it has the line endings of Windows"
    try:
        list(yaml.load_all(content, Loader=_UniqueKeys))
    except yaml.MarkedYAMLError as error:
        yield f"line {error.problem_mark.line + 1 if error.problem_mark else '?'}: {error.problem}"
