"""A ModelCar image as a version in the Kubeflow Model Registry."""

from typing import NamedTuple

from modelcar_components.step import component


@component()
def register_model(
    image: str,
    source: str,
    spec: str = "",
    revision: str = "",
    commit_hash: str = "",
    registered_model: str = "",
    version: str = "",
    recipe_key: str = "",
    retrain_record: str = "",
) -> NamedTuple(
    "Outputs",
    [
        ("registered_model", str),
        ("version", str),
        ("registered_model_id", str),
        ("model_version_id", str),
        ("record", str),
    ],
):
    """Register the image in the Kubeflow Model Registry, or find that it is registered.

    The image is read back from its registry by digest first.

    Args:
        image: The image as registry/repository@sha256:...
        source: Where the model comes from, without revision.
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        revision: The revision that was asked for.
        commit_hash: The commit that it resolved to.
        registered_model: Name of the registered model; it is made if it is not there, and can never be renamed.
        version: Name of the model version; without one, the first 12 hex digits of the image's digest.
        recipe_key: Which training the image came of; empty when it was not trained here.
        retrain_record: What the training told; what it measured stands at the version.

    Returns:
        registered_model: Name of the registered model.
        version: Name of the model version.
        registered_model_id: Its id in the Model Registry.
        model_version_id: Its id in the Model Registry.
        record: For the report.
    """
    from modelcar import steps

    fields = {"registered_model": registered_model, "version": version}
    return steps.register_model(
        spec,
        fields,
        image=image,
        source=source,
        revision=revision,
        commit_hash=commit_hash,
        recipe_key=recipe_key,
        retrain_record=retrain_record,
    )
