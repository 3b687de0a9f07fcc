"""From a source and a destination to an image there: resolve, plan, push."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from modelcar.base import fetch_bases, keep_base
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.distribution.referrers import copy_referrers
from modelcar.distribution.repository import Repository
from modelcar.errors import DistributionError, InvalidInput, InvalidReference, UnsafeContent
from modelcar.image_source import ImageSource
from modelcar.journal import journal_tag
from modelcar.limits import HitLimit, find_limits
from modelcar.plan import ImagePlan, PlatformBase, make_plan
from modelcar.progress import Progress
from modelcar.push import CONCURRENCY, CopiedReferrers, PushedImage, push
from modelcar.reference import SAME, Base, Digest, ImageReference, LayoutReference, Platform
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.snapshot import Source
from modelcar.sources.open import open_source
from modelcar.sources.patterns import Patterns
from modelcar.stored_image import StoredImage, fetch_image

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """Which model becomes which image.

    Attributes:
        source: `hf://org/name[@revision]`, `s3://bucket/prefix`, `file:///dir` or `oci://registry/repository[:tag]`.
        destination: A repository, with or without a tag, or a layout directory.
        base_image: `SAME` where the source is an image of ours, whose base is kept.
        platforms: Of the image, at least one; several become an index over one set of model layers.
        revision: Branch, tag or commit of the source; None for its default.
        allow: Patterns of files that go in; none means all but the usual clutter.
        ignore: Patterns of files that stay out.
        allow_pickle: Patterns of pickle files that are wanted all the same.
        previous: Digests of earlier images in the same repository to take layers from, besides what the tag names.
        reuse: Whether layers are taken from earlier images at all; they are what their manifests say that they are.
        max_layer_bytes: What the registry takes as one layer, where it is asked to be kept; layers are closed before.
        siblings: Images in other repositories of the same registry to take layers from.
    """

    source: str
    destination: ImageReference | LayoutReference
    base_image: Base
    platforms: tuple[Platform, ...]
    revision: str | None = None
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()
    previous: tuple[Digest, ...] = ()
    reuse: bool = True
    max_layer_bytes: int | None = None
    siblings: tuple[ImageReference, ...] = ()


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


def prepare(request: BuildRequest, access: Access, *, will_push: bool = False) -> Build:
    """Resolve the source, look at base image and destination, and plan; no byte of the model moves.

    Layers of an image that is the source and has them as gzip are read, though, for only that tells their files. All
    that is cheaper is looked at before.

    Args:
        request: What is to be built.
        access: How registries are reached.
        will_push: Whether `execute` follows: what it would find out of the destination is then asked before a source
            that may have to be read to be listed. The question begins an upload, and gives it back.

    Raises:
        InvalidInput: A sibling is in another registry, or there is no base to keep.
        SourceError: The source has no such model, or does not give it to us.
        DistributionError: The source's, the base's or a sibling's image, or the destination, cannot be looked at.
        UnsafeContent: Files that no image may hold.
    """
    source = _open_source(request, access)
    destination = open_destination(request.destination, access)
    platforms = _platforms(request, source, access)
    elsewhere = _elsewhere(request, source, access) if request.reuse else []
    if will_push and isinstance(source, ImageSource):
        destination.check_access()
    snapshot = retry(source.snapshot, attempts=CONTACT_ATTEMPTS)
    earlier = [*map(str, request.previous), *_friendly_tags(request.destination), journal_tag(snapshot)]
    previous = earlier if request.reuse else []
    plan = make_plan(
        snapshot,
        destination,
        platforms=platforms,
        previous=previous,
        elsewhere=elsewhere,
        max_layer_bytes=request.max_layer_bytes,
    )
    return Build(request, source, destination, plan)


def limits_of(build: Build) -> tuple[HitLimit, ...]:
    """What the registry is known not to take of a build; nothing where the request says what it takes."""
    destination = build.request.destination
    if isinstance(destination, LayoutReference) or build.request.max_layer_bytes is not None:
        return ()
    return find_limits(build.plan, destination.registry)


def _open_source(request: BuildRequest, access: Access) -> Source:
    if not request.source.startswith("oci:"):
        return open_source(
            request.source,
            revision=request.revision,
            allow=request.allow,
            ignore=request.ignore,
            allow_pickle=request.allow_pickle,
        )
    if request.revision is not None:
        hint = "Name the image's tag or digest in its address."
        raise InvalidReference(f"{request.source!r} is an image and has no revision {request.revision!r}", hint=hint)
    patterns = Patterns(request.allow, request.ignore, request.allow_pickle)
    return ImageSource(request.source, patterns, request.platforms[0], access)


def _elsewhere(request: BuildRequest, source: Source, access: Access) -> list[StoredImage]:
    """Images in other repositories whose layers may be the ones that are wanted."""
    images = [retry(lambda: source.image, attempts=CONTACT_ATTEMPTS)] if isinstance(source, ImageSource) else []
    here = request.destination.registry if isinstance(request.destination, ImageReference) else None
    for sibling in request.siblings:
        if sibling.registry != here:
            raise InvalidInput(
                f"{sibling} is in another registry than {request.destination}",
                hint="Layers are taken from the same registry only; a whole image is copied from oci://….",
            )
    return images + fetch_siblings(request.siblings, request.platforms[0], access)


def fetch_siblings(siblings: Sequence[ImageReference], platform: Platform, access: Access) -> list[StoredImage]:
    """Look up the images that layers are to be taken from.

    Raises:
        ImageNotFound: One is not there, or an index has nothing for the platform.
        DistributionError: The registry cannot be asked.
    """
    hint = "Name an image that is there with --reuse-from (image.reuseFrom in a spec), or leave it out."
    find = [partial(fetch_image, sibling, access, kind="image", hint=hint) for sibling in siblings]
    return [retry(one, attempts=CONTACT_ATTEMPTS).on(platform) for one in find]


def _platforms(request: BuildRequest, source: Source, access: Access) -> list[PlatformBase]:
    wanted = list(dict.fromkeys(request.platforms))
    if request.base_image == SAME:
        if not isinstance(source, ImageSource):
            hint = "Name a base image, or scratch."
            raise InvalidInput(f"{request.source} is no image, so it has no base to keep", hint=hint)
        return [PlatformBase(platform, keep_base(source.named, platform)) for platform in wanted]
    if request.base_image is None:
        return [PlatformBase(platform, None) for platform in wanted]
    bases = fetch_bases(request.base_image, wanted, access)
    return [PlatformBase(platform, base) for platform, base in zip(wanted, bases, strict=True)]


def execute(build: Build, *, concurrency: int = CONCURRENCY, progress: Progress | None = None) -> PushedImage:
    """Push what was planned, and close the source.

    An image that is copied and stays the same brings its signatures, SBOMs and other referrers along; they follow when
    the image is there, so a failure leaves the image without some of them, and the same push brings the rest.

    Raises:
        UnsafeContent: The registry is known not to take a layer.
        PromotionError: See `modelcar.push.push` and `modelcar.distribution.referrers.copy_referrers`.
    """
    for hit in limits_of(build):
        raise UnsafeContent(hit.sentence, hint=hit.way_out)
    build.destination.check_access()
    with closing(build.source):
        image = push(
            build.plan,
            build.source,
            build.destination,
            tags=lambda digest: _tags(build.request.destination, digest),
            allow_pickle=build.request.allow_pickle,
            concurrency=concurrency,
            progress=progress,
        )
    if not isinstance(build.source, ImageSource):
        return image
    return replace(image, referrers=_bring_referrers(build.source, build.destination, image))


def _bring_referrers(source: ImageSource, destination: Destination, image: PushedImage) -> CopiedReferrers:
    """Copy what refers to the source image, where the image that was pushed is that very image.

    Of an index of which only a platform was pushed, what refers to the index stays behind.
    """
    pushed, origin = {image.digest, *image.platforms.values()}, source.named.repository
    of_source = list(dict.fromkeys([source.image.manifest.digest, source.named.manifest.digest]))
    copied: tuple[Digest, ...] = ()
    if isinstance(destination, Repository) and pushed & set(of_source):
        if destination.name == origin.name:
            return CopiedReferrers((), ())
        copied = tuple(d for one in sorted(pushed) for d in copy_referrers(origin, destination, one))
        of_source = [digest for digest in of_source if digest not in pushed]
    try:
        left = tuple(referrer.digest for one in of_source for referrer in origin.list_referrers(one))
    except DistributionError as error:  # the image is pushed, and needs none of them
        log.warning("whether anything refers to %s cannot be told: %s", source.named.reference, error)
        left = ()
    return CopiedReferrers(copied, left)


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
