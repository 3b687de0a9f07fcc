"""Manifests as documents: which types are taken, what they refer to, and how they are listed as referrers.

Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md,
https://distribution.github.io/distribution/spec/manifest-v2-2/ (Docker's own, of the same shape).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.names import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_TYPES = frozenset({OCI_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"})
INDEX_TYPES = frozenset({OCI_INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"})


@dataclass(frozen=True, slots=True)
class Reference:
    """What a manifest says of something that it refers to.

    Attributes:
        digest: Of the blob or manifest.
        size_bytes: Its stated length.
        required: False for layers that may be fetched from elsewhere and need not be in the registry.
    """

    digest: Digest
    size_bytes: int
    required: bool = True


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest that was read and found in order.

    Attributes:
        media_type: One of the four that are taken.
        blobs: Config and layers; empty for an index.
        manifests: Of an index.
        subject: The manifest that this one is about, which need not exist.
        artifact_type: As the referrers API lists it; None for an index that does not state any.
        annotations: Of the manifest itself.
    """

    media_type: str
    blobs: tuple[Reference, ...]
    manifests: tuple[Reference, ...]
    subject: Digest | None
    artifact_type: str | None
    annotations: Mapping[str, str]


def read_document(content: bytes, content_type: str | None) -> Document:
    """Read a manifest.

    Args:
        content: Its bytes.
        content_type: As stated beside it, parameters allowed; without one the manifest's own `mediaType` decides.

    Raises:
        Refusal: MANIFEST_INVALID; not JSON, not of the shape of its type, or of a type that is not taken.
            DIGEST_INVALID; it refers to something by another algorithm than sha256 and sha512.
    """
    fields = _read_object(content)
    media_type = _media_type(fields, content_type)
    if fields.get("schemaVersion") != 2:
        raise _invalid("schemaVersion is not 2")
    blobs, manifests = ((), _index_entries(fields)) if media_type in INDEX_TYPES else (_image_entries(fields), ())
    artifact_type = fields.get("artifactType")
    if not artifact_type and media_type in IMAGE_TYPES:
        artifact_type = fields["config"].get("mediaType")
    return Document(
        media_type,
        blobs,
        manifests,
        None if fields.get("subject") is None else _reference(fields["subject"], "subject").digest,
        _text_or_none(artifact_type, "artifactType"),
        _annotations(fields),
    )


def _read_object(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise _invalid("not JSON") from None
    if not isinstance(fields, dict):
        raise _invalid("not a JSON object")
    return fields


def _media_type(fields: Mapping[str, Any], content_type: str | None) -> str:
    stated = (content_type or "").partition(";")[0].strip().lower()
    own = fields.get("mediaType")
    if own is not None and stated and own != stated:
        raise _invalid(f"mediaType is {own!r} and Content-Type {stated!r}")
    media_type = str(stated or own or (OCI_INDEX if "manifests" in fields else OCI_MANIFEST))
    if media_type not in IMAGE_TYPES | INDEX_TYPES:
        raise _invalid(f"media type {media_type!r} is not taken here")
    return media_type


def _image_entries(fields: Mapping[str, Any]) -> tuple[Reference, ...]:
    # A document that reads as image and as index means different things to different clients: CVE-2021-41190.
    if "manifests" in fields:
        raise _invalid("an image manifest has no manifests")
    layers = [_reference(layer, "layers") for layer in _list(fields, "layers")]
    return (_reference(fields.get("config"), "config"), *layers)


def _index_entries(fields: Mapping[str, Any]) -> tuple[Reference, ...]:
    if "layers" in fields or "config" in fields:
        raise _invalid("an index has neither config nor layers")
    return tuple(_reference(entry, "manifests") for entry in _list(fields, "manifests"))


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    entries = fields.get(key)
    if entries is not None and not isinstance(entries, list):
        raise _invalid(f"{key} is not a list")
    return entries or []


def _reference(descriptor: Any, where: str) -> Reference:
    if not isinstance(descriptor, dict) or not isinstance(descriptor.get("digest"), str):
        raise _invalid(f"{where} has no descriptor with a digest")
    size_bytes = descriptor.get("size")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
        raise _invalid(f"{where} has a descriptor without a size")
    media_type = str(descriptor.get("mediaType"))
    elsewhere = bool(descriptor.get("urls")) or ".nondistributable." in media_type or ".foreign." in media_type
    return Reference(Digest.parse(descriptor["digest"]), size_bytes, required=not elsewhere)


def _annotations(fields: Mapping[str, Any]) -> dict[str, str]:
    annotations = fields.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
        raise _invalid("annotations are not an object of strings")
    return annotations


def _text_or_none(value: Any, key: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _invalid(f"{key} is not a string")
    return value or None


def _invalid(reason: str) -> Refusal:
    return Refusal("MANIFEST_INVALID", f"manifest invalid: {reason}")
