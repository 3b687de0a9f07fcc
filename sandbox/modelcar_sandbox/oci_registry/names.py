"""Repository names, tags and digests: checked once, before they become paths on disk.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests (names and tags),
https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests (digests).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from modelcar_sandbox.oci_registry.errors import Refusal

if TYPE_CHECKING:
    from hashlib import _Hash

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HEX = re.compile(r"[0-9a-f]+")
LONGEST_NAME = 255
HEX_DIGITS = {"sha256": 64, "sha512": 128}


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A digest of bytes; `str(Digest.parse(s)) == s`.

    Attributes:
        algorithm: `sha256` or `sha512`.
        hex: Lower-case hexadecimal digits, as many as the algorithm has.
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `algorithm:hex`.

        Raises:
            Refusal: DIGEST_INVALID; another algorithm, length or alphabet.
        """
        algorithm, _, digits = text.partition(":")
        if len(digits) != HEX_DIGITS.get(algorithm) or not _HEX.fullmatch(digits):
            raise Refusal("DIGEST_INVALID", "not a sha256 or sha512 digest", text)
        return cls(algorithm, digits)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    @classmethod
    def taken(cls, hasher: _Hash) -> Self:
        """Digest of what `hasher` has seen."""
        return cls(hasher.name, hasher.hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def check_name(name: str) -> str:
    """Return the repository name.

    Raises:
        Refusal: NAME_INVALID; it is none, or has more than 255 characters.
    """
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise Refusal("NAME_INVALID", "not a repository name", {"name": name})
    return name


def check_tag(tag: str) -> str:
    """Return the tag.

    Raises:
        Refusal: MANIFEST_INVALID; it is none. The specification has no code of its own for tags.
    """
    if not _TAG.fullmatch(tag):
        raise Refusal("MANIFEST_INVALID", "not a tag", {"tag": tag})
    return tag


def check_reference(text: str) -> str | Digest:
    """Return a digest when there is a colon in `text`, else a tag.

    Raises:
        Refusal: DIGEST_INVALID or MANIFEST_INVALID; it is neither.
    """
    return Digest.parse(text) if ":" in text else check_tag(text)
