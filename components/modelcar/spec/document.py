"""Read one YAML 1.2 document so that every value knows its line, and nothing in it is guessed.

A plain `1.10` stays a number here and a plain `null` stays null; whoever reads the document decides what it takes.
JSON is YAML, so JSON is read too.

Source: https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import Node as ParsedNode

MAX_CHARACTERS = 1_000_000
_TAG_PREFIX = "tag:yaml.org,2002:"
_KINDS = {
    "str": "a string",
    "null": "null",
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "timestamp": "a date",
    "value": "a string",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a document.

    Attributes:
        line: Counted from 1; None when the value does not come from the document.
        key: Keys from the root, joined by dots; empty for the document itself.
        message: What is wrong, and what to write.
    """

    line: int | None
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value that is neither a list nor a mapping.

    Attributes:
        text: As written, without quotes and with escapes resolved.
        kind: What YAML takes it for: "a string", "null", "a number", "a boolean", "a date", "a tagged value", ….
    """

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        line: Of its key, or of the value itself where it has none; counted from 1.
        value: A scalar, a list (tuple) or a mapping (dict).
    """

    line: int
    value: Value


Value: TypeAlias = "Scalar | tuple[Node, ...] | dict[str, Node]"


def read_document(text: str) -> tuple[Node | None, tuple[Fault, ...]]:
    """Read a text that holds exactly one document.

    Args:
        text: YAML or JSON, any line ends, with or without a byte order mark.

    Returns:
        The root, and the faults found on the way (a key that stands twice, a key that is no string, …). The root is
        None when the text cannot be read at all; then there is a fault that says why.
    """
    from ruamel.yaml.error import YAMLError

    if len(text) > MAX_CHARACTERS:
        return None, (Fault(1, "", f"{len(text)} characters are no specification; {MAX_CHARACTERS} is the limit"),)
    try:
        parsed = _parse(text)
        if not parsed:
            return None, (Fault(1, "", "the file is empty"),)
        if len(parsed) > 1:
            line = parsed[1].start_mark.line + 1
            return None, (Fault(line, "", "a second document begins here; write one file for each"),)
        return _Conversion().convert_root(parsed[0])
    except YAMLError as error:
        return None, (_syntax_fault(error, text),)
    except RecursionError:
        return None, (Fault(1, "", "not readable: lists or mappings are nested too deeply"),)


def look_up(node: Node | None, key: str) -> str:
    """The text at a key such as `inferenceService.name`; empty when there is none."""
    for name in key.split("."):
        node = node.value.get(name) if node is not None and isinstance(node.value, dict) else None
    value = node.value if node is not None else None
    return value.text if isinstance(value, Scalar) and value.kind != "null" else ""


def _parse(text: str) -> list[ParsedNode]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import ReusedAnchorWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it; the latest definition counts
        return list(YAML(typ="safe", pure=True).compose_all(text))


def _syntax_fault(error: YAMLError, text: str) -> Fault:
    """Say what the parser says, without the excerpt that it prints: a secret could stand there."""
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Fault(line, "", f"not readable as YAML: character U+{ord(text[error.position]):04X} is not allowed")
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark is not None else 1
        return Fault(line, "", f"not readable as YAML: {' '.join(filter(None, (error.context, error.problem)))}")
    return Fault(1, "", "not readable as YAML")


class _Conversion:
    """From the parser's nodes to ours; what an alias shares is converted once, so it cannot blow up."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._done: dict[int, Value] = {}
        self._open: set[int] = set()

    def convert_root(self, parsed: ParsedNode) -> tuple[Node | None, tuple[Fault, ...]]:
        value = self._convert(parsed, "", parsed.start_mark.line + 1)
        return Node(parsed.start_mark.line + 1, value), tuple(self._faults)

    def _convert(self, parsed: ParsedNode, key: str, line: int) -> Value:
        if id(parsed) in self._open:
            self._faults.append(Fault(line, key, "this alias contains itself"))
            return Scalar("", "null")
        if id(parsed) not in self._done:
            self._open.add(id(parsed))
            self._done[id(parsed)] = self._convert_new(parsed, key)
            self._open.discard(id(parsed))
        return self._done[id(parsed)]

    def _convert_new(self, parsed: ParsedNode, key: str) -> Value:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if isinstance(parsed, MappingNode):
            return self._convert_mapping(parsed, key)
        if isinstance(parsed, SequenceNode):
            nodes = ((item, item.start_mark.line + 1) for item in parsed.value)
            return tuple(
                Node(line, self._convert(item, f"{key}[{index}]", line)) for index, (item, line) in enumerate(nodes)
            )
        return _convert_scalar(parsed)

    def _convert_mapping(self, parsed: ParsedNode, key: str) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for name_node, value_node in parsed.value:
            line = name_node.start_mark.line + 1
            name = _convert_scalar(name_node)
            if name.text == "<<" and name_node.tag != _TAG_PREFIX + "str":
                self._faults.append(Fault(line, key, "merge keys (<<) are not read; write the keys out"))
                continue
            if name.kind != "a string":
                self._faults.append(Fault(line, key, f"a key must be a string, not {name.kind}"))
                continue
            inner = f"{key}.{name.text}" if key else name.text
            if name.text in entries:
                first = entries[name.text].line
                self._faults.append(Fault(line, inner, f"stands here again; it is on line {first} already"))
                continue
            entries[name.text] = Node(line, self._convert(value_node, inner, line))
        return entries


def _convert_scalar(parsed: ParsedNode) -> Scalar:
    if not isinstance(parsed.value, str):
        return Scalar("", "a list or mapping")
    tag = str(parsed.tag)
    kind = _KINDS.get(tag.removeprefix(_TAG_PREFIX)) if tag.startswith(_TAG_PREFIX) else None
    try:
        # JSON writes one character outside the first plane as two escapes, as in "\ud83d\ude00".
        return Scalar(parsed.value.encode("utf-16", "surrogatepass").decode("utf-16"), kind or "a tagged value")
    except UnicodeDecodeError:
        return Scalar("", "a string with half a surrogate pair")
