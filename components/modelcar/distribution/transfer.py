"""One blob on its way to a registry, whatever happens to it there.

Of an upload that breaks off, a registry that knows how far it came gets the rest; another gets all again, from the
source and with a new session. A registry that refuses a way of sending gets the next one of its ladder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from modelcar.distribution.client import Registry
from modelcar.distribution.feed import Feed, Part, UnstatedPart, Whole
from modelcar.distribution.ladder import Ladder, Rung, UploadLost, is_explicit
from modelcar.distribution.upload import (
    Blob,
    UploadSession,
    cancel_upload,
    commit_upload,
    find_progress,
    has_blob,
    push_scope,
    send_part,
    start_upload,
)
from modelcar.errors import ContentMismatch, DistributionError, PromotionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar.retry import ATTEMPTS, Attempts, retry

log = logging.getLogger(__name__)

_COMMITS = 3
"""How often the last, empty request of an upload is sent before all its bytes are sent again."""
_STALLS = 3
"""How often in a row a session is gone on with in vain: one cut or one 503 is no reason to send all bytes again."""
_SESSIONS = ATTEMPTS
"""How many sessions of one blob may fail, however far each of them came: each may cost all its bytes."""
_LOST_HINT = "Look at its log; uploads have to reach one and the same storage, however many servers share the work."


class _Upload:
    """An open session and the pass over the blob that feeds it.

    Attributes:
        sent: Bytes that the registry has taken.
        furthest: The most that `sent` came to when an attempt had failed.
        asked: Whether `sent` is what the registry said of an upload that broke off.
        resumed: Whether it has said so once, and was believed.
        stalls: How often in a row it said so and had no more than before.
        complete: Whether all bytes were taken, so that only the last request is missing.
    """

    def __init__(self, session: UploadSession, feed: Feed) -> None:
        self.location, self.least_chunk_bytes = session.location, session.least_chunk_bytes
        self.feed = feed
        self.sent = self.furthest = 0
        self.asked = self.resumed = self.complete = False
        self.stalls = 0

    def has_got_on(self) -> bool:
        """Whether the registry has more than after any attempt before; asked once per attempt."""
        before, self.furthest = self.furthest, max(self.furthest, self.sent)
        return self.furthest > before


class Transfer:
    """Sends one blob to one repository."""

    def __init__(
        self,
        registry: Registry,
        repository: str,
        blob: Blob,
        digest: Digest | None,
        wait: Callable[[float], None],
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            registry: Where to.
            repository: Path below it.
            blob: What; a `BlobStream` where `digest` is None.
            digest: If it is known.
            wait: Called with the seconds between two attempts; may raise to end it all.
        """
        self._registry, self._repository, self._wait = registry, repository, wait
        self._blob, self._digest = blob, digest
        self._ladder: Ladder = registry.ladder
        self._rung = self._ladder.first(len(blob), known=digest is not None)
        self._hashed: Digest | None = None
        self._refused: set[Rung] = set()
        self._all_explicit = True
        self._losses = self._failed_sessions = 0
        self._upload: _Upload | None = None

    def run(self) -> Digest:
        """Send it.

        Returns:
            Its digest, as the registry has confirmed it.

        Raises:
            DistributionError: After all attempts, or not retryable.
            ContentMismatch: The blob had other bytes when it was read a second time.
            PromotionError: What reading the blob raised, or `wait`.
        """
        attempts = Attempts(self._registry.attempts, wait=self._wait)
        try:
            while True:
                try:
                    digest = self._put() if self._rung.way == "put" else self._patch()
                except DistributionError as error:
                    if self._is_of_origin(error):
                        raise
                    if not self._climb(error):
                        self._wait_or_give_up(error, attempts)
                else:
                    if self._refused and self._all_explicit:
                        self._ladder.remember(self._rung, known=self._digest is not None)
                    return digest
        except PromotionError:
            self._give_back()
            raise

    def _is_of_origin(self, error: DistributionError) -> bool:
        """Whether it came of reading the blob from another registry: it had its attempts there."""
        return self._upload is not None and error is self._upload.feed.failure

    def _wait_or_give_up(self, error: DistributionError, attempts: Attempts) -> None:
        """Only a session that goes on is a reason to begin a new count: what was sent to another one is sent again."""
        if not self._may_resume(error):
            self._fail_session(error)
        elif self._upload is not None and self._upload.has_got_on():
            attempts.succeeded()
        attempts.failed(error)

    def _fail_session(self, error: DistributionError) -> None:
        """Give a session back for good.

        Raises:
            DistributionError: `error`, when too many of them failed.
        """
        if self._upload is None:
            return
        self._give_back()
        self._failed_sessions += 1
        if self._failed_sessions >= _SESSIONS:
            raise error

    def _put(self) -> Digest:
        """One request with all bytes; a stream is read for its digest before."""
        digest = self._digest or self._hashed
        if digest is None:
            digest = self._hashed = self._hash()
            if self._is_there(digest):
                return digest
        upload = self._open()
        try:
            commit_upload(self._registry, self._repository, upload.location, digest, Whole(upload.feed))
        except DistributionError as error:
            if self._is_of_origin(error):
                raise
            # The bytes that were read had the digest: if the registry has others, some got lost on the way.
            if error.code == "DIGEST_INVALID" and _digest_of(self._blob) == digest:
                raise self._lost(error, resumed=False) from None
            raise
        finally:
            if self._digest is None and _digest_of(self._blob) not in (None, digest):
                raise _changed()
        self._upload = None
        return digest

    def _hash(self) -> Digest:
        try:
            for _ in self._blob:
                pass
        except DistributionError as error:  # of where it is read, which had its attempts
            error.retryable = False
            raise
        return _known(_digest_of(self._blob))

    def _is_there(self, digest: Digest) -> bool:
        return has_blob(self._registry, self._repository, digest, scope=push_scope(self._repository))

    def _open(self) -> _Upload:
        self._upload = _Upload(start_upload(self._registry, self._repository), Feed(self._blob))
        return self._upload

    def _patch(self) -> Digest:
        """All bytes by one request or by several, then the digest."""
        if self._upload is not None and not self._find_position(self._upload):
            lost = f"{self._registry.host} lost upload after upload to {self._repository}"
            self._fail_session(DistributionError(lost, hint=_LOST_HINT))
        upload = self._upload or self._open()
        while upload.sent < upload.feed.size_bytes:
            self._send_next(upload)
        upload.complete = True
        upload.feed.finish()
        read = _digest_of(self._blob)
        digest = _known(self._digest or read)
        if read not in (None, digest):
            raise _changed()
        self._commit(upload, digest)
        self._upload = None
        return digest

    def _find_position(self, upload: _Upload) -> bool:
        """Whether the registry and the pass can go on together."""
        found = find_progress(self._registry, self._repository, upload.location)
        if found is None or found[1] == 0 or not upload.feed.reaches(found[1]):
            return False
        upload.stalls = upload.stalls + 1 if upload.asked and found[1] <= upload.sent else 0
        if upload.stalls >= _STALLS:  # it knows where it stands, and does not get on from there
            return False
        upload.location, upload.sent = found
        upload.asked = upload.resumed = True
        log.warning("going on at byte %d of %d", upload.sent, upload.feed.size_bytes)
        return True

    def _send_next(self, upload: _Upload) -> None:
        start, stop = upload.sent, upload.feed.size_bytes
        if self._rung.chunk_bytes is not None:
            stop = min(stop, start + max(self._rung.chunk_bytes, upload.least_chunk_bytes))
        whole = start == 0 and stop == upload.feed.size_bytes
        part = (UnstatedPart if self._rung.way == "patch without length" else Part)(upload.feed, start, stop)
        span = None if whole else (start, stop - 1)
        try:
            upload.location = send_part(self._registry, self._repository, upload.location, part, span)
        except DistributionError as error:
            if start > 0 and not self._is_of_origin(error) and _is_unfit(error):
                raise self._lost(error, resumed=upload.asked) from None
            raise
        if upload.feed.taken < stop:  # answered before it had everything
            raise DistributionError(
                f"{self._registry.host} closed an upload to {self._repository} early", retryable=True
            )
        upload.sent, upload.asked = stop, False

    def _commit(self, upload: _Upload, digest: Digest) -> None:
        """The last request, which is repeated, so that hours of bytes are not sent again for it."""
        try:
            retry(
                lambda: commit_upload(self._registry, self._repository, upload.location, digest, None),
                attempts=_COMMITS,
                wait=self._wait,
            )
        except DistributionError as error:
            # The bytes that were read had the digest: if the registry has others, some got lost on the way.
            if error.code == "DIGEST_INVALID" and _digest_of(self._blob) == digest:
                raise self._lost(error, resumed=upload.resumed) from None
            raise

    def _lost(self, error: DistributionError, *, resumed: bool) -> UploadLost:
        """The same error, as one that a new session may mend."""
        if resumed:
            self._ladder.resumes = False
        return UploadLost(str(error), status=error.status, code=error.code, retryable=True)

    def _climb(self, error: DistributionError) -> bool:
        """Take the next way if this one is what the registry refuses."""
        upload = self._upload
        if upload is None or (upload.complete and not isinstance(error, UploadLost)):
            return False
        self._losses += isinstance(error, UploadLost)
        following = self._ladder.after(self._rung, error, upload.feed.size_bytes, self._losses)
        if following is None or following == self._rung or following in self._refused:
            return False
        log.warning("%s; sending it otherwise: %s", error, following)
        self._give_back()
        self._refused.add(self._rung)
        self._all_explicit &= is_explicit(error)
        self._rung, self._losses = following, 0
        return True

    def _may_resume(self, error: DistributionError) -> bool:
        return (
            error.retryable and not isinstance(error, UploadLost) and self._rung.way != "put" and self._ladder.resumes
        )

    def _give_back(self) -> None:
        """End the session, for what it holds may be as large as a layer."""
        if self._upload is not None:
            self._upload.feed.close()
            cancel_upload(self._registry, self._repository, self._upload.location)
            self._upload = None


def _is_unfit(error: DistributionError) -> bool:
    """Whether a registry refuses a part that should follow what it has."""
    if isinstance(error, UploadLost):
        return True
    if error.status is None or error.retryable or isinstance(error, RegistryAccessDenied):
        return False
    return error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _digest_of(blob: Blob) -> Digest | None:
    """What a stream's last pass came to, None where it has not ended; what a stored blob has to come to."""
    return cast(Digest | None, getattr(blob, "digest", None))


def _changed() -> ContentMismatch:
    return ContentMismatch("a layer changed while it was read", hint="Run it again.")


def _known(digest: Digest | None) -> Digest:
    if digest is None:  # pragma: no cover - a complete pass sets it
        raise AssertionError("a stream without a digest")
    return digest
