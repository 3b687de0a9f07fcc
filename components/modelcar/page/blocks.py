"""Pieces of a page: what a report is put together from, and what notebooks draw their objects with.

Each takes plain values and gives markup; put together, they go into `frame`, which adds the style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from modelcar.page.links import open_address
from modelcar.page.markup import Html, element, join
from modelcar.page.report import LayerReport, State, StepReport
from modelcar.page.style import STYLE
from modelcar.quantities import format_bytes, format_seconds

MOST_ROWS: Final = 12
"""Layers that are shown at once; the others can be unfolded."""

_MARKS: Final[Mapping[State, str]] = {
    "SUCCEEDED": "✓",
    "FAILED": "✕",
    "SKIPPED": "○",
    "RUNNING": "…",
    "PENDING": "·",
    "CANCELED": "■",
}
_DIFF_CLASSES: Final = (
    ("+++", "file"),
    ("---", "file"),
    ("diff ", "file"),
    ("index ", "file"),
    ("@@", "place"),
    ("+", "added"),
    ("-", "removed"),
)
_PICTURE_WIDTH: Final = 1000.0
_GAP: Final = 1.5


def frame(*blocks: Html | None) -> Html:
    """What a notebook shows: the blocks and their style, and nothing that reaches beyond them."""
    return element("div", element("style", Html(STYLE)), *blocks, class_="modelcar")


def headline(title: str, state: State | None = None, sentence: str = "") -> Html:
    """A title, how it ended, and what happened in one line."""
    return element(
        "header",
        element("h1", title, dir="auto"),
        element("span", state, class_=f"pill {state.lower()}") if state is not None else None,
        element("p", sentence, class_="lead", dir="auto") if sentence else None,
    )


def ended(name: str, state: State, steps_seen: int, seconds: float) -> Html:
    """One line for a run that has ended, drawn in full elsewhere."""
    count = f"{steps_seen} step{'s' if steps_seen != 1 else ''}, {format_seconds(seconds)}"
    return element(
        "p",
        element("span", _MARKS[state], class_=f"mark {state.lower()}", aria_hidden="true"),
        name,
        element("span", f": {state.lower()}, {count}", class_="muted"),
    )


def section(title: str, *blocks: Html | None) -> Html | None:
    """Blocks under a heading; nothing when there are none."""
    there = [block for block in blocks if block]
    return element("section", element("h2", title), *there) if there else None


def facts(values: Mapping[str, str | None]) -> Html | None:
    """Names and values; those without a value are left out, and without any there is nothing."""
    pairs = [join(element("dt", name), element("dd", value)) for name, value in values.items() if value]
    return element("dl", *pairs) if pairs else None


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | None]],
    *,
    numbers: Sequence[int] = (),
    drawn: Sequence[int] = (),
) -> Html:
    """A table of texts or markup.

    Args:
        columns: Headings.
        rows: A cell for each column.
        numbers: Columns to set flush right, counted from 0.
        drawn: Columns of bars.
    """
    kinds = ["number" if at in numbers else "drawn" if at in drawn else None for at in range(len(columns))]
    head = (element("th", name, class_=kind, scope="col") for name, kind in zip(columns, kinds, strict=True))
    body = (
        element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    )
    wide = "wide" if len(columns) > 4 else None
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *body), class_=wide)
    return element("div", whole, class_="scroll")


def link(label: str, address: str | None) -> Html:
    """A link that opens beside the page; the label alone where the address is no page."""
    target = open_address(address) if address is not None else None
    if target is None:
        return element("bdi", label)
    return element("a", element("bdi", label), href=target, target="_blank", rel="noopener noreferrer")


def code(text: str, address: str | None = None) -> Html:
    """A name that machines read, such as a digest; a link where there is a page of it."""
    named = element("code", text)
    if address is None:
        return named
    return element("a", named, href=address, target="_blank", rel="noopener noreferrer")


def steps(all_steps: Sequence[StepReport]) -> Html | None:
    """The steps of a run, with a bar for the time that each took; nothing when there are none."""
    if not all_steps:
        return None
    longest = max((step.seconds or 0.0 for step in all_steps), default=0.0)
    rows = []
    for step in all_steps:
        mark = element("span", _MARKS[step.state], class_=f"mark {step.state.lower()}", aria_hidden="true")
        state = element("span", f" {step.state.lower()}", class_="unseen" if step.state == "SUCCEEDED" else "muted")
        time = format_seconds(step.seconds) if step.seconds is not None else ""
        bar = _bar(step.seconds, longest, "time") if step.seconds is not None else None
        note = element("bdi", step.note) if step.note else None
        named = element("div", mark, element("span", element("bdi", step.name), state), class_="marked")
        rows.append((named, bar, time, note))
    return table(("Step", "", "Time", ""), rows, numbers=(2,), drawn=(1,))


def layers(all_layers: Sequence[LayerReport], *, sent: str = "sent", kept: str = "reused") -> Html | None:
    """The layers of an image as one picture and as a list; nothing when there are none.

    Of many layers, those that moved are listed, then the largest, and the rest can be unfolded.

    Args:
        all_layers: Bottom first.
        sent: What is said of those that moved, or will.
        kept: What is said of the others.
    """
    if not all_layers:
        return None
    shown = most_telling(all_layers)
    folded = [layer for number, layer in enumerate(all_layers) if number not in shown]
    biggest_bytes = max(layer.size_bytes for layer in all_layers)

    def listed(some: Sequence[LayerReport]) -> Html:
        rows = [_layer_row(layer, biggest_bytes, sent, kept) for layer in some]
        return table(("Layer", "Size", "", ""), rows, numbers=(1,), drawn=(2,))

    rest = None
    if folded:
        size = format_bytes(sum(layer.size_bytes for layer in folded))
        count = f"{len(folded)} more layer{'s' if len(folded) > 1 else ''}, {size} in all"
        rest = element("details", element("summary", count), listed(folded))
    return join(
        _stack(all_layers, sent, kept),
        _legend(all_layers, sent, kept),
        listed([all_layers[number] for number in shown]),
        rest,
    )


def most_telling(all_layers: Sequence[LayerReport]) -> Sequence[int]:
    """The numbers of the layers to list first, in their order: those that moved, then the largest."""
    telling = sorted(range(len(all_layers)), key=lambda at: (all_layers[at].reused, -all_layers[at].size_bytes))
    return sorted(telling[:MOST_ROWS])


def diff(text: str) -> Html | None:
    """A unified diff, its lines coloured; nothing of an empty one."""
    if not text.strip():
        return None
    lines = (element("span", f"{line}\n", class_=_line_class(line)) for line in text.splitlines())
    return element("pre", element("code", *lines))


def _line_class(line: str) -> str | None:
    return next((kind for start, kind in _DIFF_CLASSES if line.startswith(start)), None)


def _layer_row(layer: LayerReport, biggest_bytes: int, sent: str, kept: str) -> Sequence[str | None]:
    bar = _bar(layer.size_bytes, biggest_bytes, "kept" if layer.reused else "sent")
    return element("bdi", layer.title), format_bytes(layer.size_bytes), bar, kept if layer.reused else sent


def _bar(part: float, whole: float, kind: str) -> Html:
    """A bar in a row; what is not nothing can be seen."""
    width = max(1.0, 100 * part / whole) if part and whole else 0.0
    rect = element("rect", width=f"{width:.2f}", height=8, class_=kind)
    return element("svg", rect, class_="bar", viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def _stack(all_layers: Sequence[LayerReport], sent: str, kept: str) -> Html:
    """All layers side by side, as wide as they are large."""
    whole = max(1, sum(layer.size_bytes for layer in all_layers))
    rects, at = [], 0.0
    for layer in all_layers:
        width = _PICTURE_WIDTH * layer.size_bytes / whole
        title = element("title", f"{layer.title}: {format_bytes(layer.size_bytes)}, {kept if layer.reused else sent}")
        shown = max(0.4, width - _GAP)  # a file of a few bytes is a thin line
        kind = "kept" if layer.reused else "sent"
        rects.append(element("g", title, element("rect", x=f"{at:.2f}", width=f"{shown:.2f}", height=26, class_=kind)))
        at += width
    return element(
        "svg",
        *rects,
        class_="stack",
        viewBox=f"0 0 {_PICTURE_WIDTH:.0f} 26",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{len(all_layers)} layers side by side, as wide as they are large",
    )


def _legend(all_layers: Sequence[LayerReport], sent: str, kept: str) -> Html:
    entries = []
    for kind, word, reused in (("sent", sent, False), ("kept", kept, True)):
        some = [layer for layer in all_layers if layer.reused is reused]
        if some:
            square = element("svg", element("rect", width=10, height=10, rx=2, class_=kind), viewBox="0 0 10 10")
            count = f"{len(some)} layer{'s' if len(some) > 1 else ''}"
            size = format_bytes(sum(layer.size_bytes for layer in some))
            entries.append(element("span", square, f"{count} {word}, {size}"))
    return element("div", *entries, class_="legend")
