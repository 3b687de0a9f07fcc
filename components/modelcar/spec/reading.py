"""From the nodes of a document to the values of a PromotionSpec, by its table of keys; all faults in one go."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Set
from typing import Any

from modelcar.errors import InvalidInput
from modelcar.spec.document import Fault, Node, Scalar
from modelcar.spec.fields import BY_KEY, FIELDS, OPTIONAL_SECTIONS, SECTIONS, Field
from modelcar.spec.values import NO_SECRETS, is_secret_name


def read_values(
    root: Node, env: Mapping[str, str], beside: Mapping[str, str], sections: Set[str]
) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """Read every key of the table.

    Args:
        root: Of the document.
        env: Where the defaults that the table names by variable come from; an empty variable counts as absent.
        beside: Values of string keys that were given beside the document and go before it; an empty one is absent.
        sections: Sections of the root that are filled in and whose required keys are asked for; others may be absent.

    Returns:
        The values by key, defaults filled in, without the keys of optional sections that are not there; and the
        faults. The values are only of use when there are no faults.
    """
    reading = _Reading(env, beside, sections)
    reading.read_root(root)
    return reading.values, tuple(reading.faults)


class _Reading:
    """What has been read so far, by key, and what was wrong with it."""

    def __init__(self, env: Mapping[str, str], beside: Mapping[str, str], sections: Set[str]) -> None:
        self._env, self._beside, self._wanted = env, {key: text for key, text in beside.items() if text}, sections
        self._lines: dict[str, int] = {}
        self._sections: set[str] = set()
        self._written: set[str] = set()
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []

    def read_root(self, root: Node) -> None:
        if _is_null(root):
            self._fault("", "the file is empty", 1)
            return
        if not isinstance(root.value, dict):
            self._fault("", f"the file holds {_kind(root)}, not the keys of a PromotionSpec", line=root.line)
            return
        self._read_mapping(root.value, "")
        self._read_beside()
        for field in FIELDS:
            if not field.section or field.section.partition(".")[0] in self._wanted:
                self._fill(field, root.line)
        self._check_revision("model.source", "model.revision")
        self._check_revision("training.data", "training.dataRevision")
        self._check_trainer()
        self._check_siblings()
        if {"image.platform", "image.platforms"} <= self._written:
            self._fault("image.platforms", "image.platform names one, too; keep one of the two keys")

    def _read_beside(self) -> None:
        if "model.source" in self._beside:
            self.values.pop("model.revision", None)  # it was a revision of another source
        for key, text in self._beside.items():
            self._sections.add(BY_KEY[key].section)
            self._written.add(key)
            self.values[key] = self._read_text(BY_KEY[key], key, text, None, "given beside the spec: ")

    def _read_mapping(self, entries: dict[str, Node], section: str) -> None:
        self._sections.add(section)
        for name, node in entries.items():
            key = f"{section}.{name}" if section else name
            self._lines[key] = node.line
            if "." in name:
                self._fault(key, _unknown(name, section))
            elif key in BY_KEY:
                self._read_field(BY_KEY[key], node)
            elif key not in SECTIONS:
                self._fault(key, _unknown(name, section))
            elif isinstance(node.value, dict):
                self._read_mapping(node.value, key)
            elif not _is_null(node):
                self._fault(key, f"is {_kind(node)}, where keys belong")

    def _read_field(self, field: Field, node: Node) -> None:
        if _is_null(node):
            return
        self._written.add(field.key)
        self.values[field.key] = None  # a faulty value is not a missing one
        if field.shape == "string":
            self.values[field.key] = self._read_string(field, field.key, node)
        elif field.shape == "list":
            if not isinstance(node.value, tuple):
                self._fault(field.key, f"is {_kind(node)}, where a list belongs: [first, second]")
                return
            items = [self._read_string(field, f"{field.key}[{n}]", item) for n, item in enumerate(node.value)]
            self.values[field.key] = tuple(items)
        elif not isinstance(node.value, dict):
            self._fault(field.key, f"is {_kind(node)}, where a mapping belongs: {{name: value}}")
        else:
            self.values[field.key] = self._read_properties(field, node.value)

    def _read_properties(self, field: Field, entries: dict[str, Node]) -> dict[str, object]:
        properties: dict[str, object] = {}
        for name, node in entries.items():
            key = f"{field.key}.{name}"
            try:
                field.check_name(name)
            except InvalidInput as error:
                self._fault(key, str(error), node.line)
            properties[name] = self._read_string(field, key, node)
        return dict(sorted(properties.items()))

    def _read_string(self, field: Field, key: str, node: Node) -> object:
        if not isinstance(node.value, Scalar):
            self._fault(key, f"is {_kind(node)}, where a string belongs", node.line)
        elif node.value.kind in ("a number", "a boolean", "a date"):
            self._read_unquoted(field, key, node.value, node.line)
        elif node.value.kind != "a string":
            self._fault(key, f"is {node.value.kind}, where a string belongs", node.line)
        else:
            return self._read_text(field, key, node.value.text, node.line)
        return None

    def _read_unquoted(self, field: Field, key: str, value: Scalar, line: int) -> None:
        """Quotes help only where the text in them would be taken."""
        found = len(self.faults)
        self._read_text(field, key, value.text, line)
        if len(self.faults) == found:
            self._fault(key, f'YAML takes {value.text} for {value.kind}; put it in quotes: "{value.text}"', line)

    def _read_text(self, field: Field, key: str, text: str, line: int | None, origin: str = "") -> object:
        try:
            if field.only is not None and text != field.only:
                raise InvalidInput(f"is {text!r}, not {field.only!r}", hint="This version reads no other.")
            return field.read(text)
        except InvalidInput as error:
            message = f"{error}. {error.hint}" if error.hint else str(error)
            self.faults.append(Fault(line, key, origin + message))
            return None

    def _fill(self, field: Field, root_line: int) -> None:
        """Take the value that counts when nothing is written."""
        if field.key in self.values or (field.section in OPTIONAL_SECTIONS and field.section not in self._sections):
            return
        if field.variable and self._env.get(field.variable):
            origin = f"from ${field.variable}: "
            self.values[field.key] = self._read_text(field, field.key, self._env[field.variable], None, origin)
        elif field.required:
            way_out = f"; write it, or set {field.variable}" if field.variable else ""
            line = self._lines.get(field.key, self._lines.get(field.section, root_line))
            self._fault(field.key, f"is required{way_out}", line)
        elif field.shape == "string":
            self.values[field.key] = None if field.default is None else field.read(field.default)
        else:
            self.values[field.key] = () if field.shape == "list" else {}

    def _check_revision(self, source_key: str, revision_key: str) -> None:
        source, revision = self.values.get(source_key), self.values.get(revision_key)
        if source is None or revision is None:
            return
        if source.startswith("file://"):
            self._fault(revision_key, "a directory has no revisions; leave the key out")
        elif source.startswith("s3://"):
            self._fault(revision_key, "a bucket has no revisions; leave the key out")
        elif source.startswith("oci://"):
            self._fault(revision_key, "an image has no revisions; name its tag or digest in its address")
        elif "@" in source:
            self._fault(revision_key, f"{source_key} names a revision too, behind @; keep one of them")

    def _check_trainer(self) -> None:
        """Exactly one of two keys says what trains; a faulty one counts as written."""
        if "training" not in self._sections:
            return
        written = {"training.entryPoint", "training.command"} & self._written
        if not written:
            self._fault("training", "says nothing that trains; write entryPoint or command")
        elif len(written) == 2:
            self._fault("training.command", "training.entryPoint says what trains, too; keep one of them")
        elif self.values.get("training.command") == () and "training.command" in written:
            self._fault("training.command", "names no program; write [program, argument]")

    def _check_siblings(self) -> None:
        """Layers are taken from images of the registry that the image goes to."""
        repository = self.values.get("image.repository")
        for number, sibling in enumerate(self.values.get("image.reuseFrom") or ()):
            if repository and sibling and sibling.registry != repository.registry:
                key = f"image.reuseFrom[{number}]"
                self._fault(
                    key, f"{sibling} is in another registry than image.repository", self._lines.get("image.reuseFrom")
                )

    def _fault(self, key: str, message: str, line: int | None = None) -> None:
        self.faults.append(Fault(self._lines.get(key) if line is None else line, key, message))


def _is_null(node: Node) -> bool:
    return isinstance(node.value, Scalar) and node.value.kind == "null"


def _kind(node: Node) -> str:
    if isinstance(node.value, Scalar):
        return node.value.kind
    return "a mapping" if isinstance(node.value, dict) else "a list"


def _unknown(name: str, section: str) -> str:
    """Say what an unknown key might have been meant to be: a neighbour first, else a key of another section."""
    if is_secret_name(name):
        return NO_SECRETS
    keys = (*BY_KEY, *sorted(SECTIONS))
    here = {_letters(_name(key)): _name(key) for key in keys if key.rpartition(".")[0] == section}
    close = [here[letters] for letters in difflib.get_close_matches(_letters(name), here, n=1)]
    meant = close or [key for key in keys if name == key or _letters(_name(key)) == _letters(name)]
    return f"unknown key; did you mean {' or '.join(meant)}?" if meant else "unknown key"


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
