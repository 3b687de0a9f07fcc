"""How bytes travel to a registry: one session, whom it trusts, and what its failures mean.

Source: https://requests.readthedocs.io/en/latest/user/advanced/#transport-adapters.
"""

from __future__ import annotations

import http.cookiejar
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from modelcar.bearer import is_loopback
from modelcar.errors import DistributionError, InvalidInput
from modelcar.wire import find_causes, find_reason

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_CA_HINT = f"--ca-file, {', '.join(_CA_VARIABLES)} name a file of PEM certificates or a directory of them."
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL's versions say of a server that answers in plain text."""
_OTHER_NAME = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of openssl/x509_vfy.h."""


def new_session(
    ca_file: Path | None, connections: int, *, also: Sequence[Path] = (), check: Callable[[str], object]
) -> requests.Session:
    """A session without cookies and passwords of its own.

    Args:
        ca_file: PEM certificates, trusted beside the system's.
        connections: How many may be open at once to one host.
        also: More of them.
        check: Called with where a redirect leads before it is followed; raises to refuse it.

    Raises:
        InvalidInput: The CA file, or one that the environment names, cannot be read.
    """
    session = _Session(check)
    # No .netrc passwords and no cookies: Harbor answers requests with cookies with CSRF checks.
    session.trust_env = False
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    # A blob's digest is of the bytes as stored; nobody shall compress them on the way.
    session.headers.update({"User-Agent": "modelcar", "Accept-Encoding": "identity"})
    context = _trust([ca_file, *also])
    session.mount("https://", _TrustingAdapter(context, connections))
    session.mount("http://", HTTPAdapter(pool_connections=connections, pool_maxsize=connections))
    return session


def find_proxies(url: str) -> dict[str, str]:
    """The proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name for a URL; none on loopback."""
    if is_loopback(urlsplit(url).hostname or ""):
        return {}
    found: dict[str, str] = requests.utils.get_environ_proxies(url, no_proxy=None)
    return found


def bound_body(response: requests.Response, most_bytes: int) -> None:
    """Read the answer's body, but not more than this; what was read is its content from then on.

    Raises:
        urllib3.exceptions.HTTPError: The connection broke off.
    """
    body = response.raw.read(most_bytes + 1, decode_content=True)
    if len(body) > most_bytes:
        response.raw.close()  # nobody wants the rest, so the connection cannot be used again
    response.raw = BytesIO(body[:most_bytes])


def describe_tls_error(host: str, error: requests.exceptions.SSLError) -> DistributionError:
    """What a failure of TLS means, as an error to raise; only a broken connection is worth another attempt."""
    cause, reason = find_causes(error)[-1], find_reason(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        other_name = cause.verify_code in _OTHER_NAME
        return DistributionError(
            f"{host} cannot be trusted: {cause.verify_message or reason}",
            hint="Name the registry as its certificate does."
            if other_name
            else "Name the CA's certificate with --ca-file.",
        )
    if speaks_no_tls(error):
        return DistributionError(
            f"{host} does not speak TLS",
            hint="It may speak plain HTTP: then --plain-http says that this is meant.",
        )
    return DistributionError(f"{host} broke off TLS: {reason}", retryable=True)


def speaks_no_tls(error: BaseException) -> bool:
    """Whether the other side answered, and in plain text; nothing else is a reason to speak plain text to it."""
    cause = find_causes(error)[-1]
    return isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS


def is_unknown_host(error: Exception) -> bool:
    """Whether the name does not exist; names that cannot be looked up just now are another matter."""
    cause = find_causes(error)[-1]
    return isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME


class _Session(requests.Session):
    """Where it is sent elsewhere, asks whether it may go, and looks for proxies again, which may be others."""

    def __init__(self, check: Callable[[str], object]) -> None:
        super().__init__()
        self._check = check

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> Any:  # noqa: ARG002 - its
        self._check(prepared_request.url or "")
        return find_proxies(prepared_request.url or "")


class _TrustingAdapter(HTTPAdapter):
    """Trusts the system's certificates and some more, which `requests` cannot say by itself."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing: the context knows what to trust, and `requests` would load its own list for every connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


def _trust(files: Sequence[Path | None]) -> ssl.SSLContext:
    """The certificates that count: the system's (those that `requests` brings where it has none) and what is named."""
    named = next((os.environ[name] for name in _CA_VARIABLES if os.environ.get(name)), None)
    context = ssl.create_default_context()
    if context.cert_store_stats()["x509_ca"] == 0:
        context.load_verify_locations(cafile=requests.utils.DEFAULT_CA_BUNDLE_PATH)
    for path in (Path(named) if named else None, *files):
        if path is None:
            continue
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:
            reason = "there is none in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise InvalidInput(f"{path} cannot be read as PEM certificates: {reason}", hint=_CA_HINT) from error
    return context
