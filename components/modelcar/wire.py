"""What all clients of HTTP servers read alike: why there was no answer, how long to wait, whose an address is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from modelcar.errors import PromotionError

PORTS: Mapping[str, int] = {"http": 80, "https": 443}
"""The ports that addresses without one mean."""

_RATE_LIMIT_RESET = re.compile(r";\s*t\s*=\s*(\d+)")


def find_causes(error: BaseException) -> list[BaseException]:
    """The exception and those below it, innermost last: requests wraps what urllib3 wraps.

    What was being handled when it was raised is no part of it: errors of this package end the search.
    """
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        inner = getattr(current, "reason", None)
        following = inner if isinstance(inner, BaseException) else current.__cause__ or current.__context__
        if following is None and current.args and isinstance(current.args[0], BaseException):
            following = current.args[0]
        current = None if isinstance(following, PromotionError) else following
    return found


def find_reason(error: BaseException) -> str:
    """Why a request failed, in the operating system's or the TLS library's words, else as an exception's name.

    The text of other exceptions is never used: it may hold a signed address or a header with a token.
    """
    causes = find_causes(error)
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return (
        "no answer in time" if any(isinstance(cause, TimeoutError) for cause in causes) else type(causes[-1]).__name__
    )


def parse_seconds(value: object) -> float | None:
    """A number of seconds as a header or a JSON document gives it; None for what is none, or is below 0."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    seconds = value if isinstance(value, float) else float(text) if text.isascii() and text.isdigit() else -1.0
    return seconds if 0.0 <= seconds < math.inf else None


def read_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds that the other side asks to wait: `Retry-After` (seconds or a date), else `RateLimit`, else None.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after, https://huggingface.co/docs/hub/rate-limits.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        reset = _RATE_LIMIT_RESET.search(headers.get("RateLimit", ""))
        return parse_seconds(reset[1]) if reset else None
    if (seconds := parse_seconds(text)) is not None:
        return seconds
    try:
        when = parsedate_to_datetime(text)
        # A date without a zone is UTC. Source: RFC 5322, 3.3, of `-0000`.
        when = when.astimezone(UTC) if when.tzinfo is not None else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, in lower case and with the port that the scheme implies: what a token is for.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def host_of(url: str) -> str:
    """Host and port as the URL has them, without anything that could be secret.

    Raises:
        ValueError: It is no URL.
    """
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
