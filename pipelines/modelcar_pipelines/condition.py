"""The condition of a task (`dsl.If` and kin): parsed once, decided on values that stay values.

The compiler writes conditions in a small part of CEL: references to the task's inputs, literals, comparisons, `&&`,
`||`, `!(…)`, and the casts `int()` and `double()`. kfp.local writes the values into the text and evaluates that as
Python: a quote in a value makes such a condition false without a word. Here the text is parsed, and no value is.

Deviation: what the compiler never writes (arithmetic, lists, other functions) is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelcar.errors import InvalidInput

_TOKEN = re.compile(
    r"""\s*(?:
        inputs\.parameter_values\['(?P<input>[^']*)'\]
      | (?P<string>'[^']*'|"[^"]*")
      | (?P<operator>&&|\|\||==|!=|<=|>=|<|>|!(?=\s*\()|\(|\))
      | (?P<word>true|false|int\b|double\b)
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    )""",
    re.VERBOSE,
)
_PYTHON = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False"}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Term:
    """An input compared with a constant.

    Attributes:
        input: Its name.
        equal: Whether it has to be the constant; else it must not.
        constant: What it is compared with.
    """

    input: str
    equal: bool
    constant: str | int | float | bool


class Condition:
    """One condition.

    Attributes:
        text: As it stands in the pipeline.
        inputs: Names of the task's inputs that it reads, in the order of the text; a name may come twice.
    """

    def __init__(self, text: str) -> None:
        """Parse `text`.

        Raises:
            InvalidInput: It is not what the compiler writes; a string with a quote in it is not, for servers either.
        """
        self.text = text
        self.inputs: list[str] = []
        try:
            self._tree = ast.parse(self._translate(), mode="eval").body
            self._shape(self._tree)
        except (SyntaxError, ValueError) as error:
            raise InvalidInput(
                f"the condition {text!r} cannot be read",
                hint="Conditions compare parameters with numbers, true, false, or strings that have no quotes.",
            ) from error

    def holds(self, values: Sequence[object]) -> bool:
        """Whether the condition is true.

        Args:
            values: One for each of `inputs`, in their order.

        Raises:
            InvalidInput: Values that cannot be compared, such as a string and a number by `<`.
        """
        try:
            return bool(self._decide(self._tree, values))
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the condition {self.text!r} cannot be decided: {error}") from error

    def terms(self) -> list[Term] | None:
        """The comparisons that all have to hold; None when the condition is more than that."""
        return self._terms(self._tree)

    def _terms(self, node: ast.expr) -> list[Term] | None:
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                found = [self._terms(part) for part in parts]
                return None if None in found else [term for terms in found for term in terms or ()]
            case ast.UnaryOp(op=ast.Not(), operand=part):
                terms = self._terms(part) or []
                return [replace(terms[0], equal=not terms[0].equal)] if len(terms) == 1 else None
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as how], comparators=[right]):
                name, constant = (left, right) if self._input(left) else (right, left)
                found_input = self._input(name)
                if found_input is None or not _is_constant(constant):
                    return None
                return [Term(found_input, isinstance(how, ast.Eq), ast.literal_eval(constant))]
        return None

    def _input(self, node: ast.expr) -> str | None:
        """The input that a node is, also when it is cast to a whole number, which those that are one need."""
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "int":
            node = node.args[0]
        return self.inputs[int(node.id.removeprefix("_"))] if isinstance(node, ast.Name) else None

    def _translate(self) -> str:
        """The same expression in Python, with a name `_0`, `_1` … where an input is read."""
        words: list[str] = []
        position, text = 0, self.text.rstrip()
        while position < len(text):
            if (token := _TOKEN.match(text, position)) is None:
                raise ValueError(text[position:])
            if (name := token["input"]) is not None:
                words.append(f" _{len(self.inputs)} ")
                self.inputs.append(name)
            elif (string := token["string"]) is not None:
                words.append(repr(string[1:-1]))
            else:
                word = token.group().strip()
                words.append(_PYTHON.get(word, word))
            position = token.end()
        return "".join(words).strip()

    def _shape(self, node: ast.expr) -> None:
        """Raises ValueError for an expression that `_decide` does not know."""
        match node:
            case ast.BoolOp(values=parts):
                pass
            case ast.UnaryOp(op=ast.Not(), operand=part) | ast.Call(func=ast.Name(id="int" | "double"), args=[part]):
                parts = [part]
            case ast.Compare(left=left, ops=[_], comparators=[right]):
                parts = [left, right]
            case ast.Constant() | ast.Name() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                parts = []
            case _:
                raise ValueError(ast.unparse(node))
        for part in parts:
            self._shape(part)

    def _decide(self, node: ast.expr, values: Sequence[object]) -> object:
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(self._decide(part, values) for part in parts)
            case ast.BoolOp(values=parts):
                return any(self._decide(part, values) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self._decide(part, values)
            case ast.Compare(left=left, ops=[how], comparators=[right]):
                return _COMPARE[type(how)](self._decide(left, values), self._decide(right, values))
            case ast.Call(func=ast.Name(id=cast), args=[part]):
                value = self._decide(part, values)
                return int(value) if cast == "int" else float(value)  # type: ignore[call-overload, arg-type]
            case ast.Name(id=name):
                return values[int(name.removeprefix("_"))]
            case _:
                return ast.literal_eval(node)


def _is_constant(node: ast.expr) -> bool:
    """Whether a node is a literal; Python reads a number below zero as the negation of one."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)
