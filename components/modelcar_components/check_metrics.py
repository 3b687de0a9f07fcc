"""Whether a trained model is good enough."""

from modelcar_components.step import component


@component()
def check_metrics(metrics: str, spec: str = ""):
    """Stop the promotion when the training's metrics do not hold the floors of the spec; a missing metric fails.

    Args:
        metrics: Path of the file that the training wrote.
        spec: A whole PromotionSpec with training, YAML or JSON.
    """
    from modelcar import steps

    steps.check_metrics(spec, metrics=metrics)
