"""A training, by a function or program of the user's own."""

from typing import NamedTuple

from kfp.dsl import Metrics, Output

from modelcar_components.step import component


@component()
def retrain_model(
    source: str,
    recipe_key: str,
    directory: str,
    measured: Output[Metrics],
    spec: str = "",
    commit_hash: str = "",
    data_commit: str = "",
) -> NamedTuple("Outputs", [("directory", str), ("metrics", str), ("record", str)]):
    """Train the model in a volume: the spec's entry point or command, told by its environment where things are.

    Set its image with set_container_image; it must hold Python and this package beside the trainer.

    Args:
        source: The base model, without revision.
        recipe_key: Which training this is; a finished one is not done again.
        directory: Absolute path in a volume, for the base model, the data and the trained model.
        spec: A whole PromotionSpec with training, YAML or JSON.
        commit_hash: Commit of the base model.
        data_commit: Commit of the data.

    Returns:
        measured: What the training measured.
        directory: The trained model as file:///..., a source for build_and_push_modelcar.
        metrics: Path of the file with the metrics.
        record: For the report.
    """
    from modelcar import steps

    outputs, metrics = steps.retrain_model(
        spec,
        {"source": source, "revision": commit_hash},
        data_commit=data_commit,
        recipe_key=recipe_key,
        directory=directory,
    )
    for name, value in metrics.items():
        measured.log_metric(name, value)
    return outputs
