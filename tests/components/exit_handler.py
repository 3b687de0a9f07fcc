"""A pipeline that fails and says why, for the one component that only a pipeline can give its input."""

# mypy: disable-error-code="untyped-decorator"
from kfp import dsl

from modelcar_components.check_metrics import check_metrics
from modelcar_components.report_failure import report_failure


@dsl.pipeline(name="failing")
def failing() -> None:
    with dsl.ExitHandler(report_failure()):
        check_metrics(metrics="/nowhere")
