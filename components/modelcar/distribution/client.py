"""One OCI registry over HTTP: how a request is sent, authorized, and how its errors are told.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from modelcar.bearer import is_loopback
from modelcar.distribution.auth import Authorizer
from modelcar.distribution.credentials import POD_SECRETS, find_credentials
from modelcar.distribution.ladder import Ladder
from modelcar.distribution.registries import find_registry
from modelcar.distribution.transport import (
    bound_body,
    describe_tls_error,
    find_proxies,
    is_unknown_host,
    new_session,
    speaks_no_tls,
)
from modelcar.errors import DistributionError, ImageNotFound, RegistryAccessDenied
from modelcar.retry import ATTEMPTS, CONTACT_ATTEMPTS, retry
from modelcar.wire import PORTS, find_reason, host_of, origin_of, read_delay

MAX_ANSWER_BYTES = 1 << 18
"""What is read of an answer that is no content: errors, tokens."""

_MOST_MESSAGE = 300
_LIMIT_HINT = "A proxy before the registry limits what one request may carry; its administrator can allow more."
_TRANSIENT = frozenset({408, 425, 429})
_NEVER = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})
"""Of the server's own faults, those that say what it cannot do at all."""
_NOT_ADMITTED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Registries that answer under another name than images are called by."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a registry may be silent, in seconds.

    Attributes:
        connect_s: Until it takes a connection.
        answer_s: Until it answers, and between two blocks of an answer.
        send_s: Between two blocks of a body that it is sent: urllib3 keeps the timeout for connecting on the socket
            meanwhile, so that an upload needs a long one.
        commit_s: Until it answers an upload: registries hash, move or copy a blob before they do.
    """

    connect_s: float = 15.0
    answer_s: float = 60.0
    send_s: float = 300.0
    commit_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached; one value for a whole run.

    Attributes:
        authfile: As `--authfile`; None looks in the usual places.
        ca_file: PEM certificates, trusted beside the system's.
        plain_http: Registries without TLS are meant to be spoken to as well. On loopback they are in any case.
        connections: How many may be open at once to one registry.
        timeouts: How long it may be silent.
        pod: Where a pod has what Kubernetes gives it: `token` is a password for OpenShift's own registry, which the
            authority in `service-ca.crt` signs for.
    """

    authfile: Path | None = None
    ca_file: Path | None = None
    plain_http: bool = False
    connections: int = 8
    timeouts: Timeouts = Timeouts()
    pod: Path = POD_SECRETS


