"""What a promotion did, as a page and as text."""

from kfp.dsl import HTML, Markdown, Output

from modelcar_components.step import component


@component()
def report_promotion(
    page: Output[HTML],
    summary: Output[Markdown],
    image: str,
    source: str,
    registered_model: str,
    version: str,
    model_version_id: str,
    spec: str = "",
    commit_hash: str = "",
    commit: str = "",
    git_repository: str = "",
    git_branch: str = "",
    manifest_path: str = "",
    inference_service: str = "",
    namespace: str = "",
    resolve_record: str = "",
    download_record: str = "",
    retrain_record: str = "",
    push_record: str = "",
    register_record: str = "",
    patch_record: str = "",
):
    """Report the promotion: the chain from source to commit, layers moved and reused, the diff, timings and links.

    Args:
        image: The image as registry/repository@sha256:...
        source: Where the model comes from, without revision.
        registered_model: Name of the registered model.
        version: Name of the model version.
        model_version_id: Its id in the Model Registry.
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        commit_hash: The source's commit.
        commit: The commit in git that carries the image.
        git_repository: The git repository that Argo CD watches.
        git_branch: The branch that Argo CD watches.
        manifest_path: The manifest's file in that repository.
        inference_service: metadata.name of the InferenceService.
        namespace: metadata.namespace of the InferenceService.
        resolve_record: What the step told.
        download_record: What the step told, if there was one.
        retrain_record: What the step told, if there was one.
        push_record: What the step told, if there was one.
        register_record: What the step told.
        patch_record: What the step told.

    Returns:
        page: The report as one HTML page.
        summary: The report as Markdown.
    """
    from modelcar import steps

    fields = {
        "git_repository": git_repository,
        "git_branch": git_branch,
        "manifest_path": manifest_path,
        "inference_service": inference_service,
        "namespace": namespace,
    }
    records = {
        "resolve": resolve_record,
        "download": download_record,
        "retrain": retrain_record,
        "push": push_record,
        "register": register_record,
        "patch": patch_record,
    }
    steps.report_promotion(
        spec,
        fields,
        image=image,
        source=source,
        commit_hash=commit_hash,
        registered_model=registered_model,
        version=version,
        model_version_id=model_version_id,
        commit=commit,
        records=records,
        page=page.path,
        summary=summary.path,
    )
