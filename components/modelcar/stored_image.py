"""An image in a registry, for one platform: its manifest, and the repository that its blobs are read from."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelcar.distribution.blob import StoredBlob, Wait
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import StoredManifest
from modelcar.distribution.repository import Repository
from modelcar.errors import DistributionError, ImageNotFound, InvalidReference
from modelcar.image.manifest import BASE_DIGEST_ANNOTATION, INDEX_TYPES, Descriptor, layer_contents, parse_layers
from modelcar.reference import Digest, ImageReference, Platform


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What a reference led to.

    Attributes:
        reference: As it was asked for.
        manifest: Of the image; of an index until `on` was asked.
        repository: Where its blobs are.
        what: It, for messages: `base image quay.io/team/base:1`.
    """

    reference: ImageReference
    manifest: StoredManifest
    repository: Repository
    what: str

    def on(self, platform: Platform) -> StoredImage:
        """The image of a platform. What is no index is given back: whether it is for the platform, its config says.

        Raises:
            ImageNotFound: The index has nothing for the platform, or names what is not there.
            DistributionError: The index makes no sense, or the registry cannot be asked.
        """
        if self.manifest.media_type not in INDEX_TYPES:
            return self
        digest = _select(self.manifest, self.what, platform)
        stored = self.repository.find_manifest(str(digest))
        if stored is None:
            raise ImageNotFound(f"{self.what} has no {digest} any more, which is for {platform}")
        return replace(self, manifest=stored)

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Bottom first; none when it is no image."""
        return parse_layers(self.manifest.content)

    @property
    def base_layers(self) -> tuple[Descriptor, ...] | None:
        """The base's part of `layers`, where we have made the image; None where nothing tells."""
        layers = self.layers
        ours = [layer_contents(layer) is not None for layer in layers]
        first = ours.index(True) if True in ours else 0
        has_base = self.base_digest is not None
        return layers[:first] if layers and all(ours[first:]) and has_base == (first > 0) else None

    @property
    def base_digest(self) -> Digest | None:
        """Of the base image's manifest, as the image says it; None where it does not."""
        try:
            return Digest.parse(json.loads(self.manifest.content)["annotations"][BASE_DIGEST_ANNOTATION])
        except (ValueError, KeyError, TypeError, InvalidReference, RecursionError):
            return None

    def blob(self, descriptor: Descriptor, *, wait: Wait = time.sleep) -> StoredBlob:
        """One of its layers as a blob that can be read or sent; `wait` waits between attempts to read it."""
        what = f"a layer of {self.what}"
        return StoredBlob(self.repository, descriptor.digest, descriptor.size_bytes, what=what, wait=wait)


def fetch_image(reference: ImageReference, access: Access, *, kind: str, hint: str) -> StoredImage:
    """Read an image's manifest, or the index that the reference names.

    Args:
        reference: By digest, by tag, or by neither, which is `latest`.
        access: How its registry is reached.
        kind: What the image is for, in messages: `base image`.
        hint: What to do when it is not there.

    Raises:
        ImageNotFound: No such image.
        RegistryAccessDenied: The registry wants other credentials.
        DistributionError: The registry cannot be asked.
    """
    registry = Registry(reference.registry, reference.repository, access)
    repository = Repository(registry, reference.repository, pull_only=True)
    asked = str(reference.digest) if reference.digest is not None else reference.tag or "latest"
    stored = repository.find_manifest(asked)
    if stored is None:
        raise ImageNotFound(f"{kind} {reference} is not there", hint=hint)
    return StoredImage(reference, stored, repository, f"{kind} {reference}")


def _select(index: StoredManifest, what: str, platform: Platform) -> Digest:
    """The manifest of an index that is for the platform; a variant counts only when one is asked for."""
    try:
        entries: list[Mapping[str, Any]] = json.loads(index.content)["manifests"]
        for entry in entries:
            its = entry.get("platform") or {}
            same = (its.get("os"), its.get("architecture")) == (platform.os, platform.architecture)
            if same and platform.variant in (None, its.get("variant")):
                return Digest.parse(entry["digest"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"{what} has an index that makes no sense") from error
    raise ImageNotFound(f"{what} has nothing for platform {platform}", hint="Name another --platform or image.")
