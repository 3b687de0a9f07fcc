"""The base image: what lies below the model's layers, on each platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelcar.distribution.client import Access
from modelcar.errors import ImageNotFound, InvalidInput
from modelcar.image.manifest import BaseImage, parse_base, parse_config_digest
from modelcar.reference import ImageReference, Platform
from modelcar.stored_image import StoredImage, fetch_image

_HINT = "Name another with --base-image (baseImage in a spec, or MODELCAR_BASE_IMAGE), or scratch."


@dataclass(frozen=True, slots=True)
class FetchedBase:
    """A base image and where its layers can be read.

    Attributes:
        image: Its description, for the platform.
        stored: Where it is.
    """

    image: BaseImage
    stored: StoredImage

    @property
    def reference(self) -> ImageReference:
        """As it was asked for."""
        return self.stored.reference

    @property
    def title(self) -> str:
        """A few words for people, for each of its layers."""
        return f"base image {self.reference.repository}"


def fetch_base(reference: ImageReference, platform: Platform, access: Access) -> FetchedBase:
    """Read a base image for one platform; see `fetch_bases`."""
    return fetch_bases(reference, [platform], access)[0]


def fetch_bases(reference: ImageReference, platforms: Sequence[Platform], access: Access) -> tuple[FetchedBase, ...]:
    """Read a base image's manifest and config for each platform; an index is resolved to them.

    Args:
        reference: By tag or digest; a tag is looked up once, so that all platforms are of one release.
        platforms: At least one.
        access: How its registry is reached.

    Raises:
        ImageNotFound: No such image, or it is not for one of the platforms.
        RegistryAccessDenied: The registry wants other credentials.
        DistributionError: It is no image.
    """
    stored = fetch_image(reference, access, kind="base image", hint=_HINT)
    return tuple(_read(stored.on(platform), platform) for platform in platforms)


def _read(stored: StoredImage, platform: Platform) -> FetchedBase:
    manifest, reference = stored.manifest.content, stored.reference
    image = parse_base(str(reference), manifest, stored.repository.read_blob(parse_config_digest(manifest)))
    _check_platform(image.config, reference, platform)
    return FetchedBase(image, stored)


def keep_base(image: StoredImage, platform: Platform) -> FetchedBase | None:
    """The base of an image that we have made, read from that image alone: its own registry need not be there any more.

    Args:
        image: Or an index of such images.
        platform: Of the base.

    Returns:
        None for an image from scratch. On the same base the same files become the same image again.

    Raises:
        InvalidInput: It is not ours, so nothing tells its base from its model.
        ImageNotFound: It is for another platform.
        DistributionError: It makes no sense, or the registry cannot be asked.
    """
    stored = image.on(platform)
    layers, digest = stored.base_layers, stored.base_digest
    if layers is None:
        raise InvalidInput(
            f"{image.what} does not say which of its layers are its base's: modelcar has not made it",
            hint="Name the base with --base-image (baseImage in a spec), or scratch.",
        )
    if digest is None:
        return None
    manifest = stored.manifest.content
    whole = parse_base(str(stored.reference), manifest, stored.repository.read_blob(parse_config_digest(manifest)))
    _check_platform(whole.config, stored.reference, platform)
    return FetchedBase(BaseImage(digest, layers, _without_model(whole, len(layers))), stored)


def _without_model(image: BaseImage, base_layers: int) -> Mapping[str, Any]:
    """The config of an image of ours, cut down to what it has from its base."""
    config, model_layers = image.config, len(image.layers) - base_layers
    return {
        **config,
        "rootfs": {**config["rootfs"], "diff_ids": config["rootfs"]["diff_ids"][:base_layers]},
        "history": (config.get("history") or [])[:-model_layers],
    }


def _check_platform(config: Mapping[str, Any], reference: ImageReference, platform: Platform) -> None:
    """Many images leave their variant out; only a stated one can be another than asked for."""
    stated = [config.get("os"), config.get("architecture"), config.get("variant") or platform.variant]
    if stated[:2] != [platform.os, platform.architecture] or platform.variant not in (None, stated[2]):
        raise ImageNotFound(
            f"base image {reference} is for {'/'.join(str(part) for part in stated if part)}, not for {platform}",
            hint="Name a base image of that platform, or another --platform.",
        )
