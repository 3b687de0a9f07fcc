"""Who may connect to whom, which account has which Role, and what reads which Secret, as tables of squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitops_tree.pictures.drawing import box, document, rule, text
from gitops_tree.pictures.reach import ANYONE, Port, Reach, grants, reach
from gitops_tree.secret_references import KFP, TRIGGER, Read, references
from gitops_tree.tree import NAMESPACE, REGISTRY_NAMESPACE, SAMPLES, Tree
from modelcar.page.markup import Html

WIDTH: Final = 980
EDGE: Final = 24
LABELS: Final = 252
"""Of the rows, how wide."""
CELL: Final = 60
LINE: Final = 16
HEAD: Final = 212
"""Of a table, how high."""
_SAID: Final = {
    ANYONE: "any pod of any other namespace",
    "some other pod": "any other pod",
    "another registry": "any other pod",
    "someone-else": "elsewhere",
}
"""What stands in the tables for all others."""
_OUTSIDE: Final = "outside"
_OPTIONAL: Final = "optional"
_PIPELINES: Final = ("Kubeflow pipelines", "Tekton pipelines")
_LONG: Final = ("DataSciencePipelinesApplication", "DSPA")


@dataclass(frozen=True)
class Line:
    """A row or a column.

    Attributes:
        group: It is drawn with others of the same.
        names: Of all who are alike.
        cells: What stands in it; by the names of the other side.
    """

    group: str
    names: Sequence[str]
    cells: Mapping[str, Sequence[str]]


def draw(tree: Tree) -> str:
    """The picture as SVG."""
    found = reach(tree)
    parts: list[Html] = []
    rows, columns = connections(found)
    y = _table(parts, EDGE, "Who may connect to whom, and on which port", rows, columns)
    rows, columns = rights(tree)
    y = _table(parts, y + 34, "Which account has which Role", rows, columns)
    rows, columns = secrets(tree)
    y = _table(parts, y + 34, "What reads which Secret", rows, columns)
    title = "Who may connect to whom, which account has which Role, and what reads which Secret"
    return document(WIDTH, y + EDGE, title, parts)


def connections(found: Reach) -> tuple[list[Line], list[Line]]:
    """Sources and targets that differ from each other, with the ports; what is of no interest left out.

    A target is of interest if a policy guards it or it is outside; a source, if it is in one of our namespaces, or gets
    to more than anybody does.
    """
    ours = (NAMESPACE, REGISTRY_NAMESPACE)
    targets = [
        name
        for name, place in found.places.items()
        if name in found.guarded
        or (place.namespace not in ours and any(found.ports.get((one, name)) for one in found.places))
    ]
    targets = [name for name in targets if any(found.ports.get((one, name)) for one in found.places)]
    cells = {source: {name: _said(found.ports.get((source, name), ())) for name in targets} for source in found.places}
    sources = [
        name
        for name, place in found.places.items()
        if name == ANYONE or (any(cells[name].values()) and (place.namespace in ours or cells[name] != cells[ANYONE]))
    ]
    sources = [name for name in sources if found.places[name].namespace]
    rows = _merge({name: (_group(found, name), cells[name]) for name in sources})
    across = {name: (_group(found, name), {one: cells[one][name] for one in sources}) for name in targets}
    return rows, _merge(across)


def rights(tree: Tree) -> tuple[list[Line], list[Line]]:
    """Accounts and Roles."""
    given = grants(tree)
    accounts = sorted({(one.home, one.account) for one in given}, key=lambda one: (_order(one[0]), one[1]))
    roles = sorted({(one.namespace, one.role) for one in given}, key=lambda one: (_order(one[0]), one[1]))
    have = {(one.home, one.account, one.role): ["opt-in" if one.opt_in else "●"] for one in given}
    rows = [
        Line(home or "people", [account], {role: have.get((home, account, role), []) for _, role in roles})
        for home, account in accounts
    ]
    return rows, [Line(where, [role], {}) for where, role in roles]


def secrets(tree: Tree) -> tuple[list[Line], list[Line]]:
    """Secrets, and what names them; pipelines are taken together."""
    read: dict[tuple[str, str], dict[str, bool]] = {}
    for one in references(tree):
        if not one.who.startswith((SAMPLES, TRIGGER)):
            optional = read.setdefault((one.namespace, one.name), {})
            optional[_reader(one)] = optional.get(_reader(one), True) and one.optional
    readers = sorted({who for each in read.values() for who in each}, key=lambda who: (who in _PIPELINES, who))
    rows = [
        Line(namespace, [name], {who: [_OPTIONAL if given[who] else "●"] for who in sorted(given)})
        for (namespace, name), given in sorted(read.items(), key=lambda one: (_order(one[0][0]), one[0][1]))
    ]
    return rows, [Line("", [who], {}) for who in readers]


def _reader(one: Read) -> str:
    """What tables call it: pipelines together, all else as kind and name."""
    if one.who.startswith(KFP):
        return _PIPELINES[0]
    kind, _, name = one.who.partition(" ")
    return _PIPELINES[1] if kind == "Pipeline" else f"{name.rpartition('/')[2]} ({kind})".replace(*_LONG)


def _merge(lines: Mapping[str, tuple[str, Mapping[str, Sequence[str]]]]) -> list[Line]:
    """Those that are alike become one."""
    merged: dict[tuple[str, str], tuple[list[str], Mapping[str, Sequence[str]]]] = {}
    for name, (group, cells) in lines.items():
        merged.setdefault((group, repr(sorted(cells.items()))), ([], cells))[0].append(name)
    made = [Line(group, names, cells) for (group, _), (names, cells) in merged.items()]
    return sorted(made, key=lambda line: _order(line.group))


def _order(group: str) -> tuple[int, str]:
    known = (NAMESPACE, REGISTRY_NAMESPACE)
    return (known.index(group), "") if group in known else (len(known) + (group in (_OUTSIDE, "")), group)


def _group(found: Reach, name: str) -> str:
    return found.places[name].namespace or _OUTSIDE


def _said(ports: Sequence[Port]) -> list[str]:
    numbers: dict[int, set[str]] = {}
    for number, protocol in ports:
        numbers.setdefault(number, set()).add(protocol)
    return [str(number) for number in sorted(numbers)]


def _table(parts: list[Html], y: float, title: str, rows: Sequence[Line], columns: Sequence[Line]) -> float:
    parts.append(text(EDGE, y + 14, title, "big"))
    top = y + HEAD
    left = EDGE + LABELS
    for number, column in enumerate(columns):
        at = left + CELL * number
        for line, words in enumerate(_two_lines([_SAID.get(name, name) for name in column.names])):
            parts.append(text(at + 26 + 20 * line, top - 8, words, "small", turn=-50))
    parts += _groups([column.group for column in columns], left, top)
    group, down = "", top
    for row in rows:
        if row.group != group:
            group = row.group
            parts.append(text(EDGE, down + 20, _SAID.get(group, group), "small", "muted"))
            down += 28
        label = _wrap(", ".join(_SAID.get(name, name) for name in row.names))
        cells = [row.cells.get(column.names[0], []) for column in columns]
        height = 14 + LINE * max(len(label), *(len(cell) for cell in cells))
        parts.append(rule(EDGE, down, left + CELL * len(columns)))
        first = down + height / 2 - LINE * (len(label) - 1) / 2 + 4.5
        parts += [text(EDGE + 12, first + LINE * line, words) for line, words in enumerate(label)]
        for number, cell in enumerate(cells):
            at = left + CELL * number
            if cell:
                parts.append(box(at + 4, down + 4, CELL - 8, height - 8, "mint"))
            middle = down + height / 2 - LINE * (len(cell) - 1) / 2 + 4.5
            parts += [
                text(at + CELL / 2, middle + LINE * line, words, "small", anchor="middle")
                for line, words in enumerate(cell)
            ]
        down += height
    return down


def _groups(groups: Sequence[str], x: float, y: float) -> list[Html]:
    """Where the columns are, above those that have company."""
    parts: list[Html] = []
    for name in dict.fromkeys(groups):
        many, at = groups.count(name), x + CELL * groups.index(name)
        if name and many > 1:
            parts.append(rule(at + 4, y + 2, at + CELL * many - 4))
            parts.append(text(at + CELL * many / 2, y + 18, name, "small", "muted", anchor="middle"))
    return parts


def _two_lines(names: Sequence[str]) -> list[str]:
    """Names over a column, which has room for two lines."""
    half = (len(names) + 1) // 2
    return [", ".join(some) for some in (names[:half], names[half:]) if some]


def _wrap(words: str, width: int = 34) -> list[str]:
    lines = [""]
    for word in words.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
