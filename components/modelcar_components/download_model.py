"""A model in a volume that later steps share."""

from typing import NamedTuple

from modelcar_components.step import component


@component()
def download_model(
    source: str,
    directory: str,
    spec: str = "",
    commit_hash: str = "",
) -> NamedTuple("Outputs", [("directory", str), ("record", str)]):
    """Download the model into a directory of a volume, checked against the digests that the source published.

    Killed half way and run again, it goes on where it stopped. Files that are there and right are not read again.

    Args:
        source: Where the model comes from: hf://org/name or s3://bucket/prefix.
        directory: Absolute path in a volume. It holds the model's files and nothing else afterwards.
        spec: A whole PromotionSpec, YAML or JSON. The other parameters go before what it says; empty ones do not count.
        commit_hash: Branch, tag or commit on the Hub.

    Returns:
        directory: The directory as file:///..., a source for build_and_push_modelcar.
        record: For the report.
    """
    from modelcar import steps

    return steps.download_model(spec, {"source": source, "revision": commit_hash}, directory=directory)
