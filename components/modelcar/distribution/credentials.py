"""Credentials for OCI registries, from where podman and docker keep them.

Source: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md (files and their order).
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from modelcar.bearer import SERVICE_ACCOUNT_TOKEN
from modelcar.distribution.registries import find_registry
from modelcar.errors import InvalidInput

log = logging.getLogger(__name__)

_TOKEN_USER = "<token>"  # noqa: S105 - the marker that credential helpers give with an identity token
_HELPER_TIMEOUT_S = 60
POD_SECRETS = SERVICE_ACCOUNT_TOKEN.parent
_POD_USER = "serviceaccount"
"""OpenShift's registry takes any name beside a token. Source: `registries.py`."""

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
        password_file: Holds the password instead, and is read each time: tokens in pods are renewed in place.
    """

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    origin: str = ""
    password_file: Path | None = field(default=None, repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization: Basic` header.

        Raises:
            InvalidInput: `password_file` cannot be read.
        """
        password = self.password if self.password_file is None else _read_token(self.password_file)
        return "Basic " + base64.b64encode(f"{self.username}:{password}".encode()).decode()


def find_credentials(
    registry: str,
    repository: str,
    *,
    authfile: Path | None = None,
    env: Mapping[str, str] = os.environ,
    pod: Path = POD_SECRETS,
) -> Credentials | None:
    """Look for a registry's credentials where podman and docker keep them.

    Files in order: `authfile`, `REGISTRY_AUTH_FILE`, podman's runtime file, podman's and docker's configuration. In
    each, the longest matching `registry/path` wins, then its credential helpers. For OpenShift's own registry, which no
    file names, the token of the pod's service account is the password.

    Args:
        registry: Host with optional port.
        repository: Path below it.
        authfile: Read instead of all others; docker's or podman's format, also a mounted `.dockerconfigjson`.
        env: Where `REGISTRY_AUTH_FILE`, `DOCKER_CONFIG`, `XDG_RUNTIME_DIR` and `HOME` stand.
        pod: Where a pod has its service account's `token`.

    Returns:
        None when no file names the registry: then access is anonymous.

    Raises:
        InvalidInput: `authfile` is not there, a file is not an auth file, or a credential helper does not work. A
            `credsStore` that is not installed is only warned of.
    """
    if authfile is not None and not authfile.is_file():
        what = "is no file" if authfile.exists() else "is not there"
        raise InvalidInput(f"auth file {authfile} {what}", hint="Log in with podman or docker, or name another.")
    for path in [authfile] if authfile is not None else _default_files(env):
        # isfile, because Path.is_file raises for a home directory that another user may not look into.
        if os.path.isfile(path) and (found := _search(path, registry, repository)) is not None:
            return found
    token = pod / "token"
    if find_registry(registry).takes_pod_token and os.path.isfile(token):
        return Credentials(_POD_USER, "", "", str(token), token)
    return None


def _read_token(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is no token"
        raise InvalidInput(
            f"{path} cannot be read as a service account's token: {reason}",
            hint="Log in with podman login, or name an auth file with --authfile.",
        ) from None


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
            return _ask_named(helpers[name], registry, f"{path} names it for {name}")
        if (entry := entries.get(name)) and (found := _decode(entry, path, name)) is not None:
            return found
    return _ask_store(store, registry) if store else None


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


def _ask_named(name: str, registry: str, reason: str) -> Credentials | None:
    """The helper of this registry: without it nobody knows who to be."""
    try:
        return _ask_helper(name, registry)
    except FileNotFoundError:
        raise InvalidInput(
            f"credential helper docker-credential-{name} is not installed, and {reason}",
            hint="Install it, or name another auth file with --authfile.",
        ) from None


def _ask_store(name: str, registry: str) -> Credentials | None:
    """The store of all registries that have no helper of their own; it need not know this one, so it may be missing."""
    try:
        return _ask_helper(str(name), registry)
    except FileNotFoundError:
        _warn_of_missing(f"docker-credential-{name}")
        return None


@cache
def _warn_of_missing(program: str) -> None:
    """Say it once, however many registries are asked."""
    log.warning("credential store %s is not installed; going on without the logins that it may hold", program)


def _ask_helper(name: str, registry: str) -> Credentials | None:
    """Run `docker-credential-NAME get`. Source: https://github.com/docker/docker-credential-helpers.

    Raises:
        FileNotFoundError: There is no such program.
        InvalidInput: It does not do what helpers do.
    """
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
    except FileNotFoundError:
        raise
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        # The helper's output is not shown: it may hold the secret.
        raise InvalidInput(
            f"credential helper {program} for {registry} does not work: {type(error).__name__}"
        ) from None
    if username == _TOKEN_USER:
        return Credentials("", "", secret, program)
    return Credentials(username, secret, "", program)
