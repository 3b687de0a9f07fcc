"""What an object store's refusals mean, as errors for the reader.

obstore gives them as text, with URLs and answers in it. Nothing of that text is shown: the status, the store's error
code and the number of the operating system's error are read from it, and the sentences are ours.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelcar.errors import ContentMismatch, SourceAccessDenied, SourceError, SourceNotFound, UnsafeContent
from modelcar.sources.bucket import KEYS, Location, Server

_STATUS = re.compile(r" status code: (\d{3})\b")
_CODE = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_ASKED = re.compile(r"Error performing [A-Z]+ (?:https?://([^/?\s]+)|REDACTED)")
_KEY = re.compile(r'path: "((?:[^"\\]|\\.)*)"')
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Request)\b")
_OS_ERROR = re.compile(r"\bcode: (\d{1,3}),")
_UNTRUSTED, _NO_TLS, _NO_NAME = "InvalidCertificate(", "InvalidContentType", "dns error"
_NO_TARGET = "redirect without LOCATION"
"""What S3 sends for a bucket of another region; obstore tells neither status nor code of it."""
_METADATA = "169.254."
"""Where a cloud's machine is asked for its keys when there are no others."""
_KEY_SERVICE = "the Security Token Service of AWS"
"""Its address holds the pod's token, and obstore does not show it."""
_SHOWN_KEY = 200

