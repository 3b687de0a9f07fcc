"""Models in images: `oci://registry/repository:tag`, a ModelCar that somebody has pushed. Nothing is unpacked to disk.

In an image of ours the manifest says all that there is to know. Of any other, the headers of plain layers are read, by
ranges. Gzip layers are read once to list them, and from their start once more for files that are opened, for gzip
cannot be entered in the middle; a file that lies behind the last one of its layer goes on from there. What lies in the
base image's layers counts as well there, because nothing tells them apart.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelcar.distribution.blob import BlobReader, StoredBlob
from modelcar.distribution.client import Access
from modelcar.errors import ContentMismatch, DistributionError, InvalidReference, SourceNotFound, UnsafeContent
from modelcar.image.archive import FILE, Member, walk
from modelcar.image.gunzip import Gunzip
from modelcar.image.layer import ROOT, file_header, padded
from modelcar.image.manifest import (
    DOCKER_LAYER_TYPE,
    LAYER_TYPE,
    Descriptor,
    layer_contents,
)
from modelcar.image.overlay import Overlay
from modelcar.reference import Digest, ImageReference, Platform
from modelcar.snapshot import LeftOut, ModelFile, ModelSnapshot
from modelcar.sources.patterns import Patterns, utf8_order
from modelcar.stored_image import StoredImage, fetch_image

SCHEME = "oci://"
_PLAIN = (LAYER_TYPE, DOCKER_LAYER_TYPE)
_GZIP = (f"{LAYER_TYPE}+gzip", f"{DOCKER_LAYER_TYPE}.gzip")


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a file of the image is.

    Attributes:
        layer: Which blob.
        file: Its path is below `/models`; its digests are known as far as somebody has computed them.
    """

    layer: Descriptor
    file: ModelFile


class _Unpacked(Gunzip):
    """A gzip layer that is read for one file after the other; its connection is closed when nobody holds it."""

    def __init__(self, blob: StoredBlob) -> None:
        reader = BlobReader(blob)
        super().__init__(iter(reader.read_block, b""), blob.what)
        weakref.finalize(self, reader.close)


