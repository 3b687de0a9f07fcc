"""What a Hub's refusals mean, as errors for the reader.

Source: https://huggingface.co/docs/hub/rate-limits (`RateLimit` header). The Hub names its reason in `X-Error-Code`; to
somebody without a token it says 401 for a private model and for one that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelcar.errors import SourceAccessDenied, SourceError, SourceNotFound
from modelcar.wire import find_reason, read_delay

ENDPOINT_HINT = "Check the network, and HF_ENDPOINT if you use a mirror."

_TIMEOUT = 408
_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, in words.

    Attributes:
        host: Of the Hub.
        repository: `org/name`.
        revision: Branch, tag or commit.
        has_token: Whether a token went along.
        path: Of the file; None when the repository was asked for.
        kind: What the repository holds: "model" or "data set".
    """

    host: str
    repository: str
    revision: str
    has_token: bool
    path: str | None = None
    kind: str = "model"

    def __str__(self) -> str:
        return f"{self.path} of {self.repository}" if self.path is not None else f"the {self.kind} {self.repository}"


def describe_refusal(status: int, headers: Mapping[str, str], request: Request) -> SourceError:
    """Make an error of an answer of the Hub itself.

    Args:
        status: HTTP status, 400 or above.
        headers: Of the answer, case-insensitive.
        request: What was asked for.

    Returns:
        The error to raise; retryable for 408, 429 and 5xx, with the time that the Hub asked to wait.
    """
    by_status = _missing if status == 401 and not request.has_token else _BY_STATUS.get(status)
    describe = _BY_CODE.get(headers.get("X-Error-Code", ""), by_status)
    if describe is not None:
        return describe(request)
    return describe_failure(status, headers, request.host, str(request))


def describe_failure(status: int, headers: Mapping[str, str], host: str, what: str) -> SourceError:
    """Make an error of an answer that says nothing about the repository.

    Args:
        status: HTTP status.
        headers: Of the answer, case-insensitive.
        host: That answered.
        what: That was asked for.

    Returns:
        The error to raise; retryable for 408, 429 and 5xx.
    """
    if status == _TOO_MANY:
        return SourceError(
            f"{host} asks to wait: too many requests",
            hint="With a token (HF_TOKEN) the limits are higher.",
            retryable=True,
            retry_after_s=read_delay(headers),
        )
    return SourceError(
        f"{host} answered {status} when asked for {what}",
        hint=ENDPOINT_HINT,
        retryable=status == _TIMEOUT or status >= 500,
        retry_after_s=read_delay(headers),
    )


def describe_outage(host: str, error: BaseException) -> SourceError:
    """Make an error of a connection that failed. The text of `error` is not used: it holds the URL, maybe signed."""
    return SourceError(f"{host} cannot be reached: {find_reason(error)}", hint=ENDPOINT_HINT, retryable=True)


def _missing(request: Request) -> SourceError:
    hint = (
        f"Check the name; if the {request.kind} is private, use a token that may read it."
        if request.has_token
        else f"Check the name; if the {request.kind} is private, set HF_TOKEN to a token that may read it."
    )
    return SourceNotFound(f"{request.host} has no {request.kind} {request.repository}, or it is private", hint=hint)


def _gated(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"the {request.kind} {request.repository} on {request.host} is gated, "
        + ("and the token's account was not let in" if request.has_token else "and there is no token"),
        hint="Accept its terms on its page, and set HF_TOKEN to a token of that account.",
    )


def _no_revision(request: Request) -> SourceError:
    return SourceNotFound(
        f"the {request.kind} {request.repository} has no revision {request.revision!r}",
        hint=f"Name a branch, a tag or a commit of the {request.kind}.",
    )


def _no_file(request: Request) -> SourceError:
    return SourceNotFound(f"{request.host} has no {request} at revision {request.revision!r}")


def _wrong_token(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.host} does not accept the Hugging Face token",
        hint="Look at HF_TOKEN, HF_TOKEN_PATH and `hf auth whoami`; tokens expire and can be revoked.",
    )


def _forbidden(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.host} refuses {request}",
        hint="Use a token (HF_TOKEN) with permission to read this repository.",
    )


_BY_CODE: Mapping[str, Callable[[Request], SourceError]] = {
    "RepoNotFound": _missing,
    "GatedRepo": _gated,
    "RevisionNotFound": _no_revision,
    "EntryNotFound": _no_file,
}
_BY_STATUS: Mapping[int, Callable[[Request], SourceError]] = {401: _wrong_token, 403: _forbidden, 404: _missing}
