"""Config and manifest of a ModelCar image: what a runtime reads, and what the next push reads.

Both are functions of content: they hold no clock, no source, no revision and no name.

Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md and config.md beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from modelcar.errors import DistributionError, InvalidReference
from modelcar.image.content import MAX_GIT_BLOB_BYTES, FileContent
from modelcar.image.packing import LAYER_FORMAT_VERSION, is_own_format
from modelcar.reference import Digest, Platform

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"
MANIFEST_TYPES = (MANIFEST_TYPE, DOCKER_MANIFEST_TYPE)
INDEX_TYPES = (INDEX_TYPE, DOCKER_INDEX_TYPE)

FILES_ANNOTATION = "dev.modelcar.layer.files"
"""On a layer's descriptor: [[path, size in bytes, sha256 hex, git blob id or null, and true only of a pickle], …]."""
FORMAT_ANNOTATION = "dev.modelcar.layer.format"
"""On a layer's descriptor: `LAYER_FORMAT_VERSION` of the push that made it."""
BASE_DIGEST_ANNOTATION = "org.opencontainers.image.base.digest"

_OCI_LAYER_TYPES = {DOCKER_LAYER_TYPE: LAYER_TYPE, f"{DOCKER_LAYER_TYPE}.gzip": f"{LAYER_TYPE}+gzip"}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of a blob.

    Attributes:
        media_type: Of the blob as stored.
        digest: Of the blob as stored.
        size_bytes: Of the blob as stored.
        annotations: Possibly none.

    Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
    """

    media_type: str
    digest: Digest
    size_bytes: int
    annotations: Mapping[str, str]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read a descriptor.

        Raises:
            KeyError, TypeError, ValueError, InvalidReference: It is none.
        """
        media_type, size_bytes, annotations = value["mediaType"], value["size"], dict(value.get("annotations") or {})
        texts = [media_type, *annotations.keys(), *annotations.values()]
        if type(size_bytes) is not int or size_bytes < 0 or not all(isinstance(text, str) for text in texts):
            raise TypeError(value)
        return cls(media_type, Digest.parse(value["digest"]), size_bytes, annotations)

    def to_json(self) -> dict[str, Any]:
        """The descriptor as JSON; no annotations, no key."""
        value = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size_bytes}
        return {**value, "annotations": dict(self.annotations)} if self.annotations else value


@dataclass(frozen=True, slots=True)
class BaseImage:
    """The image below the model's layers.

    Attributes:
        digest: Of its manifest for the platform (not of an index above it).
        layers: Bottom first, with OCI media types.
        config: Its whole config.
    """

    digest: Digest
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImageDocuments:
    """Config and manifest, as the bytes that are pushed."""

    config: bytes
    manifest: bytes

    @property
    def digest(self) -> Digest:
        """The image's digest: of its manifest."""
        return Digest.of(self.manifest)


def parse_base(name: str, manifest: bytes, config: bytes) -> BaseImage:
    """Read a base image's manifest and config.

    Args:
        name: The reference it was asked by, for errors.
        manifest: As stored; its digest is the base's digest.
        config: As stored.

    Raises:
        DistributionError: They are not an image's, or a layer is of a kind that not every consumer unpacks.
    """
    try:
        document, parsed = json.loads(manifest), json.loads(config)
        layers = tuple(Descriptor.from_json(layer) for layer in document["layers"])
        diff_ids = [Digest.parse(diff_id) for diff_id in parsed["rootfs"]["diff_ids"]]
    except (ValueError, KeyError, TypeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"base image {name} is not an OCI image", hint="Name another --base-image.") from error
    layers = tuple(_as_oci_layer(name, layer) for layer in layers)
    if len(diff_ids) != len(layers):
        raise DistributionError(f"base image {name} has {len(layers)} layers, but {len(diff_ids)} diff IDs")
    return BaseImage(Digest.of(manifest), layers, parsed)


def layer_descriptor(
    digest: Digest, size_bytes: int, contents: Iterable[FileContent], format_version: str = LAYER_FORMAT_VERSION
) -> Descriptor:
    """Describe one of our layers, with what the next push needs to know of it."""
    files = [[c.path, c.size_bytes, c.sha256.hex, c.git_blob_id, *([True] if c.is_pickle else [])] for c in contents]
    annotations = {FORMAT_ANNOTATION: format_version, FILES_ANNOTATION: format_document(files).decode()}
    return Descriptor(LAYER_TYPE, digest, size_bytes, annotations)


def layer_contents(descriptor: Descriptor) -> tuple[FileContent, ...] | None:
    """What a layer holds, read from its annotations.

    Returns:
        None when it is not ours: of another format version, or not annotated exactly as we would do it today. Such a
        layer would give the same content another manifest digest.
    """
    annotations = descriptor.annotations
    version = annotations.get(FORMAT_ANNOTATION)
    if descriptor.media_type != LAYER_TYPE or version is None or not is_own_format(version):
        return None
    try:
        rows = json.loads(annotations.get(FILES_ANNOTATION, ""))
        contents = tuple(_content(*row) for row in rows)
        today = layer_descriptor(descriptor.digest, descriptor.size_bytes, contents, version)
    except (ValueError, TypeError, InvalidReference, RecursionError):
        return None
    return contents if today == descriptor else None


