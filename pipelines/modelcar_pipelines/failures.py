"""What a failed request to a pipeline server means, as an error to raise.

`NotFound`, `Conflict` and `Refused` are answers of the server itself. What comes from something else on the way to it,
a login page, a proxy, another service, is none of them.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any, Final

from modelcar.bearer import Service
from modelcar.errors import PipelineServerAccessDenied, PipelineServerError
from modelcar.wire import find_causes, find_reason, read_delay

SERVICE: Final = Service(
    "pipeline server",
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_TOKEN",
    "KF_PIPELINES_TOKEN_FILE",
    "PIPELINES_SSL_CA_CERTS",
)
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_UNHEARD: Final = frozenset({429})
"""Of these, what says that the request had no effect: it may be sent again even if it makes something."""
_LONGEST_QUOTE: Final = 300


class NotFound(PipelineServerError):
    """The server answered 404 of its own."""

    exit_code = 2


class Conflict(PipelineServerError):
    """The server answered 409: the name is taken."""


class Refused(PipelineServerError):
    """The server answered 400: what was asked for cannot be."""

    exit_code = 2


def describe_answer(
    url: str, method: str, status: int, headers: Mapping[str, str], body: bytes, *, token_sent: bool
) -> PipelineServerError:
    """What an answer that is no success means.

    Args:
        url: The server's address.
        method: Of the request.
        status: Of the answer.
        headers: Of the answer.
        body: Of the answer.
        token_sent: Whether the request carried a token.
    """
    if status in (401, 403):
        return _describe_denial(url, status, token_sent=token_sent)
    if 300 <= status < 400:
        return describe_login(url, token_sent=token_sent)
    said = _find_message(body)
    if said is not None and status == 404:
        return NotFound(f"the pipeline server at {url} does not have that: {said}")
    if said is not None and status == 409:
        return Conflict(f"the pipeline server at {url} has one of that name already: {said}")
    if status == 400:
        quote = said or _shorten(body.decode(errors="replace"))
        return Refused(f"the pipeline server at {url} refuses this: {quote or 'it does not say why'}")
    if status >= 500 or status in _PASSING:
        return PipelineServerError(
            f"the pipeline server at {url} answered {status}" + (f": {said}" if said else ""),
            hint="Look whether its pods run and what their logs say, and try again.",
            retryable=status in (_PASSING if method == "GET" else _UNHEARD),
            retry_after_s=read_delay(headers),
        )
    return describe_nonsense(url, f"it answered {status}")


def describe_login(url: str, *, token_sent: bool) -> PipelineServerError:
    """A page for people to log in came instead of an answer."""
    return PipelineServerAccessDenied(
        f"{url} answers with a page to log in, not as a pipeline server",
        hint=f"Put {'a token that it accepts' if token_sent else 'a token'} into {SERVICE.token_variable}, or into a "
        f"file that {SERVICE.token_file_variable} names; with OpenShift's client `oc whoami -t` prints one.",
    )


def describe_nonsense(url: str, detail: str) -> PipelineServerError:
    """Something answered that is no pipeline server: a web page, the user interface, another service."""
    return PipelineServerError(
        f"{url} is not a pipeline server: {detail}",
        hint=f"Check --endpoint and {SERVICE.url_variable}: it is the API's address, without /apis at its end.",
    )


def describe_connection(url: str, method: str, error: Exception, *, known: bool) -> PipelineServerError:
    """No answer, or half of one.

    Args:
        url: The server's address.
        method: Of the request.
        error: A urllib3 exception.
        known: Whether the server has answered before, so that its name and port are right.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    causes = find_causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _describe_distrust(url, cause)
        if isinstance(cause, ssl.SSLError) and "EOF" not in (cause.reason or ""):
            return PipelineServerError(
                f"the pipeline server at {url} does not speak TLS", hint="Check the port, or write http://."
            )
    # Nothing was sent yet, so it can be sent again whatever it is.
    unsent = any(isinstance(cause, ConnectTimeoutError) for cause in causes)
    late = unsent and not any(isinstance(cause, NewConnectionError) for cause in causes)
    proxy = any(isinstance(cause, ProxyError) for cause in causes)
    return PipelineServerError(
        f"the pipeline server at {url} cannot be reached{' through the proxy' if proxy else ''}: {_reason(error)}",
        hint="Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
        if proxy
        else "Check the address, and that the server runs and may be reached from here."
        if unsent or method == "GET"
        else "It may have happened all the same: look before you do it again.",
        # A host that swallows packets is told at once, not three times as late.
        retryable=(unsent or method == "GET") and (known or not late),
    )


def _describe_distrust(url: str, error: ssl.SSLCertVerificationError) -> PipelineServerError:
    return PipelineServerError(
        f"the pipeline server at {url} cannot be trusted: {error.verify_message}",
        hint=f"Name its CA's certificate with --ca-file or in {SERVICE.ca_variable}, "
        "and the host as its certificate does.",
    )


def _reason(error: Exception) -> str:
    from urllib3.exceptions import NameResolutionError, ProtocolError

    causes = find_causes(error)
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return "nobody knows a host of that name"
    spoke = any(isinstance(cause, OSError) and cause.strerror for cause in causes)
    if not spoke and any(isinstance(cause, ProtocolError) for cause in causes):
        return "it broke the connection, or does not speak HTTP"
    # Since a refused connection is one kind of late connection to urllib3, the system's words go first.
    return find_reason(error)


def _describe_denial(url: str, status: int, *, token_sent: bool) -> PipelineServerAccessDenied:
    if status == 403:
        return PipelineServerAccessDenied(
            f"the pipeline server at {url} does not allow this (403)",
            hint="Ask for a role in its namespace, for instance edit, for the token's user or ServiceAccount.",
        )
    if token_sent:
        return PipelineServerAccessDenied(
            f"the pipeline server at {url} does not accept the token (401)",
            hint=f"Put a new one into {SERVICE.token_variable} or the file that {SERVICE.token_file_variable} names.",
        )
    return PipelineServerAccessDenied(
        f"the pipeline server at {url} asks for a token (401)",
        hint=f"Put one into {SERVICE.token_variable}, or into a file that {SERVICE.token_file_variable} names.",
    )


def _find_message(body: bytes) -> str | None:
    """The server's own words on one line, without its stack trace; None when another program speaks."""
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(parsed, dict):
        return None
    message = parsed.get("error_message", parsed.get("message"))
    # What stands between the server and us has other members: a Kubernetes Status, an auth proxy's `error`.
    if not isinstance(message, str) or not ("code" in parsed or "error_message" in parsed) or "kind" in parsed:
        return None
    return _shorten(message)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"
