"""The documents of a YAML text as nodes with positions, and the proof that an edit changed nothing else.

ruamel.yaml tells positions; it never writes. A dump, even a round-trip one, changes spacing, quotes and line endings
of lines that nobody asked to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from modelcar.errors import ManifestShapeError

Path = tuple[str | int, ...]
"""Keys and list indexes from a document's root; the first part is the document's number in the file."""

STRING = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"
TEMPLATE_HINT = "This looks like a Helm template; name the manifest that Argo CD applies as it is, without {{ }}."

_MERGE = "tag:yaml.org,2002:merge"
_LONGEST_TEXT = 2**20


def parse(text: str) -> list[Node]:
    """Compose all documents of a YAML text.

    Returns:
        The root nodes with their positions, in order; a document without content is a null scalar.

    Raises:
        ManifestShapeError: It is not YAML, a key stands twice in one mapping, it is a Helm template, or over 1 MiB.
    """
    if len(text) > _LONGEST_TEXT:
        raise ManifestShapeError("the manifest is over 1 MiB, more than Kubernetes takes", hint="Name a smaller file.")
    helm = TEMPLATE_HINT if "{{" in text else None
    try:
        roots = list(YAML(typ="rt", pure=True).compose_all(text))
        for _, node in _walk(roots):
            if isinstance(node, MappingNode):
                _check_keys(node, text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise ManifestShapeError(f"the manifest is not YAML{where}: {problem}", hint=helm) from error
    except RecursionError as error:
        raise ManifestShapeError("the manifest is nested too deeply to read") from error
    return roots


def find(root: Node, path: Sequence[str]) -> Node | None:
    """The node at a path of mapping keys, not looking into merged mappings; None when there is none."""
    node: Node | None = root
    for key in path:
        node = next((value for name, value in entries(node) if name.value == key), None)
    return node


def entries(node: Node | None) -> list[tuple[Node, Node]]:
    """Keys and values of a mapping in order; empty for anything else."""
    return list(node.value) if isinstance(node, MappingNode) else []


def has_merge(node: Node | None) -> bool:
    """Whether a mapping takes keys from another one by `<<`."""
    return any(key.tag == _MERGE for key, _ in entries(node))


def check_unshared(roots: Sequence[Node], root: Node, path: Sequence[str]) -> None:
    """Make sure that an edit at `path` is seen there only.

    Raises:
        ManifestShapeError: A node on the way is an alias, or an anchor that an alias elsewhere repeats.
    """
    uses: dict[int, int] = {}
    for _, node in _walk(roots, repeats=True):
        uses[id(node)] = uses.get(id(node), 0) + 1
    for length in range(1, len(path) + 1):
        shared = find(root, path[:length])
        if shared is not None and uses.get(id(shared), 0) > 1:
            raise ManifestShapeError(
                f"{'.'.join(path[:length])} shares the anchor &{shared.anchor} with another place of the manifest",
                hint="An edit would change both; write the value out instead of using an alias.",
            )


def prove(old: Sequence[Node], new_text: str, expected: dict[Path, str], containers: set[Path]) -> None:
    """Prove that a spliced text says what was asked, and besides that exactly what it said before.

    Args:
        old: Composed from the text before.
        new_text: The text after.
        expected: The string at each path that was changed or added.
        containers: Mappings that were added or filled.

    Raises:
        ManifestShapeError: It does not; the edit must not be used.
    """
    try:
        outline = list(_outline(parse(new_text)))
    except ManifestShapeError:
        outline = []
    found = {path: leaf for path, leaf in outline if path in expected}
    wrong = [path for path, value in expected.items() if found.get(path, ())[:3] != ("scalar", STRING, value)]
    touched = expected.keys() | containers
    before = [item for item in _outline(old) if item[0] not in touched]
    if wrong or before != [item for item in outline if item[0] not in touched]:
        raise ManifestShapeError(
            "the manifest is written in a way that cannot be edited without changing something else",
            hint="Write the InferenceService in plain block style, without anchors.",
        )


def _check_keys(mapping: MappingNode, text: str) -> None:
    seen = set()
    for key, _ in mapping.value:
        line = key.start_mark.line + 1
        if isinstance(key, MappingNode) and "{{" in text:
            raise ManifestShapeError(f"line {line} of the manifest holds a template, not YAML", hint=TEMPLATE_HINT)
        if isinstance(key, ScalarNode) and (key.tag, key.value) in seen:
            raise ManifestShapeError(
                f"the key {key.value!r} stands twice in one mapping, line {line} of the manifest",
                hint="Remove one of them; tools differ in which one they take.",
            )
        if isinstance(key, ScalarNode):
            seen.add((key.tag, key.value))


def _children(node: Node) -> Iterator[tuple[str | int, Node]]:
    if isinstance(node, SequenceNode):
        yield from enumerate(node.value)
    for number, (key, value) in enumerate(entries(node)):
        if isinstance(key, ScalarNode):
            yield key.value, value
        else:
            yield number, key
            yield -number - 1, value


def _walk(roots: Sequence[Node], *, repeats: bool = False) -> Iterator[tuple[Path, Node]]:
    """All nodes with their paths, in order; with `repeats` an aliased node comes once per use, its children once."""
    seen: set[int] = set()
    pending: list[tuple[Path, Node]] = [((number,), root) for number, root in reversed(list(enumerate(roots)))]
    while pending:
        path, node = pending.pop()
        first = id(node) not in seen
        seen.add(id(node))
        if first or repeats:
            yield path, node
        if first:
            pending.extend(((*path, key), child) for key, child in reversed(list(_children(node))))


def _outline(roots: Sequence[Node]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """What the documents say, flat and in order: kind, tag, value or style, anchor; a repeated node by its anchor."""
    seen: set[int] = set()
    for path, node in _walk(roots, repeats=True):
        if id(node) in seen:
            yield path, ("alias", str(node.anchor))
        elif isinstance(node, ScalarNode):
            yield path, ("scalar", str(node.tag), node.value, str(node.anchor))
        else:
            flow = str(isinstance(node, CollectionNode) and node.flow_style)
            yield path, (type(node).__name__, str(node.tag), flow, str(node.anchor))
        seen.add(id(node))
