"""Why a run failed, as a page and as text."""

from kfp.dsl import HTML, Markdown, Output, PipelineTaskFinalStatus

from modelcar_components.step import component


@component()
def report_failure(page: Output[HTML], summary: Output[Markdown], status: PipelineTaskFinalStatus):
    """Report which step failed, why, and what to do. It runs at the end of every run, also of those that succeed.

    Args:
        status: How the run's steps ended.

    Returns:
        page: The report as one HTML page.
        summary: The report as Markdown.
    """
    from modelcar import steps

    steps.report_failure(
        state=status.state,
        job=status.pipeline_job_resource_name,
        page=page.path,
        summary=summary.path,
    )
