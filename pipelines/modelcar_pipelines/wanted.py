"""What a promotion is asked for, as pipelines take it: a whole spec, or its fields, each a parameter of its own."""

# No `from __future__ import annotations`: kfp reads the annotations of a pipeline as types.
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wanted:
    """What a promotion was asked for, while a pipeline is defined.

    Attributes:
        spec: The pipeline's parameter, or the item of a loop.
        fields: More parameters, by the names in `modelcar.steps.fields.KEYS`; those that are missing are not set.
    """

    spec: Any
    fields: Mapping[str, Any]

    def take(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Some of the fields, as arguments of a component that takes the spec, too."""
        return {"spec": self.spec, **{name: self.fields[name] for name in names if name in self.fields}}


def takes_promotion(define: Callable[[Wanted, Any], None]) -> Callable[..., None]:
    """Make a function that defines a pipeline one that has a promotion's parameters.

    Args:
        define: Given what is wanted, and the parameter `scheduled`.

    Returns:
        What `kfp.dsl.pipeline` takes.
    """

    def pipeline(
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
    ) -> None:
        """Placeholder for the summary.

        Args:
            spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says.
            source: Where the model comes from: hf://org/name or s3://bucket/prefix. Empty means what the spec says.
            revision: Branch, tag or commit on the Hub. Empty means what the spec says, else the default branch.
            image_repository: Where the image goes, registry/repository without a tag. Empty means what the spec says.
            image_tag: The friendly tag, which moves with every promotion. Empty means what the spec says, else latest.
            registered_model: Name of the registered model in the Model Registry. Empty means what the spec says.
            version: Name of the model version. Empty means what the spec says, else the start of the image's digest.
            git_repository: The git repository that Argo CD watches. Empty means what the spec or MODELCAR_GIT_URL says.
            git_branch: The branch that Argo CD watches. Empty means what the spec says, else main.
            manifest_path: The InferenceService manifest's file in that repository. Empty means what the spec says.
            inference_service: metadata.name of the InferenceService. Empty means what the spec says.
            namespace: Its metadata.namespace, where one file holds several of one name. Empty means what the spec says.
            scheduled: Set by schedules, with the time and zone of their fires. Leave it empty.
        """
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
        define(Wanted(spec, fields), scheduled)

    summary = (define.__doc__ or "").strip()
    pipeline.__doc__ = (pipeline.__doc__ or "").replace("Placeholder for the summary.", summary)
    pipeline.__name__ = pipeline.__qualname__ = define.__name__
    return pipeline
