"""The syntax of `filterQuery`: comparisons of a property with a value, joined by AND, OR and parentheses.

    name LIKE "qwen%" AND (tasks_count > 2 OR `modelcar.dev/key` = "1")

Keywords are upper case. A property is a name, or any text in backticks; `.string_value` and the like at its end ask
for that type. AND binds closer than OR. `--` begins a comment. Anything else is answered with 400.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modelcar_sandbox.model_registry.refusal import Refusal, bad_request

Scalar = str | int | float | bool
VALUE_TYPES: Final = ("string_value", "int_value", "double_value", "bool_value")
DEEPEST: Final = 100
_INT64: Final = range(-(2**63), 2**63)
_BOOLEANS: Final = {"true": True, "TRUE": True, "false": False, "FALSE": False}
_OPERATORS: Final = frozenset({"=", "!=", "<>", ">=", "<=", ">", "<", "LIKE", "ILIKE", "IN"})
_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|--[^\r\n]*)
    |(?P<word>[a-zA-Z_][a-zA-Z0-9_]*)
    |(?P<float>[-+]?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+)
    |(?P<int>[-+]?[0-9]+)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<escaped>`(?:[^`\\]|\\.)*`)
    |(?P<operator>>=|<=|!=|<>|=|>|<)
    |(?P<mark>[().,])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property compared with one value.

    Attributes:
        name: Of the property, without a type at its end.
        value_type: The type that was asked for, or None.
        operator: As written.
        value: A tuple for IN.
    """

    name: str
    value_type: str | None
    operator: str
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part holds."""

    parts: tuple[Expression, ...]


Expression = Comparison | All | Any


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def parse_filter(query: str) -> Expression | None:
    """Parse a filter.

    Args:
        query: As in the URL, decoded.

    Returns:
        What it says, or None when it is blank, which matches everything.

    Raises:
        Refusal: 400, with the column of what was not expected.
    """
    return _Parser(list(_tokens(query))).parse() if query.strip() else None


def _tokens(query: str) -> Iterator[_Token]:
    at = 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        if found is None:
            raise bad_request(f"invalid filter query syntax: 1:{at + 1}: invalid input text {query[at : at + 20]!r}")
        if found.lastgroup and found.lastgroup != "blank":
            yield _Token(found.lastgroup, found[0], at + 1)
        at = found.end()
    yield _Token("end", "<EOF>", at + 1)


class _Parser:
    """Recursive descent, one method for each rule."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def parse(self) -> Expression:
        expression = self._any()
        if self._next.kind != "end":
            raise self._unexpected("AND, OR or the end")
        return expression

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, text: str) -> bool:
        found = self._next.text == text and self._next.kind in {"word", "mark"}
        self._at += found
        return found

    def _unexpected(self, wanted: str) -> Refusal:
        token = self._next
        return bad_request(
            f'invalid filter query syntax: 1:{token.column}: unexpected token "{token.text}" (expected {wanted})'
        )

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._accept("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _all(self) -> Expression:
        parts = [self._term()]
        while self._accept("AND"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _term(self) -> Expression:
        if not self._accept("("):
            return self._comparison()
        self._depth += 1
        if self._depth > DEEPEST:
            raise bad_request(f"invalid filter query syntax: more than {DEEPEST} parentheses within each other")
        inner = self._any()
        if not self._accept(")"):
            raise self._unexpected('")"')
        self._depth -= 1
        return inner

    def _comparison(self) -> Comparison:
        name = self._name()
        if self._next.text not in _OPERATORS or self._next.kind not in {"word", "operator"}:
            raise self._unexpected("an operator")
        operator = self._take().text
        value = self._values() if self._next.text == "(" else self._scalar()
        stem, _, last = name.rpartition(".")
        typed = bool(stem) and last in VALUE_TYPES
        return Comparison(stem if typed else name, last if typed else None, operator, value)

    def _name(self) -> str:
        token = self._next
        if token.kind == "escaped":
            return re.sub(r"\\([.\\])", r"\1", self._take().text[1:-1])
        if token.kind != "word":
            raise self._unexpected("a property")
        name = self._take().text
        while self._accept("."):
            if self._next.kind != "word":
                raise self._unexpected("a name")
            name += "." + self._take().text
        return name

    def _values(self) -> tuple[Scalar, ...]:
        self._take()
        values: list[Scalar] = []
        while not self._accept(")"):
            if values and not self._accept(","):
                raise self._unexpected('"," or ")"')
            values.append(self._scalar())
        return tuple(values)

    def _scalar(self) -> Scalar:
        token = self._next
        if token.kind == "text":
            return re.sub(r"\\([\"'\\])", r"\1", self._take().text[1:-1])
        if token.kind == "float":
            return float(self._take().text)
        # The length first: Python refuses to read numbers of thousands of digits, with an error of its own.
        if token.kind == "int" and len(token.text) < 64 and int(token.text) in _INT64:
            return int(self._take().text)
        if token.kind == "word" and token.text in _BOOLEANS:
            return _BOOLEANS[self._take().text]
        raise self._unexpected("a value: texts stand in quotes")
