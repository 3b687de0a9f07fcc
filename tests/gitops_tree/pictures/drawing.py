"""What the pictures are drawn with: boxes, texts and arrows in SVG, the same ones on a light page and on a dark one.

A picture has a background of its own and takes its colours from the reader's system, so that it can be read wherever it
stands. No font is embedded: texts leave room for one that is a little wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from modelcar.page.markup import Html, element

KINDS: Final = ("brings", "asks")
"""Of arrows: what Argo CD brings, and who turns to whom."""
_LIGHT: Final = {
    "page": "#ffffff",
    "panel": "#f5f7fa",
    "card": "#ffffff",
    "line": "#c9d1db",
    "text": "#1b2027",
    "muted": "#5b6675",
    "blue": "#1f66c1",
    "green": "#1b7f5c",
    "tint": "#e3eefb",
    "mint": "#dcf3ea",
}
_DARK: Final = {
    "page": "#14171c",
    "panel": "#1b2027",
    "card": "#232a33",
    "line": "#414b58",
    "text": "#e6e9ed",
    "muted": "#a3aebb",
    "blue": "#7fb4f5",
    "green": "#6fd0ab",
    "tint": "#1d3a5c",
    "mint": "#174536",
}
_FILLS: Final = ("page", "panel", "card", "tint", "mint")
_FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif'


def document(width: float, height: float, title: str, parts: Sequence[Html]) -> str:
    """A whole picture as a file.

    Args:
        width: In pixels at its natural size.
        height: The same.
        title: For those who cannot see it.
        parts: What is in it, from back to front.
    """
    style = f"{_FIXED}{_colours(_LIGHT)}@media (prefers-color-scheme: dark) {{\n{_colours(_DARK)}}}\n"
    inner = (
        element("title", title),
        Html(f"<style>\n{style}</style>"),
        element("defs", *(_head(kind) for kind in KINDS)),
        element("rect", width=width, height=height, rx=10, class_="page"),
        *parts,
    )
    lines = Html("\n" + "\n".join(inner) + "\n")
    size: dict[str, Any] = {"width": width, "height": height, "viewBox": f"0 0 {width:g} {height:g}"}
    return element("svg", lines, xmlns="http://www.w3.org/2000/svg", role="img", **size) + "\n"


def box(x: float, y: float, width: float, height: float, kind: str = "card") -> Html:
    """A rectangle; `kind` is `panel`, `card`, `tint` or `mint`."""
    return element("rect", x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", rx=6, class_=kind)


def text(x: float, y: float, words: str, *kinds: str, anchor: str | None = None, turn: int = 0) -> Html:
    """A line of text; `y` is where it stands, `kinds` are of the style sheet: `big`, `bold`, `muted`, `small`."""
    turned = f"rotate({turn} {x:g} {y:g})" if turn else None
    return element(
        "text",
        words,
        x=f"{x:g}",
        y=f"{y:g}",
        class_=" ".join(kinds) or None,
        text_anchor=anchor,
        transform=turned,
    )


def arrow(*points: tuple[float, float], kind: str = "brings") -> Html:
    """A line through points, with a head at the last; `kind` is one of `KINDS`."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    return element("path", d=path, class_=f"line {kind}", marker_end=f"url(#{kind})")


def rule(x: float, y: float, end: float) -> Html:
    """A thin line across."""
    return element("path", d=f"M{x:g} {y:g}H{end:g}", class_="rule")


def badge(x: float, y: float, words: str, width: float) -> Html:
    """A word on a ground of its own, `y` at its middle."""
    return Html(
        box(x, y - 10, width, 20, "tint") + text(x + width / 2, y + 4.5, words, "small", "bold", anchor="middle")
    )


def _head(kind: str) -> Html:
    size: dict[str, Any] = {"viewBox": "0 0 8 8", "refX": 7, "refY": 4, "markerWidth": 8, "markerHeight": 8}
    tip = element("path", d="M0 0L8 4L0 8Z", class_=f"{kind}-head")
    return element("marker", tip, id=kind, orient="auto", markerUnits="userSpaceOnUse", **size)


def _colours(colours: dict[str, str]) -> str:
    fills = "".join(f".{name} {{ fill: {colours[name]}; }}\n" for name in _FILLS)
    return (
        f"{fills}.panel, .card, .tint, .mint {{ stroke: {colours['line']}; }}\n"
        f"text {{ fill: {colours['text']}; }}\n"
        f".muted {{ fill: {colours['muted']}; }}\n"
        f".brings {{ stroke: {colours['blue']}; }}\n.brings-head {{ fill: {colours['blue']}; }}\n"
        f".asks {{ stroke: {colours['green']}; }}\n.asks-head {{ fill: {colours['green']}; }}\n"
        f".rule {{ stroke: {colours['line']}; }}\n"
    )


_FIXED: Final = (
    f"text {{ font: 13px {_FONT}; }}\n"
    ".big { font-size: 15px; font-weight: 600; }\n"
    ".bold { font-weight: 600; }\n"
    ".small { font-size: 12px; }\n"
    ".line { fill: none; stroke-width: 1.6; }\n"
)
