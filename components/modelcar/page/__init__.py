"""Reports for people: as a page (HTML), as text (Markdown), and as what notebooks draw.

`modelcar.page.report` says what a report holds; `modelcar.page.blocks` has the pieces for other objects' pictures.
"""

from modelcar.page.document import render_html, render_notebook
from modelcar.page.markdown import render_markdown
from modelcar.page.notebook import render_plan
from modelcar.page.report import (
    FailureReport,
    ImageReport,
    LayerReport,
    MetricReport,
    PatchReport,
    Report,
    SourceReport,
    State,
    StepReport,
    VersionReport,
)

__all__ = [
    "FailureReport",
    "ImageReport",
    "LayerReport",
    "MetricReport",
    "PatchReport",
    "Report",
    "SourceReport",
    "State",
    "StepReport",
    "VersionReport",
    "render_html",
    "render_markdown",
    "render_notebook",
    "render_plan",
]