class ImageSource:
    """The files below `/models` of one image."""

    def __init__(self, uri: str, patterns: Patterns, platform: Platform, access: Access) -> None:
        """Read the URI; nothing is asked before `snapshot`.

        Args:
            uri: `oci://registry/repository`, with a tag, a digest or neither, which is `latest`.
            patterns: Which files to take.
            platform: Chooses from an index. An image by itself is taken for what it is: a model has no platform.
            access: How its registry is reached.

        Raises:
            InvalidReference: It is no such address.
        """
        if not uri.startswith(SCHEME):
            raise InvalidReference(f"{uri!r} is not an image", hint=f"Write {SCHEME}registry/repository:tag.")
        self._reference = ImageReference.parse(uri.removeprefix(SCHEME))
        self._patterns, self._platform, self._access = patterns, platform, access
        self._named: StoredImage | None = None
        self._image: StoredImage | None = None
        self._found: dict[str, tuple[Member, _Found]] = {}
        self._parked: dict[Digest, _Unpacked] = {}

    @property
    def named(self) -> StoredImage:
        """What the URI named when it was first looked up, maybe an index; a tag that moves later does not count."""
        if self._named is None:
            hint = "Check registry, repository and tag."
            self._named = fetch_image(self._reference, self._access, kind="image", hint=hint)
        return self._named

    @property
    def image(self) -> StoredImage:
        """The image that the files are taken from: of an index, that of the platform."""
        if self._image is None:
            self._image = self.named.on(self._platform)
        return self._image

    def snapshot(self) -> ModelSnapshot:
        """List the files.

        Raises:
            ImageNotFound: No such image.
            SourceNotFound: It has no files below `/models`, or none is left after the patterns.
            UnsafeContent: A link or a device below `/models`, a name that no image can hold, or a pickle.
            DistributionError: It is no image, it has a layer that cannot be read, or the registry fails.
            ContentMismatch: A layer is not what the manifest says.
        """
        image, overlay = self.image, Overlay[_Found]()
        for layer in _model_layers(image):
            overlay.add(_list_layer(image, layer), image.what)
        found = overlay.entries
        if not found:
            raise SourceNotFound(f"{image.what} has no files in /{ROOT}", hint="It is no ModelCar; name another image.")
        ignored = self._raise_faults(found)
        files = [entry.file for member, entry in found.values() if member.kind == FILE]
        chosen, left_out = self._patterns.select(files, image.what)
        self._found = found
        uri = f"{SCHEME}{self._reference.at(image.manifest.digest)}"
        left_out = tuple(sorted((*left_out, *ignored), key=utf8_order))
        return ModelSnapshot(uri, self._reference.tag, None, chosen, left_out)

    @contextmanager
    def open(self, file: ModelFile, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """Read a file from `offset` to its end; see `modelcar.snapshot.Source`."""
        if not self._found:
            self.snapshot()
        if file.path not in self._found:
            raise SourceNotFound(f"{self.image.what} has no {file.path}")
        member, found = self._found[file.path]
        blob, begin, end = self.image.blob(found.layer), member.offset + offset, member.offset + member.size_bytes
        if found.layer.media_type in _PLAIN:
            with BlobReader(blob, begin, end) as reader:
                yield iter(reader.read_block, b"")
        else:
            tar = self._parked.pop(found.layer.digest, None)
            if tar is None or tar.position > begin:
                tar = _Unpacked(blob)
            tar.skip_to(begin)
            yield _blocks(tar, end)
            self._parked[found.layer.digest] = tar

    @property
    def can_be_sampled(self) -> bool:
        """Not every registry gives parts of layers, and gzip has none; see `modelcar.snapshot.Source`."""
        return False

    def close(self) -> None:
        """Close the layers that were kept for their next file; see `modelcar.snapshot.Source`."""
        self._parked.clear()

    def _raise_faults(self, found: dict[str, tuple[Member, _Found]]) -> list[LeftOut]:
        """Raise for the first entry that is no file, unless the patterns leave it out; returns those."""
        ignored = []
        for path, (member, _) in sorted(found.items()):
            if member.kind != FILE:
                reason = self._patterns.reason_against(path)
                if reason is None:
                    raise UnsafeContent(
                        f"/{ROOT}/{path} of {self.image.what} is {member.kind}",
                        hint="Only files and directories go into an image; leave it out with --ignore.",
                    )
                ignored.append(LeftOut(path, member.size_bytes, reason))
        return ignored


def _model_layers(image: StoredImage) -> tuple[Descriptor, ...]:
    """The layers that may have files of the model: all, but for the base's where we have made the image.

    Raises:
        DistributionError: It is no image.
    """
    if not image.layers:
        raise DistributionError(f"{image.what} is no image", hint=f"Name an image that has the model in /{ROOT}.")
    return image.layers[len(image.base_layers or ()) :]


def _list_layer(image: StoredImage, layer: Descriptor) -> list[tuple[Member, _Found]]:
    """The entries of a layer, with digests where they are known or come for nothing."""
    contents = layer_contents(layer)
    if contents is not None:
        entries, offset = [], 0
        for content in contents:
            file = ModelFile(content.path, content.size_bytes, content.sha256, content.git_blob_id)
            offset += len(file_header(file.path, file.size_bytes))
            entries.append((Member(f"{ROOT}/{file.path}", FILE, offset, file.size_bytes), _Found(layer, file)))
            offset += padded(file.size_bytes)
        return entries
    if layer.media_type in _PLAIN:
        return _list_plain(image, layer)
    if layer.media_type in _GZIP:
        return _list_gzip(image, layer)
    raise DistributionError(
        f"{image.what} has a layer of type {layer.media_type}, which is not read here",
        hint="Layers are read that are plain tars or gzip; skopeo copy --dest-compress-format gzip makes those.",
    )


def _list_plain(image: StoredImage, layer: Descriptor) -> list[tuple[Member, _Found]]:
    entries, blob = [], image.blob(layer)
    with BlobReader(blob) as tar:
        for member in walk(tar, blob.what):
            if member.offset + member.size_bytes > len(blob):
                raise _cut_off(blob)
            entries.append((member, _Found(layer, ModelFile(_below_root(member), member.size_bytes))))
    return entries


def _list_gzip(image: StoredImage, layer: Descriptor) -> list[tuple[Member, _Found]]:
    """All of the layer passes, so its digest is checked, and the files' are computed for what comes later."""
    entries, blob = [], image.blob(layer)
    packed = iter(blob)
    tar = Gunzip(packed, blob.what)
    for member in walk(tar, blob.what):
        sha256, end = hashlib.sha256(), member.offset + member.size_bytes
        for block in _blocks(tar, end if _below_root(member) else tar.position):
            sha256.update(block)
        tar.skip_to(end)
        if tar.position < end:
            raise _cut_off(blob)
        file = ModelFile(_below_root(member), member.size_bytes, Digest(sha256.hexdigest()))
        entries.append((member, _Found(layer, file)))
    for _ in packed:
        pass
    return entries


def _blocks(tar: Gunzip, end: int) -> Iterator[bytes]:
    """Up to `end`, in blocks of at most 1 MiB."""
    while block := tar.read(min(1 << 20, end - tar.position)):
        yield block


def _below_root(member: Member) -> str:
    """The path below `/models`; empty for what is not there."""
    root, *rest = [part for part in member.name.split("/") if part not in ("", ".")] or [""]
    return "/".join(rest) if root == ROOT else ""


def _cut_off(blob: StoredBlob) -> ContentMismatch:
    return ContentMismatch(f"{blob.what} ends in the middle of a file", hint="Push the image again, or name another.")