_CERTIFICATE_HINT = "Name the CA's certificates in AWS_CA_BUNDLE, and the host as its certificate does."
KEYS_HINT = f"Look at {' and '.join(KEYS)}."


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        location: The directory.
        server: Who was asked.
        path: Of the file; None when the directory was listed.
    """

    location: Location
    server: Server
    path: str | None = None

    def __str__(self) -> str:
        return str(self.location) if self.path is None else f"{self.path} of {self.location}"


def describe_failure(error: Exception, request: Request) -> SourceError:
    """Make an error of what obstore raised.

    Args:
        error: One of `obstore.exceptions`, or `FileNotFoundError`.
        request: What was asked for.

    Returns:
        The error to raise; retryable for 408, 429 and 5xx and for connections that failed or broke. obstore does not
        tell how long the store asks to wait.
    """
    text = str(error)
    if type(error).__name__ == "InvalidPathError":
        return _unusable_key(text, request)
    asked = _ASKED.search(text)
    found = _STATUS.search(text)
    status = int(found[1]) if found else None
    if asked and (asked[1] is None or asked[1] not in request.server.url):
        return _no_keys(asked[1] or _KEY_SERVICE, status, request)
    if found is None or status is None:
        return _describe_outage(text, request)
    code = _CODE.search(text, found.end())
    describe = _BY_CODE.get(code[1] if code else "") or _BY_STATUS.get(status)
    return describe(request) if describe is not None else _other(status, code[1] if code else None, request)


def changed(request: Request) -> ContentMismatch:
    """The object is not the one that was listed."""
    return ContentMismatch(f"{request} changed since it was listed", hint="Run it again when nobody writes there.")


def broken_off(position: int, size_bytes: int, request: Request) -> SourceError:
    """The answer ended early."""
    return SourceError(
        f"{request.server.host} broke off after {position} of {size_bytes} bytes of {request}",
        hint="Run it again.",
        retryable=True,
    )


def no_store(request: Request) -> SourceError:
    """Whoever answered does not speak S3."""
    return SourceError(f"{request.server.host} does not answer as an S3 server does", hint=_endpoint_hint(request))


def _describe_outage(text: str, request: Request) -> SourceError:
    """An error without a status: there was no answer, or one that makes no sense."""
    host = request.server.host
    if _NO_TARGET in text:
        return _other_region(request)
    kind, number = _KIND.search(text), _OS_ERROR.search(text)
    if kind is None:
        return no_store(request)
    if _UNTRUSTED in text:
        return SourceError(f"{host} cannot be trusted: its certificate is not known here", hint=_CERTIFICATE_HINT)
    if _NO_TLS in text:
        return SourceError(
            f"{host} does not speak TLS", hint=f"Write http:// if it should not. {_endpoint_hint(request)}"
        )
    if _NO_NAME in text:
        reason = "its name is not known"
    elif kind[1] == "Timeout":
        reason = "no answer in time"
    else:
        reason = os.strerror(int(number[1])) if number else "the connection broke"
    return SourceError(
        f"{host} cannot be reached: {reason}", hint=f"Check the network. {_endpoint_hint(request)}", retryable=True
    )


def _endpoint_hint(request: Request) -> str:
    variable = request.server.variable
    return f"The address is that of {variable}." if variable else "Set AWS_S3_ENDPOINT if the bucket is not at AWS."


def _other(status: int, code: str | None, request: Request) -> SourceError:
    return SourceError(
        f"{request.server.host} answered {status}{f' ({code})' if code else ''} when asked for {request}",
        hint=_endpoint_hint(request),
        retryable=status == 408 or status >= 500,
    )


def _unusable_key(text: str, request: Request) -> UnsafeContent:
    key = _KEY.search(text)
    shown = f'the key "{key[1][:_SHOWN_KEY]}"' if key else "a key"
    return UnsafeContent(
        f"{request.location} holds {shown}, which is no path of a file",
        hint="Rename the object: no empty name, . or .. between slashes, and no control characters.",
    )


def _no_keys(host: str, status: int | None, request: Request) -> SourceError:
    """Somebody else than the object store failed: who gives keys."""
    if host.startswith(_METADATA):
        return SourceAccessDenied(
            f"there are no keys for {request.location}, and this machine has none of its own",
            hint=f"{KEYS_HINT} For a public bucket set AWS_SKIP_SIGNATURE=true.",
        )
    if status is not None and status < 500:
        return SourceAccessDenied(
            f"{host} gives no keys for {request.location}: it answered {status}",
            hint="Look at AWS_ROLE_ARN, the role's trust and the pod's ServiceAccount.",
        )
    return SourceError(
        f"{host} gives no keys for {request.location}",
        hint=f"Check the network. To use keys of your own, set {' and '.join(KEYS)}.",
        retryable=True,
    )


def _no_bucket(request: Request) -> SourceError:
    return SourceNotFound(
        f"{request.server.host} has no bucket {request.location.bucket}",
        hint=f"Check the name. {_endpoint_hint(request)}",
    )


def _gone(request: Request) -> SourceError:
    if request.path is None:
        return _no_bucket(request)
    return SourceError(f"{request} is gone since it was listed", hint="Run it again when nobody writes there.")


def _denied(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.server.host} refuses {request}",
        hint="The keys need the permissions to list the bucket and to get its objects (s3:ListBucket, s3:GetObject).",
    )


def _unknown_key(request: Request) -> SourceError:
    return SourceAccessDenied(f"{request.server.host} does not know the access key", hint=KEYS_HINT)


def _wrong_signature(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.server.host} does not accept the secret key", hint=f"{KEYS_HINT} A proxy may change requests, too."
    )


def _expired(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.server.host} does not accept the session token", hint="It expires: get new keys, or unset the token."
    )


def _wrong_clock(request: Request) -> SourceError:
    return SourceAccessDenied(
        f"{request.server.host} refuses the request for its time", hint="Set the clock of this machine."
    )


def _other_region(request: Request) -> SourceError:
    return SourceNotFound(
        f"the bucket {request.location.bucket} is not in the region {request.server.region} of {request.server.host}",
        hint=f"Set AWS_REGION to the bucket's. {_endpoint_hint(request)}",
    )


def _archived(request: Request) -> SourceError:
    return SourceError(f"{request} is archived and cannot be read now", hint="Restore the object first.")


def _slow_down(request: Request) -> SourceError:
    return SourceError(
        f"{request.server.host} asks to wait: too many requests", hint="Run it again later.", retryable=True
    )


def _too_slow(request: Request) -> SourceError:
    return SourceError(f"{request.server.host} waited too long for the request", hint="Run it again.", retryable=True)


_BY_CODE: Mapping[str, Callable[[Request], SourceError]] = {
    "NoSuchBucket": _no_bucket,
    "InvalidBucketName": _no_bucket,
    "InvalidAccessKeyId": _unknown_key,
    "SignatureDoesNotMatch": _wrong_signature,
    "InvalidToken": _expired,
    "ExpiredToken": _expired,
    "RequestTimeTooSkewed": _wrong_clock,
    "PermanentRedirect": _other_region,
    "AuthorizationHeaderMalformed": _other_region,
    "InvalidObjectState": _archived,
    "SlowDown": _slow_down,
    "RequestTimeout": _too_slow,
}
_BY_STATUS: Mapping[int, Callable[[Request], SourceError]] = {
    301: _other_region,
    401: _denied,
    403: _denied,
    404: _gone,
    412: changed,
    416: changed,
    429: _slow_down,
    503: _slow_down,
}
