"""New scalars in place of old ones in a YAML text: what is written between which two characters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from modelcar.delivery.documents import NULL, STRING, TEMPLATE_HINT, Path
from modelcar.errors import InvalidInput, ManifestShapeError

_LINE_END = re.compile(r"\r\n|\n|\r")
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+[ \t]+")
# Plain where both YAML 1.2 (ruamel.yaml) and YAML 1.1 (what Kubernetes tools read) take it for a string.
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9._/@+-]|:(?=[A-Za-z0-9._/@+-]))*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_NOT_STRINGS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class Splice:
    """One replacement in a text.

    Attributes:
        start: Index of the first character that goes.
        end: Index after the last one; equal to `start` for an insertion.
        text: What stands there afterwards.
    """

    start: int
    end: int
    text: str


def replace(text: str, node: Node | None, value: str, path: Path) -> Splice | None:
    """Plan the replacement of one scalar, in its own style and with its anchor.

    Args:
        text: The text that `node` was composed from.
        node: What stands there now.
        value: What shall stand there.
        path: Of the node, its document's number first.

    Returns:
        None when it has this value already, as a string.

    Raises:
        ManifestShapeError: Not a scalar, or a block scalar, tagged, empty, over several lines, or with `{{`.
    """
    name = _name(path)
    if not isinstance(node, ScalarNode):
        raise ManifestShapeError(f"{name} is not a single value", hint="Write it as one string on one line.")
    if node.value == value and node.tag == STRING:
        return None
    start, end = node.start_mark.index, node.end_mark.index
    anchor = _ANCHOR.match(text, start, end)
    start = anchor.end() if anchor else start
    written = text[start:end]
    if "{{" in written:
        raise ManifestShapeError(f"{name} is filled in by a template: {written}", hint=TEMPLATE_HINT)
    if not written or written[0] in "!|>&" or _LINE_END.search(written):
        raise ManifestShapeError(
            f"{name} is written in a form that is not edited (empty, tagged, or over several lines)",
            hint=f"Write it as one plain or quoted string on one line, such as {path[-1]}: {value}",
        )
    return Splice(start, end, quoted(value, node.style or ""))


def insert(text: str, mapping: Node, added: Mapping[str, str], path: Path) -> Splice:
    """Plan new keys in a mapping that is there: at its end, in its own indentation, line ending and style.

    Args:
        text: The text that `mapping` was composed from.
        mapping: A mapping, block or flow.
        added: Keys that it lacks and their values, at least one.
        path: Of the mapping, its document's number first.

    Raises:
        ManifestShapeError: It is no mapping, or there is no place where a line can be added safely.
    """
    if not isinstance(mapping, MappingNode):
        raise ManifestShapeError(f"{_name(path)} is not a mapping", hint="Write its keys below it, one a line.")
    if mapping.flow_style:
        style = _key_style(mapping)
        return _insert_in_flow(mapping, _pairs(added, style))
    indent = " " * _column(mapping)
    return _insert_lines(text, _last_line(mapping, path), [indent + pair for pair in _pairs(added, "")])


def insert_mapping(text: str, parent: MappingNode, added: Mapping[str, str], path: Path, step: int) -> Splice:
    """Plan a mapping that `parent` lacks, or has as an empty key, with its keys.

    Args:
        text: The text that `parent` was composed from.
        parent: The mapping around it, block or flow.
        added: The keys and values in it, at least one.
        path: Of the new mapping, its document's number first.
        step: Columns that each level of the document is indented by.

    Raises:
        ManifestShapeError: The key has a null written out, or there is no place where a line can be added safely.
    """
    name = str(path[-1])
    empty = next(((key, value) for key, value in parent.value if key.value == name), None)
    if parent.flow_style:
        if empty is not None:
            raise ManifestShapeError(f"{_name(path)} is null", hint=f"Remove it, or write {name}: {{}}")
        style = _key_style(parent)
        return _insert_in_flow(parent, [f"{quoted(name, style)}: {{{', '.join(_pairs(added, style))}}}"])
    indent = " " * _column(parent)
    lines = [f"{indent}{' ' * step}{pair}" for pair in _pairs(added, "")]
    if empty is None:
        return _insert_lines(text, _last_line(parent, path[:-1]), [f"{indent}{name}:", *lines])
    key, value = empty
    if value.tag != NULL or value.value:
        raise ManifestShapeError(f"{_name(path)} is {value.value}", hint=f"Leave {name} out, or give it keys.")
    return _insert_lines(text, key.end_mark.index, lines)


def quoted(value: str, style: str) -> str:
    r"""Write a string as a YAML scalar on one line.

    Args:
        value: Any text.
        style: `"`, `'`, or empty for plain; where a style cannot hold the value, double quotes do.

    Raises:
        InvalidInput: Half of a surrogate pair, which no file can hold.
    """
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"{value!r} is not text that a file can hold")
    if not style and _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_escaped(character) for character in value) + '"'


def splice(text: str, splices: Sequence[Splice]) -> str:
    """Apply replacements that do not overlap; those at one place keep their order."""
    for one in sorted(reversed(splices), key=lambda one: one.start, reverse=True):
        text = text[: one.start] + one.text + text[one.end :]
    return text


def _insert_lines(text: str, after: int, lines: Sequence[str]) -> Splice:
    """Whole lines below the line of index `after`, with its line ending; a missing last one stays missing."""
    found = _LINE_END.search(text, after)
    if found is not None:
        return Splice(found.end(), found.end(), "".join(line + found.group() for line in lines))
    first = _LINE_END.search(text)
    ending = first.group() if first else "\n"
    return Splice(len(text), len(text), "".join(ending + line for line in lines))


def _insert_in_flow(mapping: MappingNode, pairs: Sequence[str]) -> Splice:
    if not mapping.value:
        brace = mapping.end_mark.index - 1
        return Splice(brace, brace, ", ".join(pairs))
    key, value = mapping.value[-1]
    place = max(key.end_mark.index, value.end_mark.index)
    return Splice(place, place, "".join(f", {pair}" for pair in pairs))


def _pairs(added: Mapping[str, str], style: str) -> list[str]:
    return [f"{quoted(key, style)}: {quoted(value, style)}" for key, value in added.items()]


def _key_style(mapping: MappingNode) -> str:
    """JSON stays JSON: new keys and values are quoted as the first key is, and between empty braces as JSON has it."""
    first = mapping.value[0][0] if mapping.value else None
    if first is None:
        return '"'
    return first.style or "" if isinstance(first, ScalarNode) else ""


def _column(mapping: MappingNode) -> int:
    column: int = mapping.value[0][0].start_mark.column
    return column


def _last_line(mapping: MappingNode, path: Path) -> int:
    """Index in the line of the last entry that is one scalar, so that no comment changes its neighbour."""
    for key, value in reversed(mapping.value):
        written_here = value.start_mark.index >= key.end_mark.index
        single = isinstance(value, ScalarNode) and value.style not in ("|", ">")
        # An empty value has no place of its own: ruamel.yaml puts it where the next key begins.
        if single and written_here and value.start_mark.index < value.end_mark.index:
            index: int = value.end_mark.index
            return index
    raise ManifestShapeError(
        f"{_name(path)} has no key with a single value below which a line could be added",
        hint="Add the missing keys by hand once; later edits replace their values.",
    )


def _name(path: Path) -> str:
    return ".".join(str(part) for part in path[1:])


def _escaped(character: str) -> str:
    """One character as JSON has it where JSON can, so that a JSON manifest stays one."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
