"""What a failed request to a Model Registry means, as an error to raise.

`NotFound` and `Conflict` are answers that `entities` and `registration` act on; they leave this package only when
nothing can be done about them.
"""

from __future__ import annotations

import json
import os
import ssl
from typing import TYPE_CHECKING, Any, Final

from modelcar.errors import ModelRegistryAccessDenied, ModelRegistryError

if TYPE_CHECKING:
    import aiohttp

# A 500 may also be a text that the database cannot hold; no code tells them apart, and asking again does no harm.
_RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_QUOTE: Final = 200


class NotFound(ModelRegistryError):
    """The server answered 404."""


class Conflict(ModelRegistryError):
    """The server answered 409: the name or the external id is taken."""


def describe_answer(url: str, error: Any, *, token_sent: bool) -> ModelRegistryError:
    """What an answer that is no success means.

    Args:
        url: The server's address.
        error: An `mr_openapi.ApiException`.
        token_sent: Whether the request carried a token.
    """
    status = error.status
    if status == 0 or 300 <= status < 400:
        return describe_nonsense(url)
    if status == 401:
        return _describe_unauthorized(url, token_sent=token_sent)
    if status == 403:
        return ModelRegistryAccessDenied(
            f"the Model Registry at {url} does not allow this (403)",
            hint="Ask for a role binding to its service for the token's user or ServiceAccount.",
        )
    said = _quote(error.body)
    if status == 404:
        return NotFound(f"the Model Registry at {url} does not have that{said}")
    if status == 409:
        return Conflict(f"the Model Registry at {url} has one of that name already{said}")
    return ModelRegistryError(
        f"the Model Registry at {url} answered {status}{said}",
        hint="See the Model Registry's log, and whether its database can hold every character of the names and texts."
        if status >= 500
        else None,
        retryable=status in _RETRYABLE,
        retry_after_s=_seconds((error.headers or {}).get("Retry-After")),
    )


def describe_nonsense(url: str) -> ModelRegistryError:
    """Something answered that is not a Model Registry: a web page, a login, another service."""
    return ModelRegistryError(
        f"{url} is not a Model Registry",
        hint="Check MODEL_REGISTRY_URL: what it names answers with something else, maybe a web page or a login.",
    )


def describe_connection(url: str, error: aiohttp.ClientError | OSError) -> ModelRegistryError:
    """No answer, or half of one."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "a bad certificate"
        return ModelRegistryError(
            f"the Model Registry at {url} cannot be trusted: {reason}",
            hint="Name its CA's certificate in MODEL_REGISTRY_CA_FILE, and the host as its certificate does.",
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return ModelRegistryError(
            f"the Model Registry at {url} does not speak TLS", hint="Check the port, or write http://."
        )
    if isinstance(error, TimeoutError):
        reason = "it did not answer in time"
    elif isinstance(error, aiohttp.ClientOSError):
        # asyncio writes its own words, with the socket's address as a tuple, where the system has better ones.
        known = isinstance(error.errno, int) and error.errno > 0
        reason = os.strerror(error.errno or 0) if known else error.strerror or "the connection failed"
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        reason = f"the proxy answered {error.status}"
    elif isinstance(error, aiohttp.ClientResponseError):
        # Its text is not quoted: it knows the request's headers.
        reason = "it does not speak HTTP"
    else:
        reason = "the connection broke"
    return ModelRegistryError(
        f"the Model Registry at {url} cannot be reached: {reason}",
        hint="Check MODEL_REGISTRY_URL, and that the server runs and may be reached from here.",
        retryable=True,
    )


def _describe_unauthorized(url: str, *, token_sent: bool) -> ModelRegistryError:
    if token_sent:
        return ModelRegistryAccessDenied(
            f"the Model Registry at {url} does not accept the token (401)",
            hint="Put a new one into MODEL_REGISTRY_TOKEN or the file that MODEL_REGISTRY_TOKEN_FILE names.",
        )
    return ModelRegistryAccessDenied(
        f"the Model Registry at {url} asks for a token (401)",
        hint="Put one into MODEL_REGISTRY_TOKEN, or into a file that MODEL_REGISTRY_TOKEN_FILE names.",
    )


def _quote(body: str | None) -> str:
    """The server's own words, on one line."""
    try:
        parsed = json.loads(body or "")
    except ValueError:
        return ""
    message = parsed.get("message") if isinstance(parsed, dict) else None
    if not isinstance(message, str) or not message:
        return ""
    line = " ".join(message.split())
    return f": {line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + '…'}"


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
