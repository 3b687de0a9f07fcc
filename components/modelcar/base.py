"""The base image: what lies below the model's layers, on each platform."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import StoredManifest
from modelcar.distribution.repository import Repository
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound, InvalidReference
from modelcar.image.manifest import INDEX_TYPES, BaseImage, Descriptor, parse_base, parse_config_digest
from modelcar.reference import Digest, ImageReference, Platform


@dataclass(frozen=True, slots=True)
class FetchedBase:
    """A base image and where its layers can be read.

    Attributes:
        reference: As it was asked for.
        image: Its description, for the platform.
        repository: Where its blobs are.
    """

    reference: ImageReference
    image: BaseImage
    repository: Repository

    @property
    def title(self) -> str:
        """A few words for people, for each of its layers."""
        return f"base image {self.reference.repository}"


class BaseLayer:
    """One layer of a base image as a blob that can be sent; read from its registry at each iteration.

    An iteration ends in ContentMismatch when the bytes do not have the size and the digest that the manifest states.
    """

    def __init__(self, base: FetchedBase, descriptor: Descriptor) -> None:
        self._base, self._descriptor = base, descriptor

    def __len__(self) -> int:
        return self._descriptor.size_bytes

    def __iter__(self) -> Iterator[bytes]:
        sha256, count = hashlib.sha256(), 0
        with self._base.repository.open_blob(self._descriptor.digest) as blocks:
            for block in blocks:
                sha256.update(block)
                count += len(block)
                if count > len(self):
                    break
                yield block
        if (count, sha256.hexdigest()) != (len(self), self._descriptor.digest.hex):
            raise ContentMismatch(
                f"a layer of base image {self._base.reference} did not arrive as its manifest says: "
                f"{self._descriptor.digest}, {len(self)} bytes",
                hint="Nothing was published. The base image is damaged where it is stored, or on its way.",
            )


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
    registry = Registry(reference.registry, reference.repository, access)
    repository = Repository(registry, reference.repository, pull_only=True)
    asked = str(reference.digest) if reference.digest is not None else reference.tag or "latest"
    stored = _find(repository, asked, reference)
    return tuple(_read(stored, repository, reference, platform) for platform in platforms)


def _read(stored: StoredManifest, repository: Repository, reference: ImageReference, platform: Platform) -> FetchedBase:
    if stored.media_type in INDEX_TYPES:
        stored = _find(repository, str(_select(stored, reference, platform)), reference)
    image = parse_base(str(reference), stored.content, repository.read_blob(parse_config_digest(stored.content)))
    _check_platform(image.config, reference, platform)
    return FetchedBase(reference, image, repository)


def _check_platform(config: Mapping[str, Any], reference: ImageReference, platform: Platform) -> None:
    """Many images leave their variant out; only a stated one can be another than asked for."""
    stated = [config.get("os"), config.get("architecture"), config.get("variant") or platform.variant]
    if stated[:2] != [platform.os, platform.architecture] or platform.variant not in (None, stated[2]):
        raise ImageNotFound(
            f"base image {reference} is for {'/'.join(str(part) for part in stated if part)}, not for {platform}",
            hint="Name a base image of that platform, or another --platform.",
        )


def _find(repository: Repository, asked: str, reference: ImageReference) -> StoredManifest:
    stored = repository.find_manifest(asked)
    if stored is None:
        raise ImageNotFound(
            f"base image {reference} is not there",
            hint="Name another with --base-image (baseImage in a spec, or MODELCAR_BASE_IMAGE), or scratch.",
        )
    return stored


def _select(index: StoredManifest, reference: ImageReference, platform: Platform) -> Digest:
    """The manifest of an index that is for the platform; a variant counts only when one is asked for."""
    try:
        entries: list[Mapping[str, Any]] = json.loads(index.content)["manifests"]
        for entry in entries:
            its = entry.get("platform") or {}
            same = (its.get("os"), its.get("architecture")) == (platform.os, platform.architecture)
            if same and platform.variant in (None, its.get("variant")):
                return Digest.parse(entry["digest"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"base image {reference} has an index that makes no sense") from error
    raise ImageNotFound(
        f"base image {reference} has nothing for platform {platform}", hint="Name another --platform or base image."
    )
