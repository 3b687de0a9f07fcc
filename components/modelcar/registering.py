"""An image that is in a registry already: look it up, and register it, which is what `modelcar register` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import StoredManifest
from modelcar.distribution.repository import Repository
from modelcar.errors import ImageNotFound, InvalidReference
from modelcar.image.index import compute_image_key, parse_index
from modelcar.image.manifest import (
    BASE_DIGEST_ANNOTATION,
    FORMAT_ANNOTATION,
    Descriptor,
    layer_contents,
    parse_config_digest,
    parse_layers,
)
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import RegisteredVersion, Registration, register
from modelcar.reference import Digest, ImageReference, Platform


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as its registry has it.

    Attributes:
        image: With its digest, without a tag.
        digest: Of the manifest, or of the index.
        content_key: What the image is; None for an image that this package did not make.
        layers: Bottom first, the base's included; those that several platforms share once.
    """

    image: ImageReference
    digest: Digest
    content_key: str | None
    layers: tuple[Descriptor, ...]

    @property
    def size_bytes(self) -> int:
        """Sum of all layers."""
        return sum(layer.size_bytes for layer in self.layers)


def register_image(
    image: str,
    *,
    model: str,
    access: Access,
    model_version: str | None = None,
    url: str | None = None,
    source_uri: str | None = None,
    commit_hash: str | None = None,
    author: str | None = None,
    description: str | None = None,
) -> RegisteredVersion:
    """Look an image up in its registry and register it as a version of a model.

    Args:
        image: `registry/repository@sha256:…`.
        model: Registered model; made if it is not there.
        access: How the image's registry is reached.
        model_version: By default the first 12 hex digits of the digest.
        url: The Model Registry; by default `MODEL_REGISTRY_URL`.
        source_uri: Where the model came from.
        commit_hash: The source's commit.
        author: Of the version.
        description: Of the version.

    Raises:
        InvalidReference: The image is not named by digest.
        ImageNotFound: Its registry has no such image.
        VersionConflict: The version exists with another image.
        ModelRegistryError: The Model Registry refused, or did not answer.
    """
    stored = look_up(image, access)
    registration = Registration(
        registered_model=model,
        version=model_version or stored.digest.short,
        image=stored.image,
        content_key=stored.content_key,
        source_uri=source_uri,
        commit_hash=commit_hash,
        size_bytes=stored.size_bytes,
        author=author,
        description=description,
    )
    # The manifest was read back by its digest a moment ago; there is nothing more to confirm.
    return register(Connection.from_environment(url), registration, confirm=lambda: None)


def look_up(image: str, access: Access) -> StoredImage:
    """Read an image's documents from its registry.

    Args:
        image: `registry/repository@sha256:…`.
        access: How its registry is reached.

    Raises:
        InvalidReference: The image is not named by digest.
        ImageNotFound: Its registry has no such image.
        DistributionError: The registry cannot be asked.
    """
    reference = ImageReference.parse(image)
    if reference.digest is None:
        raise InvalidReference(f"{image} names no digest", hint="Name registry/repository@sha256:…, as push prints it.")
    repository = Repository(
        Registry(reference.registry, reference.repository, access), reference.repository, pull_only=True
    )
    stored = repository.find_manifest(str(reference.digest))
    if stored is None:
        raise ImageNotFound(f"{reference} is not there", hint="Push it first, or check the digest.")
    images = _images(repository, stored)
    return StoredImage(
        reference.at(reference.digest),
        reference.digest,
        _read_content_key(repository, images),
        _layers([parse_layers(image.content) for image in images]),
    )


def _layers(images: Sequence[tuple[Descriptor, ...]]) -> tuple[Descriptor, ...]:
    """In the order in which a push tells them: all bases, then the model; what several images have is there once."""
    own = [_own_layers(layers) for layers in images]
    bases = [layers[: len(layers) - len(ours)] for layers, ours in zip(images, own, strict=True)]
    found: list[Descriptor] = []
    for layers in (*bases, *own):
        known = {layer.digest for layer in found}
        found += [layer for layer in layers if layer.digest not in known]
    return tuple(found)


def _images(repository: Repository, stored: StoredManifest) -> list[StoredManifest]:
    """The image itself, or those of an index.

    Raises:
        ImageNotFound: The index names one that is not there.
    """
    images = [stored]
    if below := parse_index(stored.content, stored.media_type):
        images = []
        for digest in below:
            image = repository.find_manifest(str(digest))
            if image is None:
                raise ImageNotFound(
                    f"{repository.name}@{stored.digest} is an index, and {digest} of it is not there",
                    hint="Push it again, or check what removes images there.",
                )
            images.append(image)
    return images


def _read_content_key(repository: Repository, images: Sequence[StoredManifest]) -> str | None:
    """What the image is, from its own documents; None for an image that this package did not make."""
    bases: dict[Platform, Digest | None] = {}
    own = [_own_layers(parse_layers(image.content)) for image in images]
    contents = [content for layer in own[0] for content in layer_contents(layer) or ()]
    if not contents or any(layers != own[0] for layers in own):
        return None
    for image in images:
        config = json.loads(repository.read_blob(parse_config_digest(image.content)))
        base = (json.loads(image.content).get("annotations") or {}).get(BASE_DIGEST_ANNOTATION)
        platform = Platform(config["os"], config["architecture"], config.get("variant"))
        bases[platform] = Digest.parse(base) if base else None
    return compute_image_key(contents, bases, own[0][0].annotations[FORMAT_ANNOTATION])


def _own_layers(layers: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """Those above the base, which may be a ModelCar itself: the layers of each begin with one of directories."""
    beginnings = [number for number, layer in enumerate(layers) if layer_contents(layer) == ()]
    return layers[beginnings[-1] :] if beginnings else ()