class Registry:
    """A registry, with the session and the tokens to talk to it; used by several threads.

    Attributes:
        host: Host with optional port.
        timeouts: How long it may be silent.
        ladder: In which ways it takes blobs, as far as is known.
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
        self.host, self.timeouts = host, access.timeouts
        profile = find_registry(host)
        self.ladder = Ladder(profile)
        service_ca = access.pod / "service-ca.crt"
        also = [service_ca] if profile.takes_pod_token and service_ca.is_file() else []
        self._session = new_session(access.ca_file, access.connections, also=also, check=self._resolve)
        self._plain_http = access.plain_http
        self._base = f"https://{_HOSTS.get(host, host)}/"
        self._base = self._find_base(access)
        self._admitted = self._has_answered = False
        self._authorizer = Authorizer(
            host,
            find_credentials(host, repository, authfile=access.authfile, pod=access.pod),
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
        timeout_s: float | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send one request; a 401 is answered once by asking again.

        Args:
            method: HTTP method.
            path: `/v2/…`, or a whole URL that the registry gave. To another host no credentials go.
            scope: `repository:NAME:ACTIONS`.
            headers: Besides `Authorization`.
            data: Bytes, or something that can be iterated once per request, and has `__len__` where its length is to
                be stated.
            timeout_s: For the answer to begin, if it may take longer than most; the body may take longer still.
            stream: Leave the answer's body unread; the caller closes it.

        Returns:
            Whatever the registry answered, errors too; redirects are followed for GET and HEAD only.

        Raises:
            RegistryAccessDenied: The token server refuses the credentials.
            DistributionError: No answer (retryable unless TLS is at fault); or a registry that speaks TLS leads to
                another host without it, which is neither on loopback nor meant by `plain_http`.
        """
        url, ours = self._resolve(path)
        for attempt in (1, 2):
            authorization = self._authorizer.header(scope) if ours else {}
            response = self._send(
                method,
                url,
                headers={**(headers or {}), **authorization},
                data=data,
                timeout=(
                    self.timeouts.send_s if data else self.timeouts.connect_s,
                    timeout_s if timeout_s is not None else self.timeouts.answer_s,
                ),
                stream=stream,
            )
            self._has_answered |= ours
            if response.status_code != HTTPStatus.UNAUTHORIZED or not ours or attempt == 2:
                self._admitted |= ours and response.status_code not in _NOT_ADMITTED
                return response
            # Who was let in before is asked for no other password; then one 401 is a hiccup of the registry.
            if not (self._authorizer.challenged(response, scope) or self._admitted):
                return response
            response.close()
        raise AssertionError(attempt)  # pragma: no cover

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
                f"{self.host} refused to {what} {self._authorizer.who} "
                f"(HTTP {status}{f' {code}' if code else ''}{f', {text}' if text else ''})",
                status=status,
                code=code,
                hint="Log in with podman login or docker login, or name the file with --authfile; "
                "the account needs the right to push."
                if what.startswith("push")
                else "Log in with podman login or docker login, or name the file with --authfile.",
            )
        if status == HTTPStatus.NOT_FOUND:
            hint = "Check registry, repository and tag."
            if code is None:  # a registry names its reason in the body
                hint = f"{self.host} may be no OCI registry; check host, port and repository."
            return ImageNotFound(told, status=status, code=code, hint=hint)
        return DistributionError(
            told,
            status=status,
            code=code,
            hint=_LIMIT_HINT if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None,
            retryable=status in _TRANSIENT or (status >= 500 and status not in _NEVER),
            retry_after_s=read_delay(response.headers),
        )

    @property
    def attempts(self) -> int:
        """How often a request is tried: with patience where an answer once came, for then the name is right."""
        return ATTEMPTS if self._has_answered else CONTACT_ATTEMPTS

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (self.timeouts.connect_s, self.timeouts.answer_s))
        options.setdefault("allow_redirects", method in ("GET", "HEAD"))
        whole = not options.pop("stream", False)
        try:
            response = self._session.request(method, url, proxies=find_proxies(url), stream=True, **options)
            if whole:
                bound_body(response, MAX_ANSWER_BYTES)
        except requests.exceptions.SSLError as error:
            raise describe_tls_error(host_of(url), error) from None
        # Not `from error`: its text may be a signed address, or a header with a token.
        except ValueError as error:
            raise _astray(self.host, error) from None
        except (requests.RequestException, HTTPError) as error:
            raise DistributionError(
                f"{host_of(url)} did not answer: {find_reason(error)}",
                hint="Check the registry's name and the network.",
                retryable=not is_unknown_host(error),
            ) from None
        return response

    def _resolve(self, path: str) -> tuple[str, bool]:
        """The URL, and whether it is this registry's, so that credentials may go there."""
        try:
            url = urljoin(self._base, path)
            (own_scheme, own_host, own_port), (scheme, host, port) = origin_of(self._base), origin_of(url)
        except ValueError as error:
            raise _astray(self.host, error) from None
        # Behind a proxy that ends TLS, registries often take themselves for plain HTTP and say so in `Location`.
        usual = (PORTS[own_scheme], PORTS.get(scheme)) == (own_port, port)
        if scheme not in PORTS or host != own_host or not (usual or port == own_port):
            self._check_plain(scheme, host or "")
            return url, False
        base = urlsplit(self._base)
        return urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc).geturl(), True

    def _check_plain(self, scheme: str, host: str) -> None:
        """Weights, and signed addresses, do not lose TLS because somebody on the other side thought so."""
        if scheme != "http" or self._plain_http or is_loopback(host) or self._base.startswith("http://"):
            return
        raise DistributionError(
            f"{self.host} speaks TLS and leads to {host} by plain HTTP",
            hint="Its storage or a proxy before it gives that address; --plain-http says that this is meant.",
        )

    def _find_base(self, access: Access) -> str:
        host = _HOSTS.get(self.host, self.host)
        tls, plain = f"https://{host}/", f"http://{host}/"
        if not (access.plain_http or is_loopback(urlsplit(f"//{host}").hostname or "")):
            return tls
        try:
            # Twice, because what a cut connection leaves unknown is held for the whole run.
            retry(lambda: self._send("HEAD", f"{tls}v2/", timeout=self.timeouts.connect_s), attempts=2)
        except DistributionError as error:
            return plain if speaks_no_tls(error) else tls
        return tls


def _diagnosis(response: requests.Response) -> tuple[str | None, str]:
    """Code and message of the error body, where there is one."""
    try:
        if not isinstance(response.raw, BytesIO):
            bound_body(response, MAX_ANSWER_BYTES)
        first = response.json()["errors"][0]
        return first.get("code"), " ".join(str(first.get("message") or "").split())[:_MOST_MESSAGE]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, requests.RequestException, HTTPError):
        return None, ""


def _astray(host: str, error: ValueError) -> DistributionError:
    """The HTTP library tells by a ValueError of what it was given: an address that is none, after a redirect maybe."""
    return DistributionError(
        f"{host} cannot be asked, or leads to what is no HTTP address: {type(error).__name__}",
        hint="Check the registry's name, and what proxies before it make of its addresses.",
    )
