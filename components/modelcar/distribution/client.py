"""One OCI registry over HTTP: how a request is sent, authorized, and how its errors are told.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
"""

from __future__ import annotations

import http.cookiejar
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from modelcar.distribution.auth import Authorizer, find_credentials
from modelcar.errors import DistributionError, ImageNotFound, InvalidInput, RegistryAccessDenied

CONNECT_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 60.0
SEND_TIMEOUT_S = 300.0
"""urllib3 keeps the connect timeout on the socket while a body is sent, so an upload needs a long one."""
COMMIT_TIMEOUT_S = 1800.0
"""Registries hash, move or copy a blob before they answer the last request of its upload."""

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached; one value for a whole run.

    Attributes:
        authfile: As `--authfile`; None looks in the usual places.
        ca_file: PEM certificates, trusted beside the system's.
        plain_http: Speak HTTP without TLS. Loopback registries are tried without TLS in any case.
        connections: How many may be open at once to one registry.
    """

    authfile: Path | None = None
    ca_file: Path | None = None
    plain_http: bool = False
    connections: int = 8


class Registry:
    """A registry, with the session and the tokens to talk to it; used by several threads.

    Attributes:
        host: Host with optional port.
    """

    def __init__(self, host: str, repository: str, access: Access) -> None:
        """Prepare; nothing is sent yet.

        Args:
            host: Host with optional port.
            repository: For which credentials are looked up.
            access: How it is reached.

        Raises:
            InvalidInput: The auth file or the CA file cannot be used.
        """
        self.host = host
        self._session = _new_session(access)
        self._base = self._find_base(access)
        self._authorizer = Authorizer(
            host,
            find_credentials(host, repository, authfile=access.authfile),
            self._send,
            plain_http=self._base.startswith("http://"),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
        stream: bool = False,
    ) -> requests.Response:
        """Send one request; a challenge is answered once, if the body can be sent again.

        Args:
            method: HTTP method.
            path: `/v2/…`, or a whole URL that the registry gave. To another host no credentials go.
            scope: `repository:NAME:ACTIONS`.
            headers: Besides `Authorization`.
            data: Bytes, or something with `__iter__` and `__len__` that can be iterated once per request.
            timeout_s: For the answer to begin; the body may take longer.
            stream: Leave the answer's body unread; the caller closes it.

        Returns:
            Whatever the registry answered, errors too; redirects are followed for GET and HEAD only.

        Raises:
            RegistryAccessDenied: The token server refuses the credentials.
            DistributionError: No answer (retryable unless TLS is at fault).
        """
        url = urljoin(self._base, path)
        ours = urlsplit(url)[:2] == urlsplit(self._base)[:2]
        for attempt in (1, 2):
            authorization = self._authorizer.header(scope) if ours else {}
            response = self._send(
                method,
                url,
                headers={**(headers or {}), **authorization},
                data=data,
                timeout=(SEND_TIMEOUT_S if data is not None else CONNECT_TIMEOUT_S, timeout_s),
                stream=stream,
            )
            if response.status_code != HTTPStatus.UNAUTHORIZED or not ours or attempt == 2:
                return response
            if not self._authorizer.challenged(response, scope):
                return response
            response.close()
        raise AssertionError(attempt)  # pragma: no cover

    def forget_token(self, scope: str) -> None:
        """Fetch a new token before the next request of this scope."""
        self._authorizer.forget(scope)

    def error(self, response: requests.Response, what: str) -> DistributionError:
        """The answer as an error to raise.

        Args:
            response: With a status that was not expected; its body is read.
            what: What was asked for, for instance `pull team/model:1`.
        """
        status, code, text = response.status_code, *_diagnosis(response)
        told = f"{self.host}: {what}: HTTP {status}{f' {code}' if code else ''}{f', {text}' if text else ''}"
        if status in (401, 403):
            return RegistryAccessDenied(
                f"{self.host} refused to {what} {self._authorizer.who} (HTTP {status}{f' {code}' if code else ''})",
                status=status,
                code=code,
                hint="Log in with podman login or docker login, or name the file with --authfile; "
                "the account needs the right to push."
                if what.startswith("push")
                else "Log in with podman login or docker login, or name the file with --authfile.",
            )
        if status == HTTPStatus.NOT_FOUND and code != "BLOB_UPLOAD_UNKNOWN":
            return ImageNotFound(
                f"{self.host} has nothing to {what} (HTTP 404{f' {code}' if code else ''})",
                status=status,
                code=code,
                hint="Check registry, repository and tag.",
            )
        retryable = status in _TRANSIENT or status >= 500 or code == "BLOB_UPLOAD_UNKNOWN"
        return DistributionError(
            told, status=status, code=code, retryable=retryable, retry_after_s=_retry_after_s(response)
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (CONNECT_TIMEOUT_S, ANSWER_TIMEOUT_S))
        options.setdefault("allow_redirects", method in ("GET", "HEAD"))
        try:
            return self._session.request(
                method, url, proxies=requests.utils.get_environ_proxies(url, no_proxy=None), **options
            )
        except requests.exceptions.SSLError as error:
            raise self._tls_error(error) from error
        except requests.RequestException as error:
            raise DistributionError(
                f"{urlsplit(url).netloc} did not answer: {_reason(error)}",
                hint="Check the registry's name and the network.",
                retryable=True,
            ) from error

    def _tls_error(self, error: requests.exceptions.SSLError) -> DistributionError:
        reason = _reason(error)
        if isinstance(cause := _root_cause(error), ssl.SSLCertVerificationError):
            hint = "Name the CA's certificate with --ca-file."
            reason = cause.verify_message or reason
        elif isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            hint = "It may speak plain HTTP: then --plain-http says that this is meant."
        else:
            # A connection cut in the middle of TLS is no question of trust, and may work the next time.
            return DistributionError(f"{self.host} broke off TLS: {reason}", retryable=True)
        return DistributionError(f"{self.host} cannot be trusted: {reason}", hint=hint)

    def _find_base(self, access: Access) -> str:
        if access.plain_http:
            return f"http://{self.host}/"
        if not _is_loopback(self.host) or access.ca_file is not None:
            return f"https://{self.host}/"
        try:
            self._session.get(f"https://{self.host}/v2/", timeout=CONNECT_TIMEOUT_S).close()
        except requests.exceptions.SSLError as error:
            untrusted = isinstance(_root_cause(error), ssl.SSLCertVerificationError)
            return f"https://{self.host}/" if untrusted else f"http://{self.host}/"
        except requests.RequestException:
            return f"http://{self.host}/"
        return f"https://{self.host}/"


class _TrustingAdapter(HTTPAdapter):
    """Trusts the system's certificates and some more, which `requests` cannot say by itself."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


