"""From a source to a ModelCar image in a registry, by digest."""

from typing import NamedTuple

from kfp.dsl import Metrics, Model, Output

from modelcar_components.step import component


@component()
def build_and_push_modelcar(
    source: str,
    modelcar: Output[Model],
    transfer: Output[Metrics],
    spec: str = "",
    commit_hash: str = "",
    image_repository: str = "",
    image_tag: str = "",
    serving: str = "",
) -> NamedTuple("Outputs", [("image", str), ("record", str)]):
    """Build the ModelCar image and push it, in one pass: no builder, no second copy on disk.

    Weights stream from the source into the registry. Layers that the registry has are not sent.

    Args:
        source: Where the model comes from: hf://org/name, s3://bucket/prefix, or file:///dir for a mounted volume.
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        commit_hash: Branch, tag or commit on the Hub.
        image_repository: Where the image goes, registry/repository without a tag.
        image_tag: The friendly tag, which moves with every promotion.
        serving: The storageUri that serves now; layers of that image are taken over.

    Returns:
        modelcar: The image as oci://registry/repository@sha256:... A step that takes it as input pulls all of it.
        transfer: Bytes read, sent and reused, and seconds.
        image: The image as registry/repository@sha256:...
        record: For the report.
    """
    from modelcar import steps

    fields = {
        "source": source,
        "revision": commit_hash,
        "image_repository": image_repository,
        "image_tag": image_tag,
    }
    outputs, artifact, metrics = steps.build_and_push(spec, fields, serving=serving)
    modelcar.uri = artifact.uri
    modelcar.metadata.update(artifact.metadata)
    for name, value in metrics.items():
        transfer.log_metric(name, value)
    return outputs
