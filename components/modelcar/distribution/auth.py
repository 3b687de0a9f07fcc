"""How a registry is asked: its challenges, and the tokens that credentials are exchanged for.

Source: https://distribution.github.io/distribution/spec/auth/token/ (the Bearer flow).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import requests

from modelcar.distribution.credentials import Credentials
from modelcar.errors import DistributionError, RegistryAccessDenied
from modelcar.wire import parse_seconds, read_delay

_CHALLENGE_SCHEME = re.compile(r"(?:^|,\s*)(basic|bearer)(?=\s|,|$)", re.IGNORECASE)
_CHALLENGE_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s",]+))')
_RENEW_BEFORE_S = 20.0
_DEFAULT_LIFETIME_S = 60.0
"""What a token lives when its server does not say. Source: the token specification, `expires_in`."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A `WWW-Authenticate` header: how a registry wants to be asked."""

    scheme: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> Challenge | None:
        """Read the first Basic or Bearer challenge of the header; None when there is none."""
        found = _CHALLENGE_SCHEME.search(header)
        if found is None:
            return None
        rest = header[found.end() :]
        following = _CHALLENGE_SCHEME.search(rest)
        parameters = _CHALLENGE_PARAMETER.findall(rest[: following.start()] if following else rest)
        return cls(found[1].lower(), {name.lower(): quoted or plain for name, quoted, plain in parameters})


class Authorizer:
    """Makes `Authorization` headers for one registry; used by several threads.

    A registry is asked without credentials first; its challenge is remembered, and so are tokens until shortly before
    they expire. Scopes are asked as needed later (`pull,push`), never as the challenge words them: a token that was
    asked for a HEAD cannot push.
    """

    def __init__(
        self,
        registry: str,
        credentials: Credentials | None,
        send: Callable[..., requests.Response],
        *,
        plain_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._credentials, self._send, self._clock = registry, credentials, send, clock
        self._realms = ("https://", "http://") if plain_http else ("https://",)
        self._challenge: Challenge | None = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> dict[str, str]:
        """The headers to send with a request of this scope; none as long as nothing was asked for.

        Args:
            scope: `repository:NAME:ACTIONS`, several with a blank between.

        Raises:
            RegistryAccessDenied: The token server refuses the credentials.
            DistributionError: It cannot be reached, or its answer makes no sense.
        """
        challenge = self._challenge
        if challenge is None:
            return {}
        if challenge.scheme == "basic":
            return {"Authorization": self._credentials.basic} if self._credentials is not None else {}
        with self._lock:
            token, expires_at = self._tokens.get(scope, ("", 0.0))
            if self._clock() >= expires_at:
                token, lifetime_s = self._fetch_token(challenge, scope)
                self._tokens[scope] = (token, self._clock() + max(0.0, lifetime_s - _RENEW_BEFORE_S))
        return {"Authorization": f"Bearer {token}"}

    def challenged(self, response: requests.Response, scope: str) -> bool:
        """Take note of a 401; returns whether the same request may be answered otherwise now."""
        challenge = Challenge.parse(response.headers.get("WWW-Authenticate", ""))
        if challenge is None or response.history:  # a redirect's target has no say in how this registry is asked
            return False
        refused = response.request.headers.get("Authorization", "")
        with self._lock:
            self._challenge = challenge
            # Another thread may have had the same answer and fetched a new token meanwhile.
            if refused == f"Bearer {self._tokens.get(scope, ('', 0.0))[0]}":
                del self._tokens[scope]
        return challenge.scheme == "bearer" or (self._credentials is not None and not refused)

    @property
    def who(self) -> str:
        """Whom the registry sees, for errors."""
        if self._credentials is None:
            return "without credentials"
        name = self._credentials.username or "an identity token"
        return f"as {name} (from {self._credentials.origin})"

    def _fetch_token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        if not realm.startswith(self._realms):
            raise DistributionError(
                f"{self._registry} names {realm or 'nothing'} as token server, but credentials travel by HTTPS only"
            )
        credentials = self._credentials
        if credentials is not None and credentials.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token}
            form |= {"service": service, "scope": scope, "client_id": "modelcar"}
            response = self._send("POST", realm, data=form)
        else:
            headers = {"Authorization": credentials.basic} if credentials is not None else {}
            query = [("service", service), *(("scope", part) for part in scope.split(" "))]
            response = self._send("GET", realm, params=query, headers=headers)
        return self._read_token(response, realm)

    def _read_token(self, response: requests.Response, realm: str) -> tuple[str, float]:
        if response.status_code in (400, 401, 403):
            raise RegistryAccessDenied(
                f"{self._registry}: its token server refused access {self.who} (HTTP {response.status_code})",
                status=response.status_code,
                hint="Log in with podman login or docker login, or name the file with --authfile.",
            )
        if response.status_code != HTTPStatus.OK:
            raise DistributionError(
                f"token server {realm} of {self._registry} answered HTTP {response.status_code}",
                status=response.status_code,
                retryable=response.status_code in (408, 429) or response.status_code >= 500,
                retry_after_s=read_delay(response.headers),
            )
        try:
            answer = response.json()
            token = answer.get("token") or answer["access_token"]
            lifetime_s = parse_seconds(answer.get("expires_in")) or _DEFAULT_LIFETIME_S
        except (ValueError, KeyError, AttributeError):
            token, lifetime_s = None, 0.0
        if not isinstance(token, str) or not token:
            raise DistributionError(f"token server {realm} of {self._registry} answered without a token")
        # Neither the token nor what the HTTP library would say of it, for it quotes the header.
        if not (token.isascii() and token.isprintable()):
            raise DistributionError(
                f"token server {realm} of {self._registry} answered with a token that no header can hold",
                hint="It has control or other characters that no token has; whoever runs the registry has to look.",
            )
        return token, lifetime_s
