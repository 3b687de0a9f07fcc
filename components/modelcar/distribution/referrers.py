"""What refers to an image: signatures, SBOMs and the like, manifests with the image as their `subject`.

A registry lists them by its referrers API; one without it keeps an index under a tag made from the image's digest,
which whoever pushes a referrer has to write.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers,
#referrers-tag-schema and #pushing-manifests-with-subject.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcar.distribution.blob import StoredBlob
from modelcar.distribution.destination import StoredManifest
from modelcar.errors import DistributionError, ImageNotFound, InvalidReference
from modelcar.reference import Digest

if TYPE_CHECKING:
    from modelcar.distribution.repository import Repository

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_MOST_PAGES = 100
_MOST_BYTES = 16 << 20
"""Of one list, over all its pages: it is held in memory."""
_MOST_REFERRERS = 10_000
"""In one list, and of one image with all that refers to its referrers."""
_MOST_LEVELS = 8
"""Of indexes in one another."""


@dataclass(frozen=True, slots=True)
class Referrer:
    """One entry of a list of referrers.

    Attributes:
        digest: Of the manifest that has the subject.
        size_bytes: Of the manifest.
        media_type: Of the manifest.
        artifact_type: What it is: `application/vnd.dev.sigstore.bundle.v0.3+json`, …; None where nobody says.
        annotations: Of the manifest.
    """

    digest: Digest
    size_bytes: int
    media_type: str
    artifact_type: str | None
    annotations: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The entry as it stands in an index."""
        entry: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size_bytes,
        }
        if self.artifact_type is not None:
            entry["artifactType"] = self.artifact_type
        return {**entry, "annotations": dict(self.annotations)} if self.annotations else entry


def fallback_tag(subject: Digest) -> str:
    """Where a registry without the API keeps the list."""
    return f"sha256-{subject.hex}"


def parse_referrers(content: bytes, name: str) -> tuple[Referrer, ...]:
    """Read a list of referrers.

    Args:
        content: An image index.
        name: The repository, for messages.

    Raises:
        DistributionError: It is none.
    """
    try:
        return tuple(_parse(entry) for entry in json.loads(content)["manifests"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"{name} has a list of referrers that makes no sense") from error


def format_referrers(referrers: Iterable[Referrer]) -> bytes:
    """Write a list of referrers, as it is kept under `fallback_tag`."""
    entries = [referrer.to_json() for referrer in referrers]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}).encode()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a registry's list, and the address of the next one."""

    content: bytes
    following: str | None


def read_pages(path: str, fetch: Callable[[str], Page | None], name: str) -> tuple[Referrer, ...] | None:
    """Read a list page by page.

    Args:
        path: Of the first page.
        fetch: Gets a page; None where there is no such list.
        name: The repository, for messages.

    Returns:
        None when there is no list at all.

    Raises:
        DistributionError: It does not end, or not before it is too much to hold; or it makes no sense.
    """
    found: list[Referrer] = []
    size_bytes = 0
    for number in range(_MOST_PAGES):
        page = fetch(path)
        if page is None:
            return tuple(found) if number else None
        size_bytes += len(page.content)
        found += parse_referrers(page.content, name)
        if size_bytes > _MOST_BYTES or len(found) > _MOST_REFERRERS:
            raise _too_many(name)
        if page.following is None:
            return tuple(found)
        path = page.following
    raise DistributionError(f"{name} lists referrers without end")


def list_by_tag(repository: Repository, stored: StoredManifest) -> None:
    """Enter a manifest into the list under its subject's tag, where the registry does not keep one by itself."""
    subject, entry = describe_referrer(stored, repository.name)
    if subject is None:
        return
    listed = repository.find_manifest(fallback_tag(subject), accept=[INDEX_TYPE])
    known = parse_referrers(listed.content, repository.name) if listed is not None else ()
    if stored.digest not in {referrer.digest for referrer in known}:
        repository.write_manifest(format_referrers([*known, entry]), INDEX_TYPE, [fallback_tag(subject)])


