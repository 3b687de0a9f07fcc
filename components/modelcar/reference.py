"""Digests, image references and destinations as types: parsed once, at the edge.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (names and tags),
https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests (digests),
https://github.com/distribution/reference (the grammar that joins them).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from modelcar.errors import InvalidReference

_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_PLATFORM_PART = re.compile(r"[a-z0-9][a-z0-9.]*")
_GO_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A sha256 digest of bytes as they are stored. `str(Digest.parse(s)) == s`.

    Attributes:
        hex: 64 lower-case hexadecimal digits.
    """

    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:` and 64 lower-case hex digits.

        Raises:
            InvalidReference: Anything else, other algorithms included.
        """
        if not _SHA256.fullmatch(text):
            raise InvalidReference(
                f"{text!r} is not a digest", hint="A digest is sha256: and 64 lower-case hex digits."
            )
        return cls(text.removeprefix("sha256:"))

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Digest of `content`."""
        return cls(hashlib.sha256(content).hexdigest())

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 hex digits: enough for people, and the default version name."""
        return self.hex[:12]


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`registry/repository[:tag][@digest]`. `str(ImageReference.parse(s)) == s`.

    Attributes:
        registry: Host with optional port, never empty; `docker.io` must be written out.
        repository: Path below the registry, lower case.
        tag: None when absent; there is no default tag.
        digest: None when absent.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference whose first part is a registry.

        Raises:
            InvalidReference: No registry, a scheme in front, upper case in the repository, a bad tag or digest.
        """
        if "://" in text:
            raise InvalidReference(
                f"{text!r} has a scheme in front of the image reference",
                hint="Write registry/repository:tag, without https:// or oci://.",
            )
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        registry, slash, path = rest.partition("/")
        if not slash or not _is_host(registry):
            raise InvalidReference(
                f"image reference {text!r} does not name its registry",
                hint="Write registry/repository:tag, for instance quay.io/team/model:latest.",
            )
        repository, colon, tag = path.partition(":")
        if not _REPOSITORY.fullmatch(repository):
            raise InvalidReference(
                f"{repository!r} in image reference {text!r} is not a repository name",
                hint="Repository names are lower-case letters, digits and . _ - between /.",
            )
        if colon and not _TAG.fullmatch(tag):
            raise InvalidReference(
                f"{tag!r} in image reference {text!r} is not a tag",
                hint="A tag has up to 128 letters, digits, _ . - and does not begin with . or -.",
            )
        return cls(registry, repository, tag if colon else None, digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        digest = f"@{self.digest}" if self.digest is not None else ""
        return f"{self.name}{tag}{digest}"

    @property
    def name(self) -> str:
        """`registry/repository`, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, digest: Digest) -> Self:
        """The same repository by digest, without a tag: the only form that goes downstream."""
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Self:
        """The same repository by tag, without a digest."""
        return replace(self, tag=tag, digest=None)


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """An OCI image layout directory as destination: `oci-layout:DIR[:tag]`. `str(LayoutReference.parse(s)) == s`.

    Attributes:
        directory: As written, absolute or relative to the working directory; holds no `:`.
        tag: `org.opencontainers.image.ref.name` of the entry in `index.json`; None when absent.

    Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """

    directory: Path
    tag: str | None = None

    SCHEME: ClassVar[str] = "oci-layout:"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `oci-layout:DIR[:tag]`.

        Raises:
            InvalidReference: No directory, or a tag that is none.
        """
        directory, colon, tag = text.removeprefix(cls.SCHEME).partition(":")
        if not text.startswith(cls.SCHEME) or not directory or (colon and not _TAG.fullmatch(tag)):
            raise InvalidReference(
                f"{text!r} is not an OCI layout",
                hint="Write oci-layout:DIRECTORY or oci-layout:DIRECTORY:TAG.",
            )
        return cls(Path(directory), tag if colon else None)

    def __str__(self) -> str:
        return f"{self.SCHEME}{self.directory}" + (f":{self.tag}" if self.tag is not None else "")


@dataclass(frozen=True, slots=True)
class Platform:
    """`os/architecture[/variant]`, in Go's names. `str(Platform.parse(s)) == s`.

    Attributes:
        os: `linux`, …
        architecture: `amd64`, `arm64`, `ppc64le`, `s390x`, …
        variant: `v8`, …; None when absent.

    Source: https://github.com/opencontainers/image-spec/blob/main/config.md#properties
    """

    os: str
    architecture: str
    variant: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `os/architecture` or `os/architecture/variant`.

        Raises:
            InvalidReference: Another number of parts, other characters, or the kernel's name of an architecture.
        """
        parts = text.split("/")
        if len(parts) == 2 and parts[1] in _GO_ARCHITECTURE:
            raise InvalidReference(
                f"{text!r} is not a platform", hint=f"Write {parts[0]}/{_GO_ARCHITECTURE[parts[1]]}."
            )
        if len(parts) not in (2, 3) or not all(_PLATFORM_PART.fullmatch(part) for part in parts):
            raise InvalidReference(
                f"{text!r} is not a platform", hint="Write os/architecture, for instance linux/amd64."
            )
        return cls(*parts)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def parse_tag(text: str) -> str:
    """Give `text` back when it is a tag.

    Raises:
        InvalidReference: It is none.
    """
    if not _TAG.fullmatch(text):
        raise InvalidReference(
            f"{text!r} is not a tag",
            hint="A tag has up to 128 letters, digits, _ . - and does not begin with . or -.",
        )
    return text


def parse_destination(text: str) -> ImageReference | LayoutReference:
    """Read where an image goes: an OCI layout directory, or a registry.

    Raises:
        InvalidReference: It is neither, or names a digest (the digest is the result of a push, not its argument).
    """
    if text.startswith(LayoutReference.SCHEME):
        return LayoutReference.parse(text)
    reference = ImageReference.parse(text)
    if reference.digest is not None:
        raise InvalidReference(
            f"destination {text!r} names a digest", hint="Name a tag, or nothing; the push tells the digest."
        )
    return reference


SCRATCH = "scratch"
SAME: Literal["same"] = "same"
Base = ImageReference | Literal["same"] | None
"""What a model is put on: an image; what the image has below it that is the source (`SAME`); nothing (`SCRATCH`)."""


def parse_base_image(text: str, parse_image: Callable[[str], ImageReference] = ImageReference.parse) -> Base:
    """Read what is written for a base image.

    Args:
        text: `scratch`, `same` or an image.
        parse_image: Reads an image, and refuses what is none.
    """
    if text == SCRATCH:
        return None
    return SAME if text == SAME else parse_image(text)


def _is_host(text: str) -> bool:
    """Whether the first part is a host and not the first part of a Docker Hub short name."""
    return _HOST.fullmatch(text) is not None and ("." in text or ":" in text or text == "localhost")