def _new_session(access: Access) -> requests.Session:
    session = requests.Session()
    # No .netrc passwords and no cookies: Harbor answers requests with cookies with CSRF checks.
    session.trust_env = False
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = "modelcar"
    named = [os.environ[name] for name in _CA_VARIABLES if os.environ.get(name)]
    context = ssl.create_default_context()
    for path in [*named[:1], *([str(access.ca_file)] if access.ca_file is not None else [])]:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(f"{path} cannot be read as PEM certificates: {error}") from error
    session.mount("https://", _TrustingAdapter(context, access.connections))
    session.mount("http://", HTTPAdapter(pool_connections=access.connections, pool_maxsize=access.connections))
    return session


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _diagnosis(response: requests.Response) -> tuple[str | None, str]:
    """Code and message of the error body, where there is one."""
    try:
        first = response.json()["errors"][0]
        return first.get("code"), str(first.get("message") or "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, requests.RequestException):
        return None, ""


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds of `Retry-After`; a date there is rare enough to be waited for by our own delays."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _root_cause(error: BaseException) -> BaseException:
    """The innermost exception: requests wraps what urllib3 wraps."""
    while True:
        inner = getattr(error, "reason", None)
        following = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        if following is None and error.args and isinstance(error.args[0], BaseException):
            following = error.args[0]
        if following is None:
            return error
        error = following


def _reason(error: BaseException) -> str:
    """The innermost exception's words."""
    cause = _root_cause(error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
