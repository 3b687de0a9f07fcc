"""The tree as a picture: which Application brings what into which namespace, in which wave, and who crosses over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from gitops_tree.objects import annotations_of, name_of
from gitops_tree.pictures.drawing import arrow, badge, box, document, text
from gitops_tree.pictures.reach import grants, reach
from gitops_tree.tree import ARGOCD_NAMESPACE, PARENT, Object, Tree
from modelcar.page.markup import Html

WIDTH: Final = 980
EDGE: Final = 16
GUTTER: Final = 26
"""On each side, for lines that pass by."""
LEFT, INNER = EDGE + GUTTER, WIDTH - 2 * (EDGE + GUTTER)
COLUMNS: Final = 3
COLUMN: Final = (INNER - 28 - 14 * (COLUMNS - 1)) / COLUMNS
LINE: Final = 19
GAP: Final = 74
"""Between namespaces, for who crosses it."""
_TOP: Final = 84
_APPLICATIONS_HEIGHT: Final = 146
_GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "Served models": frozenset({"InferenceService", "ServingRuntime"}),
    "Model Registry": frozenset({"ModelRegistry"}),
    "Pipelines and workbench": frozenset(
        {"CronJob", "DataSciencePipelinesApplication", "Notebook", "Pipeline", "PipelineVersion"}
    ),
    "Servers": frozenset({"Deployment", "Service"}),
    "Images": frozenset({"BuildConfig", "ImageStream"}),
    "Volumes": frozenset({"PersistentVolumeClaim"}),
    "Secrets": frozenset({"ExternalSecret", "Job"}),
    "Accounts and rights": frozenset({"Role", "RoleBinding", "ServiceAccount"}),
    "Network": frozenset({"NetworkPolicy"}),
    "Namespace and settings": frozenset({"ConfigMap", "LimitRange", "Namespace", "ResourceQuota"}),
}
"""How kinds are put together; one that is in none has a card of its own."""
_SHORT: Final = {
    "DataSciencePipelinesApplication": "DataSciencePipelines…",
    "PersistentVolumeClaim": "PVC",
}


@dataclass(frozen=True)
class Panel:
    """A namespace in the picture: from where to where."""

    top: float
    bottom: float


@dataclass(frozen=True)
class Card:
    """Objects that belong together.

    Attributes:
        title: What they are.
        rows: Name and kind of each.
    """

    title: str
    rows: Sequence[tuple[str, str]]

    @property
    def height(self) -> float:
        """In pixels."""
        return 34 + LINE * len(self.rows)


def draw(tree: Tree) -> str:
    """The picture as SVG."""
    parent = tree.applications[PARENT]
    children = sorted((one for one in tree.applications.values() if one is not parent), key=_wave)
    panels, y = dict[str, Panel](), float(_TOP + _APPLICATIONS_HEIGHT + GAP)
    parts = [_git(parent), *_applications([parent, *children])]
    for child in children:
        drawn, height = _panel(child, tree.rendered[name_of(child)], y)
        panels[target_of(child)] = Panel(y, y + height)
        parts.append(drawn)
        y += height + GAP
    parts += _arrows_to_panels([panels[target_of(one)] for one in children])
    panels = {ARGOCD_NAMESPACE: Panel(_TOP, _TOP + _APPLICATIONS_HEIGHT), **panels}
    parts += _crossings(tree, panels)
    parts += _legend(y - GAP + 24)
    return document(
        WIDTH, y - GAP + 24 + EDGE, "The GitOps tree: Applications, waves, namespaces and what is in them", parts
    )


def _legend(y: float) -> list[Html]:
    return [
        arrow((LEFT, y), (LEFT + 34, y)),
        text(LEFT + 44, y + 4, "Argo CD reads it, and applies it in the order of the waves", "small", "muted"),
        arrow((LEFT + 420, y), (LEFT + 454, y), kind="asks"),
        text(
            LEFT + 464,
            y + 4,
            "may connect, or has a right, by policies and bindings",
            "small",
            "muted",
        ),
    ]


def target_of(application: Object) -> str:
    """Where an Application puts things."""
    return str(application["spec"]["destination"]["namespace"])


def cards(objects: Iterable[Object]) -> list[Card]:
    """Objects in groups, in the order of the groups; nothing is left out."""
    grouped: dict[str, list[tuple[str, str]]] = {title: [] for title in _GROUPS}
    for one in sorted(objects, key=lambda one: (one["kind"], name_of(one))):
        kind = str(one["kind"])
        title = next((title for title, kinds in _GROUPS.items() if kind in kinds), kind)
        grouped.setdefault(title, []).append((name_of(one), _SHORT.get(kind, kind)))
    return [Card(title, rows) for title, rows in grouped.items() if rows]


def _wave(application: Object) -> int:
    return int(annotations_of(application)["argocd.argoproj.io/sync-wave"])


def _git(parent: Object) -> Html:
    source = parent["spec"]["source"]
    return Html(
        box(LEFT, EDGE, INNER, 38)
        + text(LEFT + 14, EDGE + 24, "git", "big")
        + text(LEFT + 46, EDGE + 24, source["repoURL"])
        + text(LEFT + INNER - 14, EDGE + 24, f"branch {source['targetRevision']}", "muted", anchor="end")
    )


def _applications(applications: Sequence[Object]) -> list[Html]:
    parts = [
        box(LEFT, _TOP, INNER, _APPLICATIONS_HEIGHT, "panel"),
        text(LEFT + 14, _TOP + 23, ARGOCD_NAMESPACE, "big"),
    ]
    bus = _TOP + 131
    for number, one in enumerate(applications):
        at = _column(number)
        head, _, tail = one["spec"]["source"]["path"].rpartition("/")
        parts += [
            box(at, _TOP + 36, COLUMN, 78),
            text(at + 12, _TOP + 58, name_of(one), "bold"),
            badge(at + COLUMN - 66, _TOP + 53, f"wave {_wave(one)}", 56),
            text(at + 12, _TOP + 82, f"{head}/", "muted", "small"),
            text(at + 12, _TOP + 99, tail, "muted", "small"),
            arrow((at + COLUMN - 14, EDGE + 38), (at + COLUMN - 14, _TOP + 35)),
        ]
        if number:  # the parent's children
            start = (_column(0) + COLUMN / 2, _TOP + 114)
            parts.append(arrow(start, (start[0], bus), (at + 40, bus), (at + 40, _TOP + 115)))
    return parts


def _column(number: int) -> float:
    return LEFT + 14 + number * (COLUMN + 14)


def _panel(application: Object, objects: Sequence[Object], y: float) -> tuple[Html, float]:
    dealt = _deal(cards(objects))
    height = 46 + max(map(_height, dealt))
    drawn = ""
    for number, column in enumerate(dealt):
        down = y + 44
        for card in column:
            drawn += _card(card, _column(number), down)
            down += card.height + 12
    head = (
        box(LEFT, y, INNER, height, "panel")
        + text(LEFT + 14, y + 27, target_of(application), "big")
        + text(LEFT + INNER - 14, y + 27, f"{len(objects)} objects of {name_of(application)}", "muted", anchor="end")
    )
    return Html(head + drawn), height


def _card(card: Card, x: float, y: float) -> Html:
    kinds = {kind for _, kind in card.rows}
    drawn = box(x, y, COLUMN, card.height) + text(x + 12, y + 21, card.title, "bold")
    if len(kinds) == 1:  # said once
        drawn += text(x + COLUMN - 10, y + 21, *kinds, "small", "muted", anchor="end")
    for number, (name, kind) in enumerate(card.rows):
        line = y + 42 + LINE * number
        drawn += text(x + 12, line, name, "small")
        if len(kinds) > 1:
            drawn += text(x + COLUMN - 10, line, kind, "small", "muted", anchor="end")
    return Html(drawn)


def _deal(all_cards: Sequence[Card]) -> list[list[Card]]:
    """Cards in columns that are as short as can be, their order kept in each."""
    ways = product(range(COLUMNS), repeat=len(all_cards))
    deals = ([[c for c, at in zip(all_cards, way, strict=True) if at == n] for n in range(COLUMNS)] for way in ways)
    return min(deals, key=lambda columns: sorted(map(_height, columns), reverse=True))


def _height(column: Sequence[Card]) -> float:
    return sum(card.height + 12 for card in column)


def _arrows_to_panels(panels: Sequence[Panel]) -> list[Html]:
    """From each child to its namespace: straight down to the first, round the right side to others."""
    start, parts = _TOP + 114, []
    for number, panel in enumerate(panels, 1):
        at, side = _column(number) + COLUMN - 14, LEFT + INNER + GUTTER - 8 * (number - 1)
        if number == 1:
            parts.append(arrow((at, start), (at, panel.top - 1)))
        else:
            turn, entry = panels[0].top - 22, panel.top + 22
            parts.append(arrow((at, start), (at, turn), (side, turn), (side, entry), (LEFT + INNER + 1, entry)))
    return parts


def _crossings(tree: Tree, panels: Mapping[str, Panel]) -> list[Html]:
    """From the last namespace to each before it: connections that are let through, and Roles that are given."""
    *before, last = panels
    parts = []
    for name in before:
        words = [*_connections(tree, last, name), *_roles(tree, last, name)]
        if not words:
            continue
        at, start = panels[name].bottom, panels[last].top
        if start - at == GAP:
            x = LEFT + 28
            parts.append(arrow((x, start), (x, at + 1), kind="asks"))
        else:  # round what is between
            x, side, entry = LEFT, LEFT - GUTTER + 8, at - 22
            parts.append(arrow((LEFT, start + 22), (side, start + 22), (side, entry), (LEFT - 1, entry), kind="asks"))
        parts += [text(x + 14, at + 32 + LINE * line, each, "small") for line, each in enumerate(words)]
    return parts


def _connections(tree: Tree, source: str, target: str) -> list[str]:
    """By target and port: who of one namespace gets to another where not everybody does."""
    found = reach(tree)
    inside = {name: place.namespace for name, place in found.places.items()}
    who: dict[tuple[str, int], list[str]] = {}
    for (one, other), ports in found.ports.items():
        if (inside[one], inside[other]) == (source, target) and other in found.guarded:
            for port in ports:
                if not found.is_open(other, port):
                    who.setdefault((other, port[0]), []).append(one)
    return [f"{', '.join(sorted(names))} → {other}, port {port}" for (other, port), names in sorted(who.items())]


def _roles(tree: Tree, home: str, namespace: str) -> list[str]:
    who: dict[str, list[str]] = {}
    for one in grants(tree):
        if (one.home, one.namespace) == (home, namespace):
            who.setdefault(f"{one.role} (opt-in)" if one.opt_in else one.role, []).append(one.account)
    return [f"{', '.join(accounts)}: Role {role}" for role, accounts in sorted(who.items())]
