"""Objects as YAML that people review: short mappings on one line, texts with lines as blocks, keys as given."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

WIDTH: Final = 150
"""What fits on a line."""
_BLOCKS: Final = frozenset(
    {"apiVersion", "metadata", "spec", "taskSpec", "labels", "annotations", "taskRunTemplate", "podTemplate"}
)
"""Keys of mappings that are never put on one line, short as they may be."""
_ELSEWHERE_NO_TEXT: Final = re.compile(r"[yYnN]|[-+]?\.?[0-9][0-9a-fA-FoOxX_.eE:+-]*")
"""What this writer leaves bare, and other readers of YAML (Go's, for instance) may take for a number or a boolean:
`1e3`, `0o17`, `12345e7`, which may be a commit, and `y`."""


def write_manifest(obj: Mapping[str, Any]) -> str:
    """The text of a Kubernetes object; the same object gives the same bytes."""
    return str(yaml.dump(obj, Dumper=_Dumper, sort_keys=False, width=WIDTH * 4, allow_unicode=True))


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes what fits on one line that way, from the inside out."""

    def ignore_aliases(self, _: object) -> bool:
        """Nothing is written by reference."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Sequences stand below their key, indented."""
        super().increase_indent(flow, indentless and not flow)


def _represent_mapping(dumper: _Dumper, value: Mapping[str, Any]) -> yaml.Node:
    node = dumper.represent_mapping("tag:yaml.org,2002:map", list(value.items()), flow_style=False)
    node.flow_style = all(_is_short(child) for _, child in node.value) and not any(
        key.value in _BLOCKS for key, _ in node.value
    )
    node.flow_style = node.flow_style and _width(node) < WIDTH
    return node


def _represent_sequence(dumper: _Dumper, value: Sequence[Any]) -> yaml.Node:
    node = dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=False)
    node.flow_style = not any(isinstance(child, yaml.MappingNode) for child in node.value) and _width(node) < WIDTH
    return node


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else "'" if _ELSEWHERE_NO_TEXT.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_short(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return "\n" not in node.value
    return bool(node.flow_style)


def _width(node: yaml.Node) -> int:
    if isinstance(node, yaml.ScalarNode):
        return len(node.value)
    children = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    return sum(_width(child) + 2 for child in children)


_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(list, _represent_sequence)
_Dumper.add_representer(tuple, _represent_sequence)
_Dumper.add_representer(str, _represent_text)
