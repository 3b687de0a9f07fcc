"""The step that moves the bytes: from the source into the registry, in one pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from modelcar.build import execute, prepare
from modelcar.display import LineProgress
from modelcar.promotion import build_request
from modelcar.push import CONCURRENCY, PushedImage
from modelcar.quantities import format_bytes
from modelcar.reference import ImageReference
from modelcar.steps.fields import read_part
from modelcar.steps.record import write_record
from modelcar.steps.running import say, step
from modelcar.steps.surroundings import make_access


class Pushed(NamedTuple):
    """What later steps are given.

    Attributes:
        image: `registry/repository@sha256:…`.
        record: For the report; `reused` has a digit for each layer, bottom first: 1 when no byte of it was sent.
    """

    image: str
    record: str


class Artifact(NamedTuple):
    """The image as a model artifact: `oci://registry/repository@sha256:…`, and what people want to know of it."""

    uri: str
    metadata: dict[str, str]


@step("Build and push")
def build_and_push(
    spec: str, fields: dict[str, str], *, serving: str = ""
) -> tuple[Pushed, Artifact, Mapping[str, float]]:
    """Build the ModelCar image and push it; only what the registry lacks moves.

    Args:
        spec: A PromotionSpec as YAML or JSON, of which `model` and `image` count; blank when the fields say them.
        fields: Single fields; `revision` is the commit that the first step found.
        serving: The storageUri that serves now: layers of its image are taken over when it is in the same repository.

    Returns:
        Outputs, the artifact, and sizes in bytes and seconds as metrics.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    part = read_part(spec, ("model", "image"), fields)
    request = build_request(part["model"], part["image"], serving=serving)
    build = prepare(request, make_access(CONCURRENCY + 4), will_push=True)
    say(f"pushing {len(build.plan.snapshot.files)} files to {build.destination.name}")
    image = execute(build, progress=LineProgress(build.plan.size_bytes, say))
    say(
        f"{image.image}\n{format_bytes(image.bytes_read)} read, {format_bytes(image.bytes_uploaded)} sent, "
        f"{format_bytes(image.bytes_reused)} reused"
    )
    return Pushed(image.image, _record(started, image)), _artifact(image), _metrics(image)


def _record(started: float, image: PushedImage) -> str:
    return write_record(
        started,
        bytes_read=image.bytes_read,
        bytes_uploaded=image.bytes_uploaded,
        reused="".join("1" if layer.reused else "0" for layer in image.layers),
    )


def _artifact(image: PushedImage) -> Artifact:
    reference = ImageReference.parse(image.image)
    metadata = {"source": image.snapshot.uri, "content_key": image.content_key, "tags": ", ".join(image.tags)}
    if image.snapshot.commit_hash is not None:
        metadata["commit_hash"] = image.snapshot.commit_hash
    return Artifact(f"oci://{reference.at(image.digest)}", metadata)


def _metrics(image: PushedImage) -> Mapping[str, float]:
    return {
        "size_bytes": image.size_bytes,
        "bytes_read": image.bytes_read,
        "bytes_uploaded": image.bytes_uploaded,
        "bytes_reused": image.bytes_reused,
        "seconds": round(image.seconds, 3),
    }
