"""How a Model Registry is reached: its address, the token, and whom to trust."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from modelcar.errors import InvalidInput

SERVICE_ACCOUNT_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/."""
_CA_VARIABLES: Final = ("MODEL_REGISTRY_CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_API: Final = "/api/model_registry"
_URL_HINT: Final = "Write http(s)://HOST[:PORT][/PATH], for instance https://registry.example.com."


@dataclass(frozen=True, slots=True)
class Token:
    """A Bearer token, or the file that holds it; its `repr` shows neither.

    Attributes:
        text: The token itself; None to read `file`.
        file: Read before each request, because Kubernetes replaces ServiceAccount tokens while a promotion runs.
    """

    text: str | None = field(default=None, repr=False)
    file: Path | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.text is not None or self.file is not None

    def headers(self) -> dict[str, str]:
        """The header that says who asks; empty without a token.

        Raises:
            InvalidInput: The file cannot be read, or what should be a token cannot be one.
        """
        if not self:
            return {}
        where = "the Model Registry's token" if self.file is None else f"the Model Registry's token file {self.file}"
        token = (self.text if self.text is not None else self._read()).strip()
        if not token:
            raise InvalidInput(f"{where} is empty", hint="Write the token, and nothing else, there.")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInput(f"{where} holds more than a token", hint="Write the token, and nothing else, there.")
        return {"Authorization": f"Bearer {token}"}

    def _read(self) -> str:
        assert self.file is not None  # noqa: S101 - __bool__ and headers see to it
        try:
            return self.file.read_text("utf-8", "replace")
        except OSError as error:
            raise InvalidInput(
                f"the Model Registry's token file {self.file} cannot be read: {error.strerror}",
                hint="Name a file that holds a token in MODEL_REGISTRY_TOKEN_FILE.",
            ) from error


def parse_url(url: str) -> str:
    """The server's address, without a slash and without the API's path at its end.

    Raises:
        InvalidInput: No `http://` or `https://`, no host, or something that is no part of an address: a user name, a
            password, a query, a fragment.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is parsed, and refused, only when asked for
    except ValueError as error:
        raise InvalidInput("the Model Registry's URL does not parse", hint=_URL_HINT) from error
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            f"the Model Registry's URL (host {host}) holds a user name or a password",
            hint="Leave them out; a token goes into MODEL_REGISTRY_TOKEN or the file MODEL_REGISTRY_TOKEN_FILE names.",
        )
    blank = any(character.isspace() or not character.isprintable() for character in url)
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or blank:
        raise InvalidInput(f"{url!r} is not the URL of a Model Registry", hint=_URL_HINT)
    path = parts.path.rstrip("/")
    prefix, api, version = path.rpartition(_API)
    # People copy the API's base from a ConfigMap; which version the server has is asked of the server.
    if api and version in ("", "/v1", "/v1alpha3"):
        path = prefix
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))


def refuse_token_in_clear(url: str) -> None:
    """Refuse to send a token where others can read it.

    Raises:
        InvalidInput: `url` is plain http and leads off this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise InvalidInput(
            f"a token would travel unencrypted to the Model Registry at {url}",
            hint="Use its https:// URL, or unset MODEL_REGISTRY_TOKEN and MODEL_REGISTRY_TOKEN_FILE.",
        )


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Whom to trust: the system's authorities, and beside them those of `ca_file` (or of each file in that directory).

    Raises:
        InvalidInput: It cannot be read, or holds no certificate in PEM.
    """
    context = ssl.create_default_context()
    if ca_file is None:
        return context
    try:
        if ca_file.is_dir():
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError as error:
        raise InvalidInput(
            f"the CA file {ca_file} holds no certificate", hint="A CA file is one or more certificates in PEM."
        ) from error
    except OSError as error:
        raise InvalidInput(
            f"the CA file {ca_file} cannot be read: {error.strerror}",
            hint="Name the CA's certificate in MODEL_REGISTRY_CA_FILE.",
        ) from error
    return context


def token_of(env: Mapping[str, str], url: str) -> Token:
    """The token that an environment names; a ServiceAccount's, where there is one, goes to https only."""
    if text := env.get("MODEL_REGISTRY_TOKEN"):
        return Token(text)
    if file := env.get("MODEL_REGISTRY_TOKEN_FILE"):
        return Token(file=Path(file))
    if url.startswith("https://") and SERVICE_ACCOUNT_TOKEN.is_file():
        return Token(file=SERVICE_ACCOUNT_TOKEN)
    return Token()


def ca_file_of(env: Mapping[str, str]) -> Path | None:
    """The CA file that an environment names: for the Model Registry, else for everything."""
    named = next((env[name] for name in _CA_VARIABLES if env.get(name)), None)
    return Path(named) if named else None


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
