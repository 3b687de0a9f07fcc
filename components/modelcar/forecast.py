"""What a push would cost and meet: bytes, base layers, limits of the registry, time, and the GPUs that wait for it.

Questions are asked; of the model only config.json is read, and nothing is sent. An image of another tool's with gzip
layers was read whole to be listed, when the build was prepared.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from modelcar.build import Build, limits_of
from modelcar.errors import InvalidInput
from modelcar.gpu.fit import Fit, compute_fit
from modelcar.gpu.server import read_server
from modelcar.gpu.shape import read_shape, weights_bytes
from modelcar.image.layer import LayerStream
from modelcar.jobs import run_jobs
from modelcar.limits import HitLimit
from modelcar.plan import ImagePlan, PlannedBaseLayer, PlannedLayer
from modelcar.push import CONCURRENCY
from modelcar.reference import ImageReference
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.sources.content import ModelCheck

GIGABIT_BYTES_PER_S = 125_000_000
"""1 Gbit/s."""


class BaseFate(StrEnum):
    """What becomes of a base image's layer."""

    THERE = "already there"
    MOUNTED = "mounted"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the model will be served.

    Attributes:
        texts: Manifests: the InferenceService's file, then those beside it, where its ServingRuntime may be.
        name: `metadata.name` of the InferenceService; None for the only one.
        namespace: Its `metadata.namespace`, or None for any.
        gpu_memory_bytes: Of one GPU, where somebody says it.
    """

    texts: Sequence[str]
    name: str | None = None
    namespace: str | None = None
    gpu_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a push would cost and meet.

    Attributes:
        plan: The build's, where layers of earlier images count only if they are still there.
        base: Each layer of the base images, and what becomes of it.
        read_bytes: Of the model's files that are read from the source, once; of layers that are copied, all of them.
        compared_bytes: Of these, what is compared with what is there, and sent only if it changed.
        sent_bytes: What is sent at most: layers of the model, and of base images that are copied.
        limits: What the registry is known not to take.
        rates: Bytes a second, each with the seconds that the larger of reading and sending takes at least.
        fit: Whether the GPUs have room; None when nobody asked, or it cannot be told.
        no_fit: Why it cannot be told, and what would help, without a full stop; empty otherwise.
    """

    plan: ImagePlan
    base: tuple[tuple[PlannedBaseLayer, BaseFate], ...]
    read_bytes: int
    compared_bytes: int
    sent_bytes: int
    limits: tuple[HitLimit, ...]
    rates: tuple[tuple[int, float], ...]
    fit: Fit | None
    no_fit: str

    def base_bytes(self, fate: BaseFate) -> int:
        """Of the base layers that become this."""
        return sum(layer.descriptor.size_bytes for layer, its in self.base if its is fate)


def make_forecast(build: Build, *, rate_bytes_per_s: int | None = None, serving: Serving | None = None) -> Forecast:
    """Find out what a push would cost and meet.

    Args:
        build: Prepared, not executed.
        rate_bytes_per_s: What the slower of source and registry gives, where somebody says it; else the time is told
            for 1 and 10 Gbit/s. It is not measured: that would move bytes.
        serving: Where the model will be served; None asks nothing of that.

    Raises:
        DistributionError: The registry cannot be asked.
        SourceError: config.json cannot be read.
        ManifestShapeError: The manifest has no such InferenceService.
        InvalidInput: A size in it is none.
    """
    base = tuple((layer, _fate(layer, build)) for layer in build.plan.base_layers)
    asked = [partial(_look_for, planned, build) for planned in build.plan.layers]
    found = run_jobs(asked, CONCURRENCY, threading.Event())
    plan = replace(build.plan, layers=tuple(planned for planned, _ in found))
    missing = [planned for planned, is_there in found if not is_there]
    read = [(planned, _read_bytes(planned)) for planned in missing]
    read_bytes = sum(size_bytes for _, size_bytes in read)
    copied_bytes = sum(layer.descriptor.size_bytes for layer, fate in base if fate is BaseFate.COPIED)
    sent_bytes = copied_bytes + sum(planned.layer.size_bytes for planned in missing)
    rates = [rate_bytes_per_s] if rate_bytes_per_s is not None else [GIGABIT_BYTES_PER_S, 10 * GIGABIT_BYTES_PER_S]
    fit, no_fit = _fit(build, serving) if serving is not None else (None, "")
    return Forecast(
        plan=plan,
        base=base,
        read_bytes=read_bytes,
        compared_bytes=sum(size_bytes for planned, size_bytes in read if planned.may_be_there),
        sent_bytes=sent_bytes,
        limits=limits_of(replace(build, plan=plan)),
        rates=tuple((rate, max(read_bytes, sent_bytes) / rate) for rate in rates),
        fit=fit,
        no_fit=no_fit,
    )


def _read_bytes(planned: PlannedLayer) -> int:
    """Of a layer that is copied all of it, else its files."""
    return planned.layer.size_bytes if planned.reusable else sum(file.size_bytes for file in planned.layer.files)


def _look_for(planned: PlannedLayer, build: Build) -> tuple[PlannedLayer, bool]:
    """What a push will find: the layer, without a candidate that is gone, and whether nothing of it has to move.

    A manifest outlives what a clean-up takes. The layer of directories has no content but its paths: it is made here.
    """
    candidate, origin = planned.candidate, planned.origin
    if planned.reusable and candidate is not None:
        if build.destination.has_blob(candidate.digest):
            return planned, True
        if origin is not None and origin.repository.has_blob(candidate.digest):
            return planned, not planned.is_copied
        return PlannedLayer(planned.layer), False
    if planned.layer.files:
        return planned, False
    check = ModelCheck(build.plan.snapshot, ())
    digest = LayerStream(planned.layer, build.source.open, check.file).drain()
    return planned, build.destination.has_blob(digest)


def _fate(layer: PlannedBaseLayer, build: Build) -> BaseFate:
    if build.destination.has_blob(layer.descriptor.digest):
        return BaseFate.THERE
    destination = build.request.destination
    beside = isinstance(destination, ImageReference) and destination.registry == layer.base.reference.registry
    return BaseFate.MOUNTED if beside else BaseFate.COPIED


def _fit(build: Build, serving: Serving) -> tuple[Fit | None, str]:
    """The sum, or why there is none."""
    server = read_server(serving.texts, name=serving.name, namespace=serving.namespace)
    if not server.gpus:
        return None, f"InferenceService {server.name} asks for no GPU"
    snapshot = build.plan.snapshot
    shape = retry(lambda: read_shape(build.source, snapshot), attempts=CONTACT_ATTEMPTS)
    if shape is None:
        return None, "the model has no config.json that tells its layers and heads"
    size_bytes = weights_bytes(snapshot.files)
    if not size_bytes:
        return None, "the model has no file of weights that vLLM loads"
    try:
        return compute_fit(shape, size_bytes, server, gpu_memory_bytes=serving.gpu_memory_bytes), ""
    except InvalidInput as error:  # vLLM may know more than we do, and it is no reason not to promote
        return None, f"{error}. {error.hint or ''}".strip(". ")
