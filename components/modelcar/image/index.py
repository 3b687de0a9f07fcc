"""One image for several platforms: an index that names a manifest for each of them.

All of them name the same model layers, for weights are the same on every machine; only what lies below differs. Like a
manifest, an index is a function of content: sorted by platform, with no annotation.

Source: https://github.com/opencontainers/image-spec/blob/main/image-index.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from modelcar.errors import InvalidReference
from modelcar.image.content import FileContent
from modelcar.image.manifest import (
    INDEX_TYPE,
    INDEX_TYPES,
    MANIFEST_TYPE,
    Descriptor,
    compute_content_key,
    format_document,
)
from modelcar.image.packing import LAYER_FORMAT_VERSION
from modelcar.reference import Digest, Platform


def build_index(manifests: Mapping[Platform, bytes]) -> bytes:
    """Write an index.

    Args:
        manifests: The image manifest of each platform, as stored; their order does not count.
    """
    entries = []
    for platform, manifest in sorted(manifests.items(), key=lambda item: str(item[0])):
        variant = {"variant": platform.variant} if platform.variant else {}
        described = Descriptor(MANIFEST_TYPE, Digest.of(manifest), len(manifest), {}).to_json()
        described["platform"] = {"architecture": platform.architecture, "os": platform.os, **variant}
        entries.append(described)
    return format_document({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})


def parse_index(content: bytes, media_type: str) -> tuple[Digest, ...]:
    """The manifests of an index's images, as it orders them.

    Args:
        content: As stored.
        media_type: Of the content.

    Returns:
        None of them when it is no index, or one that makes no sense. What builders add for no platform, such as
        attestations for `unknown/unknown`, is left out.
    """
    if media_type not in INDEX_TYPES:
        return ()
    try:
        return tuple(Digest.parse(entry["digest"]) for entry in json.loads(content)["manifests"] if _is_image(entry))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError):
        return ()


def compute_image_key(
    contents: Iterable[FileContent],
    bases: Mapping[Platform, Digest | None],
    format_version: str = LAYER_FORMAT_VERSION,
) -> str:
    """What an image is, for all of its platforms, as 64 hex digits.

    Args:
        contents: The model's files.
        bases: The digest of each platform's base image, None for scratch. One platform has the key that
            `compute_content_key` gives it.
        format_version: Of the layers.
    """
    if len(bases) == 1:
        [(platform, base)] = bases.items()
        return compute_content_key(contents, platform=platform, base_digest=base, format_version=format_version)
    key = {
        "files": sorted([c.path, c.size_bytes, c.sha256.hex] for c in contents),
        "images": sorted([str(platform), str(base) if base else ""] for platform, base in bases.items()),
        "format": format_version,
    }
    return hashlib.sha256(format_document(key)).hexdigest()


def _is_image(entry: Mapping[str, Any]) -> bool:
    return (entry.get("platform") or {}).get("os") != "unknown"