def parse_layers(manifest: bytes) -> tuple[Descriptor, ...]:
    """The layers of any image manifest; none when it is not one (an index, an artifact of another kind)."""
    try:
        return tuple(Descriptor.from_json(layer) for layer in json.loads(manifest)["layers"])
    except (ValueError, KeyError, TypeError, InvalidReference, RecursionError):
        return ()


def parse_config_digest(manifest: bytes) -> Digest:
    """Where an image manifest's config is.

    Raises:
        DistributionError: It is not the manifest of an image.
    """
    try:
        return Digest.parse(json.loads(manifest)["config"]["digest"])
    except (ValueError, KeyError, TypeError, InvalidReference) as error:
        raise DistributionError("the manifest is not an image's: it names no config") from error


def build_documents(
    layers: Sequence[Descriptor], titles: Sequence[str], *, platform: Platform, base: BaseImage | None
) -> ImageDocuments:
    """Write config and manifest.

    Args:
        layers: The model's layers, bottom first; plain tars, so that each digest is its diff ID too.
        titles: One for each layer, for the history.
        platform: Stated in the config, whatever machine this runs on.
        base: The image below; None for scratch.
    """
    ours = [{"created_by": f"modelcar: {title}"} for title in titles]
    base_config: Mapping[str, Any] = base.config if base is not None else {}
    base_layers = base.layers if base is not None else ()
    config: dict[str, Any] = {
        "architecture": platform.architecture,
        "os": platform.os,
        **({"variant": platform.variant} if platform.variant else {}),
        "config": base_config.get("config") or {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [*_base_diff_ids(base), *(str(layer.digest) for layer in layers)],
        },
        "history": [*_base_history(base), *ours],
    }
    config_bytes = format_document(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": Descriptor(CONFIG_TYPE, Digest.of(config_bytes), len(config_bytes), {}).to_json(),
        "layers": [layer.to_json() for layer in (*base_layers, *layers)],
        **({"annotations": {BASE_DIGEST_ANNOTATION: str(base.digest)}} if base is not None else {}),
    }
    return ImageDocuments(config_bytes, format_document(manifest))


def compute_content_key(
    contents: Iterable[FileContent],
    *,
    platform: Platform,
    base_digest: Digest | None,
    format_version: str = LAYER_FORMAT_VERSION,
) -> str:
    """What the image is, as 64 hex digits: files, base, platform, and the layer format version."""
    key = {
        "files": sorted([c.path, c.size_bytes, c.sha256.hex] for c in contents),
        "base": str(base_digest) if base_digest is not None else None,
        "platform": str(platform),
        "format": format_version,
    }
    return hashlib.sha256(format_document(key)).hexdigest()


def _content(path: str, size_bytes: int, sha256_hex: str, git_blob_id: str | None, *pickle: Any) -> FileContent:
    """One row of the annotation; TypeError or InvalidReference when it cannot be ours."""
    has_blob_id = git_blob_id is not None and re.fullmatch("[0-9a-f]{40}", git_blob_id) is not None
    if (
        pickle not in ((), (True,))
        or type(path) is not str
        or type(size_bytes) is not int
        or size_bytes < 0
        or has_blob_id != (size_bytes <= MAX_GIT_BLOB_BYTES)
    ):
        raise TypeError(path)
    return FileContent(path, size_bytes, Digest.parse(f"sha256:{sha256_hex}"), git_blob_id, bool(pickle))


def _base_diff_ids(base: BaseImage | None) -> list[str]:
    return list(base.config["rootfs"]["diff_ids"]) if base is not None else []


def _base_history(base: BaseImage | None) -> list[dict[str, Any]]:
    """The base's history without clocks, or one entry a layer where it does not fit its layers."""
    if base is None:
        return []
    try:
        history = [{key: value for key, value in entry.items() if key != "created"} for entry in base.config["history"]]
    except (KeyError, TypeError, AttributeError):  # it may be left out, be null, or be nonsense
        history = []
    if sum(1 for entry in history if not entry.get("empty_layer")) != len(base.layers):
        return [{"created_by": "base image"} for _ in base.layers]
    return history


def _as_oci_layer(name: str, layer: Descriptor) -> Descriptor:
    media_type = _OCI_LAYER_TYPES.get(layer.media_type, layer.media_type)
    if media_type not in (LAYER_TYPE, f"{LAYER_TYPE}+gzip"):
        # KServe's fetch mode and older runtimes take tar and tar+gzip only: https://github.com/kserve/kserve/issues/6014
        raise DistributionError(
            f"base image {name} has a layer of type {layer.media_type}, which not every consumer of a ModelCar unpacks",
            hint="Name a base image with plain or gzip layers.",
        )
    return Descriptor(media_type, layer.digest, layer.size_bytes, layer.annotations)


def format_document(value: Any) -> bytes:
    """Write JSON: the same bytes for the same value, everywhere."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
