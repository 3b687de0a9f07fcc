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

ATTEMPTS = 5
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


def retry(
    action: Callable[[], T],
    *,
    attempts: int = ATTEMPTS,
    first_delay_s: float = FIRST_DELAY_S,
    wait: Callable[[float], None] = time.sleep,
    before_retry: Callable[[], None] = lambda: None,
) -> T:
    """Call `action` until it succeeds, its error is not retryable, or the attempts are used up.

    Waits double from `first_delay_s` to at most 30 s, with full jitter, so that writers who failed together do not
    come back together; when the other side named a time (`retry_after_s`), that time is waited instead.

    Args:
        action: The work; called without arguments, at most `attempts` times.
        attempts: Calls in all, at least 1.
        first_delay_s: Upper bound of the first wait, in seconds.
        wait: Replaced in tests.
        before_retry: Called after each wait, before the next attempt.

    Returns:
        What `action` returned.

    Raises:
        PromotionError: The last one that `action` raised.
    """
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except PromotionError as error:
            if not error.retryable or attempt == attempts:
                raise
            delay_s = random.uniform(0, min(LONGEST_DELAY_S, first_delay_s * 2 ** (attempt - 1)))  # noqa: S311
            if error.retry_after_s is not None:
                delay_s = min(error.retry_after_s, 10 * LONGEST_DELAY_S)
            log.warning("%s; attempt %d of %d in %.1f s", error, attempt + 1, attempts, delay_s)
            wait(delay_s)
            before_retry()
    raise AssertionError(attempts)  # pragma: no cover
