"""The chain from the source to the commit as a picture: four boxes, and what happened between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modelcar.page.blocks import link
from modelcar.page.links import commit_page, hub_page, image_page, without_login
from modelcar.page.markup import Html, element
from modelcar.page.report import ImageReport, PatchReport, Report, SourceReport, State, VersionReport
from modelcar.quantities import format_bytes

SHORT = 12
"""Hex digits of a hash that are enough for people."""

_KINDS = ("Source", "Image", "Model version", "Commit")
_MISSING: Mapping[State, str] = {
    "SUCCEEDED": "not part of this run",
    "FAILED": "not reached",
    "SKIPPED": "not needed",
    "RUNNING": "not yet",
    "PENDING": "not yet",
    "CANCELED": "not reached",
}


class Node(NamedTuple):
    """One box.

    Attributes:
        name: What it is called.
        details: Lines below it.
        page: Of it, or None.
        edge: What led to it; empty for the first.
        is_new: Whether this run made it.
    """

    name: str
    details: tuple[str, ...]
    page: str | None
    edge: str
    is_new: bool


def chain_nodes(report: Report) -> Sequence[Node | None]:
    """The four boxes; None for those that the run did not reach."""
    return (
        _source(report.source) if report.source is not None else None,
        _image(report.image) if report.image is not None else None,
        _version(report.version) if report.version is not None else None,
        _commit(report.patch) if report.patch is not None else None,
    )


def chain(report: Report) -> Html | None:
    """The picture; nothing when there is no box to draw."""
    nodes = chain_nodes(report)
    if not any(nodes):
        return None
    missing = _MISSING[report.state]
    items: list[Html] = []
    for kind, node in zip(_KINDS, nodes, strict=True):
        if items:
            items.append(_edge(node.edge if node is not None else ""))
        items.append(_box(kind, node, missing))
    return element("ol", *items, class_="chain")


def _box(kind: str, node: Node | None, missing: str) -> Html:
    caption = element("span", kind, class_="kind")
    if node is None:
        return element("li", caption, element("span", missing, class_="more"), class_="node none")
    return element(
        "li",
        caption,
        element("span", link(node.name, node.page), class_="name"),
        *(element("span", element("bdi", detail), class_="more") for detail in node.details),
        class_=f"node {'succeeded' if node.is_new else 'skipped'}",
    )


def _edge(words: str) -> Html:
    return element(
        "li",
        element(
            "svg",
            element("path", d="M0 5H61M55 1l6 4l-6 4", class_="arrow"),
            class_="across",
            viewBox="0 0 62 10",
            aria_hidden="true",
        ),
        element(
            "svg",
            element("path", d="M5 0V25M1 19l4 6l4-6", class_="arrow"),
            class_="down",
            viewBox="0 0 10 26",
            aria_hidden="true",
        ),
        element("span", words) if words else None,
        class_="edge",
    )


def _source(source: SourceReport) -> Node:
    name = source.uri.removeprefix("hf://").removeprefix("s3://").removeprefix("file://")
    commit = (f"at {source.commit_hash[:SHORT]}",) if source.commit_hash is not None else ()
    files = f"{source.files} file{'s' if source.files != 1 else ''}, {format_bytes(source.size_bytes)}"
    return Node(name, (*commit, files), hub_page(source), "", is_new=True)


def _image(image: ImageReport) -> Node:
    name, _, digest = image.reference.partition("@")
    moved = f"{format_bytes(image.bytes_read)} read" if image.bytes_read else "nothing read"
    sent = f"{format_bytes(image.bytes_uploaded)} sent" if image.bytes_uploaded else "nothing sent"
    details = (short_digest(digest), ", ".join(f":{tag}" for tag in image.tags if not _is_lasting(tag)))
    return Node(name, tuple(filter(None, details)), image_page(image), f"{moved}, {sent}", bool(image.bytes_uploaded))


def _version(version: VersionReport) -> Node:
    identifier = version.ids.get("model_version")
    details = (f"version id {identifier}",) if identifier else ()
    edge = "registered" if version.created else "was there"
    name = f"{version.registered_model} / {version.version}"
    return Node(name, details, None, edge, bool(version.created))


def _commit(patch: PatchReport) -> Node:
    name = patch.commit[:SHORT] if patch.commit is not None else "no commit of ours"
    where = f"{patch.path.rpartition('/')[2]} on {patch.branch}"
    repository = "/".join(without_login(patch.repository).removesuffix(".git").split("/")[-2:])
    edge = "committed" if patch.changed else "was there"
    return Node(name, (where, repository), commit_page(patch), edge, patch.changed)


def short_digest(digest: str) -> str:
    """`sha256:` and as many digits as people need."""
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}:{digits[:SHORT]}…" if colon and len(digits) > SHORT else digest


def _is_lasting(tag: str) -> bool:
    """Whether a tag only keeps the image from being cleaned up; it says the digest once more."""
    return tag.startswith("modelcar-") and len(tag) > 64
