"""Why a run had nothing to do, as a page and as text."""

from typing import NamedTuple

from kfp.dsl import HTML, Markdown, Output

from modelcar_components.step import component


@component()
def report_skipped(page: Output[HTML], summary: Output[Markdown], resolve_record: str) -> NamedTuple(
    "Outputs", [("skipped", str)]
):
    """Report that there was nothing to do now, and why.

    Args:
        resolve_record: What the first step told.

    Returns:
        page: The report as one HTML page.
        summary: The report as Markdown.
        skipped: Why there was nothing to do.
    """
    from modelcar import steps

    return steps.report_skipped(resolve_record, page=page.path, summary=summary.path)
