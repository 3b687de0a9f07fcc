"""Room on the file system of a workspace, and what its refusals mean."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from modelcar.errors import InvalidInput, PromotionError, WorkspaceError

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_REFUSED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))


class Room:
    """What a download into one directory still needs.

    Attributes:
        needed_bytes: Still to be written, as far as it is known.
    """

    def __init__(self, root: bytes, name: str) -> None:
        """Nothing is needed yet.

        Args:
            root: The directory; need not be there.
            name: Its name for messages.
        """
        self.needed_bytes = 0
        self._root, self._name = root, name

    def check(self, needed_bytes: int, removed_bytes: int) -> None:
        """See that what is still to come fits.

        Args:
            needed_bytes: Will be written.
            removed_bytes: Will be removed before.

        Raises:
            WorkspaceError: It does not fit.
        """
        self.needed_bytes = needed_bytes
        free_bytes = self._free_bytes()
        if free_bytes is not None and needed_bytes > free_bytes + removed_bytes:
            raise self._full(free_bytes + removed_bytes)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the file system refuses into our errors.

        Raises:
            InvalidInput: The directory may not be written.
            WorkspaceError: It is full in spite of what was free at the start, or fails.
        """
        try:
            yield
        except OSError as error:
            raise self._describe(error) from error

    def _describe(self, error: OSError) -> PromotionError:
        if error.errno in _FULL:
            return self._full(self._free_bytes() or 0)
        if error.errno in _REFUSED:
            return InvalidInput(
                f"{self._name} cannot be written: {error.strerror}",
                hint=f"Let user {os.geteuid()} write there, or name another directory.",
            )
        return WorkspaceError(f"{self._name} cannot be used: {error.strerror or error}")

    def _full(self, free_bytes: int) -> WorkspaceError:
        return WorkspaceError(
            f"{self._name} has not enough room: {self.needed_bytes} bytes are still to come, and {free_bytes} are free",
            hint="Make room or take a larger volume, and run it again; it goes on where it stopped.",
        )

    def _free_bytes(self) -> int | None:
        """What this user may still write; None where the file system does not say."""
        try:
            status = os.statvfs(self._root)
        except OSError:
            return None
        return status.f_bavail * status.f_frsize if status.f_blocks else None
