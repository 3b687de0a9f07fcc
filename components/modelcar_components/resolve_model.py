"""The first step of every promotion."""

from typing import NamedTuple

from modelcar_components.step import component


@component()
def resolve_model(
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
        ("proceed", bool),
        ("source", str),
        ("revision", str),
        ("commit_hash", str),
        ("serving", str),
        ("record", str),
    ],
):
    """Resolve the model to a commit, and check everything that can be checked before bytes move.

    Checked are the spec, access to git and to the Model Registry, the image repository, and conflicts of names.

    Args:
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        source: Where the model comes from: hf://org/name or s3://bucket/prefix.
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
        proceed: Whether there is anything to do now.
        source: The source without revision.
        revision: The revision that was asked for.
        commit_hash: The commit that it resolved to; empty where the source has none.
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
    return steps.resolve_model(spec, fields, scheduled=scheduled, created_at=created_at)
