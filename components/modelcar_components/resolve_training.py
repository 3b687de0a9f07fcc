"""The first step of a retraining."""

from typing import NamedTuple

from modelcar_components.step import component


@component()
def resolve_training(
    step_image: str,
    spec: str = "",
    source: str = "",
    revision: str = "",
    image_repository: str = "",
    image_tag: str = "",
    registered_model: str = "",
    version: str = "",
    git_repository: str = "",
    git_branch: str = "",
    manifest_path: str = "",
    inference_service: str = "",
    namespace: str = "",
    scheduled: str = "",
    created_at: str = "",
) -> NamedTuple(
    "Outputs",
    [
        ("action", str),
        ("source", str),
        ("revision", str),
        ("commit_hash", str),
        ("data_commit", str),
        ("recipe_key", str),
        ("trainer_image", str),
        ("image", str),
        ("serving", str),
        ("record", str),
    ],
):
    """Find out whether base model, data or recipe are new since the last training; nothing new ends the run.

    Args:
        step_image: What trains in when the spec names no image.
        spec: A whole PromotionSpec with training, YAML or JSON. The other parameters go before what it says.
        source: The base model, hf://org/name for a Hub.
        revision: Branch, tag or commit on the Hub.
        image_repository: Where the image goes, registry/repository without a tag.
        image_tag: The friendly tag, which moves with every promotion.
        registered_model: Name of the registered model in the Model Registry.
        version: Name of the model version.
        git_repository: The git repository that Argo CD watches.
        git_branch: The branch that Argo CD watches.
        manifest_path: The InferenceService manifest's file in that repository.
        inference_service: metadata.name of the InferenceService.
        namespace: metadata.namespace of the InferenceService, where one file holds several of one name.
        scheduled: The schedule that started the run, with its time zone; empty when a person did.
        created_at: When the run was made; of use with scheduled only.

    Returns:
        action: train, deliver (it was trained and registered, but is not in git yet) or skip.
        source: The base model without revision.
        revision: The revision that was asked for.
        commit_hash: The commit that it resolved to; empty where the source has none.
        data_commit: The commit of the data; empty where it has none.
        recipe_key: Which training this is.
        trainer_image: What trains in.
        image: What an earlier training became, as registry/repository@sha256:...; empty without one.
        serving: The storageUri in the manifest now.
        record: For the report.
    """
    from modelcar import steps

    fields = {
        "source": source,
        "revision": revision,
        "image_repository": image_repository,
        "image_tag": image_tag,
        "registered_model": registered_model,
        "version": version,
        "git_repository": git_repository,
        "git_branch": git_branch,
        "manifest_path": manifest_path,
        "inference_service": inference_service,
        "namespace": namespace,
    }
    return steps.resolve_training(spec, fields, step_image=step_image, scheduled=scheduled, created_at=created_at)
