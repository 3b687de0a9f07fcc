"""Credentials for OCI registries, and the tokens that they are exchanged for.

Source: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md (files and their order),
https://distribution.github.io/distribution/spec/auth/token/ (the Bearer flow).
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from modelcar.errors import DistributionError, InvalidInput, RegistryAccessDenied

_CHALLENGE_SCHEME = re.compile(r"(?:^|,\s*)(basic|bearer)(?=\s|,|$)", re.IGNORECASE)
_CHALLENGE_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s",]+))')
_RENEW_BEFORE_S = 20.0
_DEFAULT_LIFETIME_S = 60.0
"""What a token lives when its server does not say. Source: the token specification, `expires_in`."""

_TOKEN_USER = "<token>"  # noqa: S105 - the marker that credential helpers give with an identity token
_HELPER_TIMEOUT_S = 60

_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""What docker login files its credentials under. Source: https://docs.docker.com/reference/cli/docker/login/."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password, or an identity token; never shown.

    Attributes:
        username: Empty with an identity token.
        password: Empty with an identity token.
        identity_token: An OAuth2 refresh token, or empty.
        origin: The file or helper they come from, for errors.
    """

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    origin: str = ""

    @property
    def basic(self) -> str:
        """The value of an `Authorization: Basic` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(
    registry: str, repository: str, *, authfile: Path | None = None, env: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Look for a registry's credentials where podman and docker keep them.

    Files in order: `authfile`, `REGISTRY_AUTH_FILE`, podman's runtime file, podman's and docker's configuration. In
    each, the longest matching `registry/path` wins, then its credential helpers.

    Args:
        registry: Host with optional port.
        repository: Path below it.
        authfile: Read instead of all others; docker's or podman's format, also a mounted `.dockerconfigjson`.
        env: Where `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG`, `XDG_RUNTIME_DIR` and `HOME` stand.

    Returns:
        None when no file names the registry: then access is anonymous.

    Raises:
        InvalidInput: `authfile` is not there, a file is not an auth file, or a credential helper does not work.
    """
    if authfile is not None and not authfile.is_file():
        what = "is no file" if authfile.exists() else "is not there"
        raise InvalidInput(f"auth file {authfile} {what}", hint="Log in with podman or docker, or name another.")
    for path in [authfile] if authfile is not None else _default_files(env):
        # isfile, because Path.is_file raises for a home directory that another user may not look into.
        if os.path.isfile(path) and (found := _search(path, registry, repository)) is not None:
            return found
    return None


def _default_files(env: Mapping[str, str]) -> Iterator[Path]:
    if named := env.get("REGISTRY_AUTH_FILE"):
        if not Path(named).is_file():
            raise InvalidInput(
                f"REGISTRY_AUTH_FILE names {named}, which is not there", hint="Log in with podman, or unset it."
            )
        yield Path(named)
    home = Path(env.get("HOME") or "/")
    runtime = env.get("XDG_RUNTIME_DIR")
    yield Path(runtime, "containers", "auth.json") if runtime else Path(f"/run/containers/{os.getuid()}/auth.json")
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json")
    yield Path(env.get("DOCKER_CONFIG") or home / ".docker", "config.json")
    yield Path(env.get("DOCKER_CONFIG") or home / ".docker", ".dockerconfigjson")


def _search(path: Path, registry: str, repository: str) -> Credentials | None:
    try:
        document = json.loads(path.read_text())
        entries = {_key(key): dict(value or {}) for key, value in (document.get("auths") or {}).items()}
        helpers = {_key(key): str(value) for key, value in (document.get("credHelpers") or {}).items()}
        store = document.get("credsStore")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        # The parser's words are kept out: they may quote the file.
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON of that form"
        raise InvalidInput(
            f"{path} cannot be read as a docker or podman auth file: {reason}",
            hint="Log in again with podman login or docker login, or name another with --authfile.",
        ) from None
    parts = repository.split("/")
    host = _key(registry)
    for length in range(len(parts), -1, -1):
        name = "/".join([host, *parts[:length]])
        if name in helpers:
            return _ask_helper(helpers[name], registry)
        if (entry := entries.get(name)) and (found := _decode(entry, path, name)) is not None:
            return found
    return _ask_helper(store, registry) if store else None


def _key(key: str) -> str:
    """Old docker files write `https://host/v1/`, and Docker Hub has more than one name."""
    host = re.sub(r"/v[12]$", "", re.sub(r"^https?://", "", key).rstrip("/"))
    first, slash, path = host.partition("/")
    return f"{_DOCKER_HUB[0] if first in _DOCKER_HUB else first}{slash}{path}"


def _decode(entry: Mapping[str, Any], path: Path, name: str) -> Credentials | None:
    token = entry.get("identitytoken") or ""
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (ValueError, TypeError):
            colon = ""
        if not colon:
            raise InvalidInput(f"{path}: the auth entry of {name} is not base64 of user:password")
    return Credentials(username, password, token, str(path)) if username or token else None


def _ask_helper(name: str, registry: str) -> Credentials | None:
    """Run `docker-credential-NAME get`. Source: https://github.com/docker/docker-credential-helpers."""
    program = f"docker-credential-{name}"
    server = _DOCKER_HUB_KEY if registry in _DOCKER_HUB else registry
    try:
        answer = subprocess.run(
            [program, "get"], input=server, capture_output=True, text=True, timeout=_HELPER_TIMEOUT_S, check=False
        )
        if answer.returncode != 0:
            return None
        found = json.loads(answer.stdout)
        username, secret = found["Username"], found["Secret"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        # The helper's output is not shown: it may hold the secret.
        raise InvalidInput(
            f"credential helper {program} for {registry} does not work: {type(error).__name__}"
        ) from None
    if username == _TOKEN_USER:
        return Credentials("", "", secret, program)
    return Credentials(username, secret, "", program)


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
            )
        try:
            answer = response.json()
            token = answer.get("token") or answer["access_token"]
            return str(token), float(answer.get("expires_in") or _DEFAULT_LIFETIME_S)
        except (ValueError, KeyError, AttributeError) as error:
            raise DistributionError(f"token server {realm} of {self._registry} answered without a token") from error
