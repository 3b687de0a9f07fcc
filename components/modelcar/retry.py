"""The one retry helper."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from modelcar.errors import PromotionError

T = TypeVar("T")
log = logging.getLogger(__name__)

ATTEMPTS = 8
"""Enough to outlast a server that restarts: with the delays below, 45 to 91 seconds."""
CONTACT_ATTEMPTS = 3
"""For a host that has never answered: its name may be wrong, and whoever typed it waits. 1.5 to 3 seconds."""
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
LONGEST_ASKED_S = 300.0


class Attempts:
    """Counts the failures in a row of one piece of work, and waits between them.

    For work that goes on where it broke off; `retry` is for work that begins anew.
    """

    def __init__(
        self,
        attempts: int = ATTEMPTS,
        *,
        first_delay_s: float = FIRST_DELAY_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attempts, self._first_delay_s, self._wait = attempts, first_delay_s, wait
        self._failures = 0

    def succeeded(self) -> None:
        """Begin a new count."""
        self._failures = 0

    def failed(self, error: PromotionError) -> None:
        """Wait until the next attempt may begin.

        Waits double to at most 30 s, the second half of each at random, so that writers who failed together do not come
        back together; when the other side named a time (`retry_after_s`), that time is waited, up to 5 minutes.

        Raises:
            PromotionError: `error` itself, when it is not retryable or the attempts are used up.
        """
        self._failures += 1
        if not error.retryable or self._failures >= self._attempts:
            raise error
        longest_s = min(LONGEST_DELAY_S, self._first_delay_s * 2 ** (self._failures - 1))
        delay_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not cryptography
        if error.retry_after_s is not None:
            delay_s = min(error.retry_after_s, LONGEST_ASKED_S)
        log.warning("%s; attempt %d of %d in %.1f s", error, self._failures + 1, self._attempts, delay_s)
        self._wait(delay_s)

    def failed_here(self, error: PromotionError) -> None:
        """As `failed`; but whoever meets the error above must not begin anew for it, for all attempts were had here.

        Raises:
            PromotionError: `error` itself, not retryable any more.
        """
        try:
            self.failed(error)
        except PromotionError:
            error.retryable = False
            raise


def retry(
    action: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    first_delay_s: float = FIRST_DELAY_S,
    wait: Callable[[float], None] = time.sleep,
) -> T:
    """Call `action` until it succeeds, its error is not retryable, or the attempts are used up.

    Args:
        action: The work; called without arguments, at most `attempts` times.
        attempts: Calls in all, at least 1.
        first_delay_s: Upper bound of the first wait, in seconds.
        wait: Replaced in tests.

    Returns:
        What `action` returned.

    Raises:
        PromotionError: The last one that `action` raised.
    """
    count = Attempts(attempts, first_delay_s=first_delay_s, wait=wait)
    while True:
        try:
            return action()
        except PromotionError as error:
            count.failed(error)
