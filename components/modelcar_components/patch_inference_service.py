"""A ModelCar image in the manifest that Argo CD rolls out."""

from typing import NamedTuple

from modelcar_components.step import component


@component()
def patch_inference_service(
    image: str,
    source: str,
    serving: str,
    registered_model: str,
    version: str,
    registered_model_id: str,
    model_version_id: str,
    spec: str = "",
    commit_hash: str = "",
    git_repository: str = "",
    git_branch: str = "",
    manifest_path: str = "",
    inference_service: str = "",
    namespace: str = "",
) -> NamedTuple("Outputs", [("commit", str), ("record", str)]):
    """Write the image's digest into the InferenceService manifest in git, as one commit, once.

    Nothing else in the file changes. If somebody else changed the storageUri meanwhile, the step stops.

    Args:
        image: The image as registry/repository@sha256:...
        source: Where the model comes from, without revision.
        serving: The storageUri that the manifest had when the run began.
        registered_model: Name of the registered model.
        version: Name of the model version.
        registered_model_id: Its id, for the manifest's label.
        model_version_id: Its id, for the manifest's label.
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        commit_hash: The source's commit.
        git_repository: The git repository that Argo CD watches.
        git_branch: The branch that Argo CD watches.
        manifest_path: The manifest's file in that repository.
        inference_service: metadata.name of the InferenceService.
        namespace: metadata.namespace of the InferenceService, where one file holds several of one name.

    Returns:
        commit: The commit that carries the image; empty when the manifest had it without one of ours.
        record: For the report.
    """
    from modelcar import steps

    fields = {
        "git_repository": git_repository,
        "git_branch": git_branch,
        "manifest_path": manifest_path,
        "inference_service": inference_service,
        "namespace": namespace,
    }
    return steps.patch_inference_service(
        spec,
        fields,
        serving=serving,
        image=image,
        source=source,
        commit_hash=commit_hash,
        registered_model=registered_model,
        version=version,
        registered_model_id=registered_model_id,
        model_version_id=model_version_id,
    )
