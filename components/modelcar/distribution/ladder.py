"""In which ways a registry takes blobs, and which comes next where one is refused.

Best first: one `PATCH` of everything, for an upload that breaks off can be gone on with; one `PUT` of what is small and
of known digest, and of all that is known where nothing is gone on with. Then, where a proxy limits a body, several
`PATCH` requests of a length that it takes; where `PATCH` is refused, or uploads get lost between its requests, one
`PUT`, for which a stream is read twice. There is no copy on disk among them, for every source can be read again.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs, `registries.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from modelcar.distribution.registries import MIB, RegistryProfile, Way
from modelcar.errors import DistributionError

CHUNK_BYTES = (64 * MIB, 16 * MIB, 4 * MIB, MIB)
"""Lengths of a `PATCH` among several, tried in this order: below the 100 MB of Cloudflare, the 4 MiB of GitHub, and
what nginx takes where nobody set a limit.

Source: https://developers.cloudflare.com/workers/platform/limits/#request-limits,
https://nginx.org/en/docs/http/ngx_http_core_module.html#client_max_body_size.
"""
SINGLE_PUT_BYTES = 16 * MIB
"""A blob of known digest up to this size goes in one request: to send it again costs less than one more for each."""
LOSSES = 2
"""How many uploads of one blob may get lost before another way is tried: once may be a registry that was restarted."""

_NO_PATCH = frozenset(
    {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.LENGTH_REQUIRED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 501}
)
_TOO_LARGE = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


class UploadLost(DistributionError):
    """The registry knows nothing of an upload any more, or not all that was sent; a new one may do."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to send a blob.

    Attributes:
        way: As `RegistryProfile` names it.
        chunk_bytes: Of each `PATCH` but the last where there are several; else None.
    """

    way: Way
    chunk_bytes: int | None = None

    def __str__(self) -> str:
        words = {"patch": "one PATCH", "patch without length": "one PATCH without a length", "put": "one PUT"}
        return words.get(self.way) or f"PATCH requests of {self.chunk_bytes} bytes"


class Ladder:
    """What works at one registry, for as long as the run lasts; used by several threads.

    Attributes:
        resumes: Whether an upload that broke off may be gone on with.
    """

    def __init__(self, profile: RegistryProfile) -> None:
        self.resumes = profile.resumes
        self._profile = profile
        self._stream = Rung(profile.stream)
        self._known: Rung | None = None

    def first(self, size_bytes: int, *, known: bool) -> Rung:
        """Where to begin with a blob of this size, whose digest is known or not."""
        if not known:
            return self._stream
        if self._known is not None:
            return self._known
        return self._stream if size_bytes > SINGLE_PUT_BYTES and self.resumes else Rung("put")

    def remember(self, rung: Rung, *, known: bool) -> None:
        """Begin there from now on."""
        if known:
            self._known = rung
        else:
            self._stream = rung

    def after(self, rung: Rung, error: DistributionError, size_bytes: int, losses: int) -> Rung | None:
        """Where to go on with a blob that was not taken.

        Args:
            rung: The way that it was sent.
            error: What came of it.
            size_bytes: Of the blob.
            losses: How many uploads of it got lost so.

        Returns:
            None when the fault is not the way's: then it is for the caller to try again, or to give up.
        """
        refused = _is_refused(error)
        if isinstance(error, UploadLost) and not refused:
            return Rung("put") if rung.way != "put" and losses >= LOSSES else None
        if error.status in _TOO_LARGE:
            # A server that minds the length that is stated, and not the bytes that come, as GitHub's.
            if rung.way == "patch" and error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return Rung("patch without length")
            return self._smaller(rung, size_bytes)
        if rung.way == "put" or not refused:
            return None
        unstated = rung.way == "patch without length" and error.status == HTTPStatus.LENGTH_REQUIRED
        return Rung("patch") if unstated else Rung("put")

    def _smaller(self, rung: Rung, size_bytes: int) -> Rung | None:
        if not self._profile.takes_chunks:
            return None
        least = self._profile.max_patch_bytes or CHUNK_BYTES[0]
        below = rung.chunk_bytes or size_bytes
        fitting = [length for length in CHUNK_BYTES if length <= least and length < below]
        return Rung("chunks", fitting[0]) if fitting else None


def is_explicit(error: DistributionError) -> bool:
    """Whether a registry says that it does not take a way; an upload that got lost may be of the moment."""
    return _is_refused(error) or (error.status in _TOO_LARGE and not isinstance(error, UploadLost))


def _is_refused(error: DistributionError) -> bool:
    return error.status in _NO_PATCH or error.code == "UNSUPPORTED"
