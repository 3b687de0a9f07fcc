"""A report as Markdown, for where a page cannot be shown: chats, commits, terminals, the KFP dashboard's Markdown view.

Source: https://github.github.com/gfm/ (tables, code spans, what a backslash escapes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from modelcar.page.blocks import most_telling
from modelcar.page.chain import SHORT
from modelcar.page.document import BLAME, said_of_commit
from modelcar.page.links import commit_page, hub_page, image_page, open_address, without_login
from modelcar.page.markup import show
from modelcar.page.report import (
    FailureReport,
    ImageReport,
    MetricReport,
    PatchReport,
    Report,
    SourceReport,
    VersionReport,
)
from modelcar.quantities import format_bytes, format_seconds

BAR_CELLS: Final = 20
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")
_BEGINNING = re.compile(r"^(\d*)([#+=>.)-])")
"""What makes a heading, a list or a quotation of a line that begins so."""
_ADDRESS = re.compile(r"[^\w.~:/?#@!$&'*+,;=%-]", re.ASCII)


def render_markdown(report: Report) -> str:
    """The report, ending in a line end."""
    parts = (
        f"# {_text(report.title)}",
        f"**{report.state}**: {_text(report.sentence)}" if report.sentence else f"**{report.state}**",
        _failure(report.failure) if report.failure is not None else None,
        _chain(report),
        _section("Metrics", _metrics(report)),
        _section("Steps", _steps(report)),
        _section("Layers", _layers(report.image)) if report.image is not None else None,
        _section("Diff", _diff(report.patch.diff)) if report.patch is not None else None,
        _section("Links", _links(report)),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, content: str | None) -> str | None:
    return f"## {title}\n\n{content}" if content else None


def _failure(failure: FailureReport) -> str:
    lines = [f"**{_text(failure.step)} failed**: {_text(failure.message)}"]
    if failure.hint:
        lines.append(f"**What to do**: {_text(failure.hint)}")
    if failure.exit_code is not None:
        lines.append(BLAME.get(failure.exit_code, f"exit code {failure.exit_code}"))
    return "\n>\n".join(f"> {line}" for line in lines)


def _chain(report: Report) -> str | None:
    rows = []
    if report.source is not None:
        rows.append(("Source", _source(report.source)))
    if report.image is not None:
        rows.append(("Image", _image(report.image)))
    if report.version is not None:
        rows.append(("Model version", _version(report.version)))
    if report.patch is not None:
        rows.append(("Commit", _patch(report.patch)))
    return _table(("", ""), rows) if rows else None


def _source(source: SourceReport) -> str:
    commit = f" at {_link(_code(source.commit_hash[:SHORT]), hub_page(source))}" if source.commit_hash else ""
    files = f"{source.files} file{'s' if source.files != 1 else ''}, {format_bytes(source.size_bytes)}"
    return f"{_code(source.uri)}{commit}: {files}"


def _image(image: ImageReport) -> str:
    moved = (
        f"{format_bytes(image.bytes_read)} read, {format_bytes(image.bytes_uploaded)} sent, "
        f"{format_bytes(image.bytes_reused)} reused"
    )
    return f"{_link(_code(image.reference), image_page(image))}: {moved}"


def _version(version: VersionReport) -> str:
    identifier = version.ids.get("model_version")
    known = f" (version id {_text(identifier)})" if identifier else ""
    made = "made by this run" if version.created else "was there"
    return f"{_text(version.registered_model)} / {_text(version.version)}{known}, {made}"


def _patch(patch: PatchReport) -> str:
    commit = f"{_link(_code(patch.commit[:SHORT]), commit_page(patch))} " if patch.commit is not None else ""
    where = f"{_code(patch.path)} on {_code(patch.branch)} of {_code(without_login(patch.repository))}"
    return f"{commit}{said_of_commit(patch)}; {where}"


def _steps(report: Report) -> str | None:
    rows = [
        (
            _text(step.name),
            step.state,
            format_seconds(step.seconds) if step.seconds is not None else "",
            _text(step.note),
        )
        for step in report.steps
    ]
    return _table(("Step", "", "Time", ""), rows, numbers=(2,)) if rows else None


def _layers(image: ImageReport) -> str | None:
    if not image.layers:
        return None
    biggest_bytes = max(1, *(layer.size_bytes for layer in image.layers))
    rows = []
    for number in most_telling(image.layers):
        layer = image.layers[number]
        cells = max(1, round(BAR_CELLS * layer.size_bytes / biggest_bytes))
        drawn = ("▒" if layer.reused else "█") * cells
        rows.append((_text(layer.title), format_bytes(layer.size_bytes), drawn, "reused" if layer.reused else "sent"))
    more = len(image.layers) - len(rows)
    rest = f"\n\n… and {more} more." if more else ""
    return _table(("Layer", "Size", "", ""), rows, numbers=(1,)) + rest


def _metrics(report: Report) -> str | None:
    rows = []
    for name, (value, floor, ok) in ((name, MetricReport(*metric)) for name, metric in report.metrics.items()):
        verdict = "" if floor is None else "reached" if ok else "**below the floor**"
        rows.append((_text(name), f"{value:g}", "" if floor is None else f"{floor:g}", verdict))
    return _table(("Metric", "Measured", "Floor", ""), rows, numbers=(1, 2)) if rows else None


def _diff(text: str) -> str | None:
    if not text.strip():
        return None
    fence = _fence(text, 3)
    lines = "\n".join(map(show, text.splitlines()))
    return f"{fence}diff\n{lines}\n{fence}"


def _links(report: Report) -> str | None:
    lines = (f"- {_link(_text(label), open_address(address), address)}" for label, address in report.links)
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    rules = ["---:" if number in numbers else "---" for number in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in _all(columns, rules, rows))


def _all(columns: Sequence[str], rules: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield columns
    yield rules
    yield from rows


def _text(text: str) -> str:
    """A value in a line of text or in a table: nothing in it is markup."""
    plain = " ".join(show(text).split())
    marked = _SPECIAL.sub(r"\\\1", plain.replace("&", "&amp;").replace("<", "&lt;"))
    return _BEGINNING.sub(r"\1\\\2", marked)


def _code(text: str) -> str:
    """A value as a code span, which takes no escapes but that of `|`."""
    plain = " ".join(show(text).split()).replace("|", "\\|")
    if not plain:
        return ""
    fence = _fence(plain, 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than there are in a row anywhere in the text."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall("`+", text)), default=0))


def _link(label: str, address: str | None, shown: str = "") -> str:
    """A link; without an address that a browser opens, the label, and what there is in its place."""
    if address is None:
        return f"{label}: {_code(shown)}" if shown else label
    return f"[{label}]({_ADDRESS.sub(lambda found: _percent(found[0]), address)})"


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