def describe_referrer(stored: StoredManifest, name: str) -> tuple[Digest | None, Referrer]:
    """What a manifest refers to, and how it is listed there.

    Args:
        stored: The manifest.
        name: Its repository, for messages.

    Returns:
        Its subject, None when it has none; and its entry.

    Raises:
        DistributionError: It makes no sense.
    """
    try:
        document = json.loads(stored.content)
        subject = document.get("subject")
        # An image's kind is that of its config, where it does not say.
        kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType")
        annotations = dict(document.get("annotations") or {})
        entry = Referrer(stored.digest, len(stored.content), stored.media_type, kind, annotations)
        return Digest.parse(subject["digest"]) if subject is not None else None, entry
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"{name} has a manifest {stored.digest} that makes no sense") from error


def copy_referrers(origin: Repository, destination: Repository, subject: Digest) -> tuple[Digest, ...]:
    """Bring everything that refers to an image to another repository, and what refers to that, and so on.

    Each arrives whole before it is listed: blobs, then the manifests that an index names, then the manifest itself.
    What is there is not sent again, so a copy that broke off goes on.

    Args:
        origin: Where the referrers are.
        destination: Where the image is, too.
        subject: The image.

    Returns:
        Their digests, each before those that refer to it.

    Raises:
        ImageNotFound: One of them is listed and not there, or lacks a blob.
        DistributionError: A registry refuses, or one of them makes no sense; or there are more than 10,000, or indexes
            in one another to more than 8 levels.
        ContentMismatch: What arrived is not what was listed.
    """
    copied: list[Digest] = []
    waiting, seen = [subject], {subject}
    looked_at = 0
    while waiting:
        target = waiting.pop(0)
        there = {referrer.digest for referrer in destination.list_referrers(target)}
        for referrer in origin.list_referrers(target):
            if referrer.digest in seen:
                continue
            looked_at += 1
            if looked_at > _MOST_REFERRERS:
                raise _too_many(origin.name)
            stored = _find(origin, referrer.digest)
            if describe_referrer(stored, origin.name)[0] != target:  # a tag can list what it likes
                continue
            _copy_parts(origin, destination, stored)
            if referrer.digest not in there:
                destination.write_referrer(stored.content, stored.media_type)
            copied.append(referrer.digest)
            seen.add(referrer.digest)
            waiting.append(referrer.digest)
    return tuple(copied)


def _too_many(name: str) -> DistributionError:
    return DistributionError(f"{name} lists more referrers than are taken", hint="Look at what is stored there.")


def _copy_parts(origin: Repository, destination: Repository, stored: StoredManifest, level: int = 0) -> None:
    """Bring what a manifest names, so that a registry can take it."""
    if level > _MOST_LEVELS:
        raise DistributionError(f"{origin.name} has more than {_MOST_LEVELS} indexes in one another")
    for digest, size_bytes in _named(stored, ("config", "layers"), origin.name):
        if not (destination.has_blob(digest) or destination.mount_from(origin, digest)):
            blob = StoredBlob(origin, digest, size_bytes, what=f"a blob of {origin.name}@{stored.digest}")
            destination.write_blob(blob, digest)
    for digest, _ in _named(stored, ("manifests",), origin.name):
        if destination.find_manifest(str(digest)) is None:
            part = _find(origin, digest)
            _copy_parts(origin, destination, part, level + 1)
            destination.write_manifest(part.content, part.media_type, [])


def _named(stored: StoredManifest, keys: Sequence[str], name: str) -> list[tuple[Digest, int]]:
    """Digests and sizes of what a manifest names under some keys."""
    try:
        document = json.loads(stored.content)
        found = [document.get(key) or [] for key in keys]
        entries = [entry for one in found for entry in (one if isinstance(one, list) else [one])]
        return [(Digest.parse(entry["digest"]), _size(entry)) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, InvalidReference, RecursionError) as error:
        raise DistributionError(f"{name} has a manifest {stored.digest} that makes no sense") from error


def _find(repository: Repository, digest: Digest) -> StoredManifest:
    stored = repository.find_manifest(str(digest))
    if stored is None:
        raise ImageNotFound(f"{repository.name} lists {digest}, but does not have it")
    return stored


def _parse(entry: Mapping[str, Any]) -> Referrer:
    annotations = entry.get("annotations") or {}
    kind = entry.get("artifactType") or None
    if not isinstance(kind, str | None):
        raise TypeError(entry)
    return Referrer(Digest.parse(entry["digest"]), _size(entry), str(entry["mediaType"]), kind, dict(annotations))


def _size(entry: Mapping[str, Any]) -> int:
    size_bytes = entry["size"]
    if type(size_bytes) is not int or size_bytes < 0:
        raise TypeError(entry)
    return size_bytes
