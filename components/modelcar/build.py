"""From a source and a destination to an image there: resolve, plan, push."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelcar.base import fetch_bases
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.distribution.repository import Repository
from modelcar.errors import UnsafeContent
from modelcar.journal import journal_tag
from modelcar.limits import HitLimit, find_limits
from modelcar.plan import ImagePlan, PlatformBase, make_plan
from modelcar.progress import Progress
from modelcar.push import CONCURRENCY, PushedImage, push
from modelcar.reference import Digest, ImageReference, LayoutReference, Platform
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.snapshot import Source
from modelcar.sources.open import open_source


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Which model becomes which image.

    Attributes:
        source: `hf://org/name[@revision]`, `s3://bucket/prefix` or `file:///dir`.
        destination: A repository, with or without a tag, or a layout directory.
        base_image: None for scratch.
        platforms: Of the image, at least one; several become an index over one set of model layers.
        revision: Branch, tag or commit of the source; None for its default.
        allow: Patterns of files that go in; none means all but the usual clutter.
        ignore: Patterns of files that stay out.
        allow_pickle: Patterns of pickle files that are wanted all the same.
        previous: Digests of earlier images in the same repository to take layers from, besides what the tag names.
        reuse: Whether layers are taken from earlier images at all; they are what their manifests say that they are.
        max_layer_bytes: What the registry takes as one layer, where it is asked to be kept; layers are closed before.
    """

    source: str
    destination: ImageReference | LayoutReference
    base_image: ImageReference | None
    platforms: tuple[Platform, ...]
    revision: str | None = None
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()
    previous: tuple[Digest, ...] = ()
    reuse: bool = True
    max_layer_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is ready to move bytes.

    Attributes:
        request: What was asked for.
        source: Opened.
        destination: Opened.
        plan: What will be done.
    """

    request: BuildRequest
    source: Source
    destination: Destination
    plan: ImagePlan


def prepare(request: BuildRequest, access: Access) -> Build:
    """Resolve the source, look at base image and destination, and plan; no byte of the model moves.

    Raises:
        SourceError: The source has no such model, or does not give it to us.
        DistributionError: The base image or the destination cannot be looked at.
        UnsafeContent: Files that no image may hold.
    """
    source = open_source(
        request.source,
        revision=request.revision,
        allow=request.allow,
        ignore=request.ignore,
        allow_pickle=request.allow_pickle,
    )
    snapshot = retry(source.snapshot, attempts=CONTACT_ATTEMPTS)
    destination = open_destination(request.destination, access)
    earlier = [*map(str, request.previous), *_friendly_tags(request.destination), journal_tag(snapshot)]
    previous = earlier if request.reuse else []
    plan = make_plan(
        snapshot,
        destination,
        platforms=_platforms(request, access),
        previous=previous,
        max_layer_bytes=request.max_layer_bytes,
    )
    return Build(request, source, destination, plan)


def limits_of(build: Build) -> tuple[HitLimit, ...]:
    """What the registry is known not to take of a build; nothing where the request says what it takes."""
    destination = build.request.destination
    if isinstance(destination, LayoutReference) or build.request.max_layer_bytes is not None:
        return ()
    return find_limits(build.plan, destination.registry)


def _platforms(request: BuildRequest, access: Access) -> list[PlatformBase]:
    wanted = list(dict.fromkeys(request.platforms))
    if request.base_image is None:
        return [PlatformBase(platform, None) for platform in wanted]
    bases = fetch_bases(request.base_image, wanted, access)
    return [PlatformBase(platform, base) for platform, base in zip(wanted, bases, strict=True)]


def execute(build: Build, *, concurrency: int = CONCURRENCY, progress: Progress | None = None) -> PushedImage:
    """Push what was planned.

    Raises:
        UnsafeContent: The registry is known not to take a layer.
        PromotionError: See `modelcar.push.push`.
    """
    for hit in limits_of(build):
        raise UnsafeContent(hit.sentence, hint=hit.way_out)
    build.destination.check_access()
    return push(
        build.plan,
        build.source,
        build.destination,
        tags=lambda digest: _tags(build.request.destination, digest),
        allow_pickle=build.request.allow_pickle,
        concurrency=concurrency,
        progress=progress,
    )


def open_destination(destination: ImageReference | LayoutReference, access: Access) -> Destination:
    """The place that a reference names; nothing is sent to it yet.

    Raises:
        InvalidInput: The auth file, the CA file or the layout directory cannot be used.
    """
    if isinstance(destination, LayoutReference):
        return Layout(destination.directory)
    return Repository(Registry(destination.registry, destination.repository, access), destination.repository)


def _friendly_tags(destination: ImageReference | LayoutReference) -> Sequence[str]:
    """The tag for people; it moves with every push."""
    if destination.tag is not None:
        return [destination.tag]
    return ["latest"] if isinstance(destination, ImageReference) else []


def _tags(destination: ImageReference | LayoutReference, digest: Digest) -> Sequence[str]:
    """In a registry also a tag that is never used again, so that no clean-up takes an image that git still names.

    It goes first: wherever a push ends, an image that the friendly tag has named keeps a name.
    """
    lasting = [f"modelcar-{digest.hex}"] if isinstance(destination, ImageReference) else []
    return [*lasting, *_friendly_tags(destination)]
