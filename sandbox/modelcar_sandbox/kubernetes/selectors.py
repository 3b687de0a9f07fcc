"""Which objects a list or a watch is about: by label and by field.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from modelcar_sandbox.kubernetes.kinds import Kind
from modelcar_sandbox.kubernetes.refusal import bad_request

Object = dict[str, Any]
Matches = Callable[[Object], bool]

_TOKEN: Final = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_WORD: Final = re.compile(r"[^\s=!,()<>]+")
_COMPARED: Final[Mapping[str, Callable[[str | None, str], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">": lambda value, wanted: _is_number(value) and int(value or 0) > int(wanted),
    "<": lambda value, wanted: _is_number(value) and int(value or 0) < int(wanted),
}


def select(kind: Kind, query: Mapping[str, str]) -> Matches:
    """What a request's two selectors leave.

    Raises:
        Refusal: One cannot be understood, or a field cannot be selected by.
    """
    requirements = _parse_labels(query.get("labelSelector", ""))
    fields = _parse_fields(kind, query.get("fieldSelector", ""))

    def matches(one: Object) -> bool:
        labels = one["metadata"].get("labels") or {}
        return all(fits(labels) for fits in requirements) and all(
            (_find(one, path) == wanted) == equal for path, wanted, equal in fields
        )

    return matches


class _Tokens:
    """What is left to be read of a label selector."""

    def __init__(self, text: str) -> None:
        self._left = [match[1] for match in _TOKEN.finditer(text.rstrip())]

    @property
    def next(self) -> str:
        return self._left[0] if self._left else ""

    def take(self) -> str:
        token = self.next
        del self._left[:1]
        return token

    def expect(self, wanted: str) -> None:
        token = self.take()
        if token != wanted:
            raise bad_request(f"unable to parse requirement: found '{token}' expected: '{wanted}'")

    def word(self) -> str:
        token = self.take()
        if not token or not _WORD.fullmatch(token):
            raise bad_request(f"unable to parse requirement: found '{token}', expected: identifier")
        return token

    def value(self) -> str:
        return "" if self.next in ("", ",", ")") else self.word()


def _parse_labels(text: str) -> list[Callable[[Mapping[str, str]], bool]]:
    tokens = _Tokens(text)
    requirements = []
    while tokens.next:
        requirements.append(_parse_requirement(tokens))
        if tokens.next:
            tokens.expect(",")
            if not tokens.next:
                raise bad_request("found '', expected: identifier after ','")
    return requirements


def _parse_requirement(tokens: _Tokens) -> Callable[[Mapping[str, str]], bool]:
    if tokens.next == "!":
        tokens.take()
        absent = tokens.word()
        return lambda labels: absent not in labels
    key = tokens.word()
    if tokens.next in ("", ","):
        return lambda labels: key in labels
    sign = tokens.take()
    if sign in ("in", "notin"):
        values = _parse_values(tokens)
        return lambda labels: (labels.get(key) in values) == (sign == "in")
    compare = _COMPARED.get(sign)
    if compare is None:
        raise bad_request(f"unable to parse requirement: found '{sign}', expected: in, notin, =, ==, !=, gt, lt")
    wanted = tokens.value()
    if sign in "<>" and not _is_number(wanted):
        raise bad_request(
            f"values[0][{key}]: Invalid value: \"{wanted}\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    return lambda labels: compare(labels.get(key), wanted)


def _parse_values(tokens: _Tokens) -> set[str]:
    tokens.expect("(")
    values = {tokens.value()}
    while tokens.next == ",":
        tokens.take()
        values.add(tokens.value())
    tokens.expect(")")
    return values


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch("-?[0-9]+", text) is not None


def _parse_fields(kind: Kind, text: str) -> list[tuple[str, str, bool]]:
    fields = []
    for term in filter(None, text.split(",")):
        path, sign, wanted = next(
            (parts for one in ("!=", "==", "=") if (parts := term.partition(one))[1]), (term, "", "")
        )
        if not sign:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if path not in kind.selectable:
            raise bad_request(_describe_field(kind, path))
        fields.append((path, wanted, sign != "!="))
    return fields


def _describe_field(kind: Kind, path: str) -> str:
    if kind.custom or kind.fields:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _find(one: Object, path: str) -> str:
    value: Any = one
    for member in path.split("."):
        value = value.get(member) if isinstance(value, dict) else None
    return "" if value is None else str(value)
