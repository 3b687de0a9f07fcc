"""What notebooks draw of objects that are no reports; made of the objects that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcar.page import blocks
from modelcar.page.chain import SHORT
from modelcar.page.markup import Html, element
from modelcar.page.report import LayerReport
from modelcar.quantities import format_bytes


def render_plan(plan: Mapping[str, Any], more: Mapping[str, str | None] | None = None, title: str = "Plan") -> str:
    """What a push would move.

    Args:
        plan: As `modelcar.report.describe_plan` gives it.
        more: Names and values that go with it, texts or markup; those without a value are left out.
        title: Above it.
    """
    source, size_bytes, reused_bytes = plan["source"], plan["size_bytes"], plan["reused_bytes"]
    commit = f" at {source['commit_hash'][:SHORT]}" if source["commit_hash"] else ""
    layers = [LayerReport(layer["title"], layer["size_bytes"], layer["reusable"]) for layer in plan["layers"]]
    values = {
        "Source": blocks.code(f"{source['uri']}{commit}"),
        "Goes to": blocks.code(plan["destination"]),
        "Base image": blocks.code(plan["base_image"] or "scratch"),
        "Platform": ", ".join(plan["platforms"]),
        **(more or {}),
    }
    sentence = (
        f"At most {format_bytes(size_bytes - reused_bytes)} would move, {format_bytes(reused_bytes)} would be reused."
    )
    return blocks.frame(
        blocks.headline(title, sentence=sentence),
        blocks.section("Image", blocks.facts(values), blocks.layers(layers, sent="to send", kept="reused")),
        _left_out(plan["left_out"]),
    )


def _left_out(files: list[Mapping[str, Any]]) -> Html | None:
    if not files:
        return None
    rows = [(element("bdi", f["path"]), format_bytes(f["size_bytes"]), element("bdi", f["reason"])) for f in files]
    count = f"{len(files)} file{'s' if len(files) > 1 else ''} left out"
    return element("details", element("summary", count), blocks.table(("File", "Size", "Why"), rows, numbers=(1,)))
