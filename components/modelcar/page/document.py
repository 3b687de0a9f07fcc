"""A report as one HTML page, or as what a notebook shows.

The page is complete in itself: no script, no image, font or style from elsewhere, nothing that a sandboxed frame, as
those of the dashboards, would not show.
"""

from __future__ import annotations

from modelcar.page import blocks
from modelcar.page.chain import chain
from modelcar.page.links import commit_page, hub_page, image_page, without_login
from modelcar.page.markup import Html, element, join
from modelcar.page.report import (
    FailureReport,
    ImageReport,
    MetricReport,
    PatchReport,
    Report,
    SourceReport,
    VersionReport,
)
from modelcar.page.style import STYLE
from modelcar.quantities import format_bytes, format_seconds

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_PARTS = {"registered_model": "registered model", "model_version": "model version", "model_artifact": "model artifact"}
BLAME = {1: "exit code 1", 2: "exit code 2: the input is at fault"}
"""What an exit code says."""


def render_html(report: Report) -> str:
    """The page, encoded as UTF-8 whenever it is written."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", report.title),
        element("style", Html(STYLE)),
    )
    body = element("body", element("main", _whole(report)), class_="modelcar")
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def render_notebook(report: Report) -> str:
    """The same without a page around it: what `_repr_html_` gives."""
    return blocks.frame(_whole(report))


def _whole(report: Report) -> Html:
    return join(
        blocks.headline(report.title, report.state, report.sentence if report.state != "SKIPPED" else ""),
        _notice(report),
        chain(report),
        blocks.section("Metrics", metrics_table(report)),
        blocks.section(_steps_title(report), blocks.steps(report.steps)),
        _pair(
            blocks.section("Source", _source(report.source) if report.source is not None else None),
            blocks.section("Model Registry", _version(report.version) if report.version is not None else None),
        ),
        blocks.section("Image", *_image(report.image)) if report.image is not None else None,
        blocks.section("Git", *_patch(report.patch)) if report.patch is not None else None,
        blocks.section("Links", _links(report)),
    )


def _pair(*sections: Html | None) -> Html | None:
    """Short sections beside each other where there is room."""
    return element("div", *sections, class_="pair") if any(sections) else None


def _notice(report: Report) -> Html | None:
    """Why it failed, or why it was skipped."""
    if report.failure is not None:
        return _failure(report.failure)
    if report.state == "SKIPPED":
        return element(
            "div",
            element("h2", "Nothing was done"),
            element("p", report.sentence, class_="what", dir="auto"),
            class_="notice skipped",
        )
    return None


def _failure(failure: FailureReport) -> Html:
    return element(
        "div",
        element("h2", element("bdi", failure.step), " failed"),
        element("p", failure.message, class_="what", dir="auto"),
        element("p", element("strong", "What to do: "), element("bdi", failure.hint), class_="do")
        if failure.hint
        else None,
        element("p", BLAME.get(failure.exit_code, f"exit code {failure.exit_code}"), class_="muted")
        if failure.exit_code is not None
        else None,
        class_="notice failed",
    )


def _steps_title(report: Report) -> str:
    seconds = sum(step.seconds or 0.0 for step in report.steps)
    return f"Steps: {format_seconds(seconds)} in all" if seconds else "Steps"


def _source(source: SourceReport) -> Html | None:
    commit = blocks.code(source.commit_hash, hub_page(source)) if source.commit_hash is not None else None
    return blocks.facts(
        {
            "Address": blocks.code(source.uri),
            "Commit": commit,
            "Files": f"{source.files}, {format_bytes(source.size_bytes)}",
        }
    )


def _image(image: ImageReport) -> tuple[Html | None, ...]:
    size_bytes = sum(layer.size_bytes for layer in image.layers)
    moved = (
        f"{format_bytes(image.bytes_read)} read, {format_bytes(image.bytes_uploaded)} sent, "
        f"{format_bytes(image.bytes_reused)} reused"
    )
    values = {
        "Reference": blocks.code(image.reference, image_page(image)),
        "Tags": blocks.code(", ".join(image.tags)) if image.tags else None,
        "Size": f"{format_bytes(size_bytes)} in {len(image.layers)} layers" if image.layers else None,
        "Moved": moved,
    }
    return blocks.facts(values), blocks.layers(image.layers)


def _version(version: VersionReport) -> Html | None:
    ids = ", ".join(f"{_PARTS.get(part, part)} {identifier}" for part, identifier in version.ids.items())
    made = ", ".join(_PARTS.get(part, part) for part in version.created)
    return blocks.facts(
        {
            "Registered model": element("bdi", version.registered_model),
            "Version": element("bdi", version.version),
            "Ids": ids,
            "Made now": made or "nothing, all of it was there",
        }
    )


def _patch(patch: PatchReport) -> tuple[Html | None, ...]:
    commit = blocks.code(patch.commit, commit_page(patch)) if patch.commit is not None else None
    values = {
        "Repository": blocks.code(without_login(patch.repository)),
        "Manifest": join(blocks.code(patch.path), " on ", blocks.code(patch.branch)),
        "Commit": join(commit, f" {said_of_commit(patch)}" if commit else said_of_commit(patch)),
    }
    return blocks.facts(values), blocks.diff(patch.diff)


def said_of_commit(patch: PatchReport) -> str:
    """What became of the manifest, in a few words after the commit."""
    if patch.changed:
        return "made by this run"
    return (
        "of an earlier run: nothing had to be changed" if patch.commit else "none: the manifest had the image already"
    )


def metrics_table(report: Report) -> Html | None:
    """What a training measured; nothing when there was none."""
    if not report.metrics:
        return None
    rows = [(element("bdi", name), *_metric(MetricReport(*metric))) for name, metric in report.metrics.items()]
    return blocks.table(("Metric", "Measured", "Floor", ""), rows, numbers=(1, 2))


def _metric(metric: MetricReport) -> tuple[str | None, ...]:
    mark = element("span", "✓" if metric.ok else "✕", class_=f"mark {'succeeded' if metric.ok else 'failed'}")
    verdict = None if metric.floor is None else join(mark, "reached" if metric.ok else "below the floor")
    return f"{metric.value:g}", None if metric.floor is None else f"{metric.floor:g}", verdict


def _links(report: Report) -> Html | None:
    named = list(report.links)
    if report.source is not None and (page := hub_page(report.source)):
        named.append(("The model on the Hub", page))
    if report.image is not None and (page := image_page(report.image)):
        named.append(("The image in its registry", page))
    if report.patch is not None and (page := commit_page(report.patch)):
        named.append(("The commit", page))
    if not named:
        return None
    # The address in words, too: a sandboxed frame may not open links, and then it can be copied.
    return blocks.table(("", ""), [(blocks.link(label, address), blocks.code(address)) for label, address in named])
