"""How a service that takes a Bearer token is reached: its address, the token, and whom to trust."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from modelcar.errors import InvalidInput

SERVICE_ACCOUNT_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service is called where something is wrong with its settings.

    Attributes:
        name: As in "the Model Registry".
        url_variable: Environment variable that names its address.
        token_variable: That holds the token.
        token_file_variable: That names the token's file.
        ca_variable: That names the CA's certificates.
    """

    name: str
    url_variable: str
    token_variable: str
    token_file_variable: str
    ca_variable: str


@dataclass(frozen=True, slots=True)
class Token:
    """A Bearer token, or the file that holds it; its `repr` shows neither.

    Attributes:
        service: Whose token it is.
        text: The token itself; None to read `file`.
        file: Read before each request, because Kubernetes replaces ServiceAccount tokens while a promotion runs.
    """

    service: Service
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
        name = self.service.name
        where = f"the {name}'s token" if self.text is not None else f"the {name}'s token file {self.file}"
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
                f"the {self.service.name}'s token file {self.file} cannot be read: {error.strerror}",
                hint=f"Name a file that holds a token in {self.service.token_file_variable}.",
            ) from error


def split_url(service: Service, url: str, hint: str) -> SplitResult:
    """The parts of a service's address.

    Args:
        service: Whose.
        url: The address.
        hint: How one is written.

    Raises:
        InvalidInput: No `http://` or `https://`, no host, or something that is no part of an address: a user name, a
            password, a query, a fragment.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is parsed, and refused, only when asked for
    except ValueError as error:
        raise InvalidInput(f"the {service.name}'s URL does not parse", hint=hint) from error
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            f"the {service.name}'s URL (host {host}) holds a user name or a password",
            hint=f"Leave them out; a token goes into {service.token_variable}"
            f" or the file {service.token_file_variable} names.",
        )
    blank = any(character.isspace() or not character.isprintable() for character in url)
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or blank:
        raise InvalidInput(f"{url!r} is not the URL of a {service.name}", hint=hint)
    return parts


def refuse_token_in_clear(service: Service, url: str) -> None:
    """Refuse to send a token where others can read it.

    Raises:
        InvalidInput: `url` is plain http and leads off this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidInput(
            f"a token would travel unencrypted to the {service.name} at {url}",
            hint=f"Use its https:// URL, or unset {service.token_variable} and {service.token_file_variable}.",
        )


def trust(service: Service, ca_file: Path | None) -> ssl.SSLContext:
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
            hint=f"Name the CA's certificate in {service.ca_variable}.",
        ) from error
    return context


def first_path(env: Mapping[str, str], *names: str) -> Path | None:
    """The file or directory that the first of the variables names which is set and not empty."""
    named = next((env[name] for name in names if env.get(name)), None)
    return Path(named) if named else None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address says that it is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy on the way to a service.

    Attributes:
        url: Without credentials.
        headers: That the proxy wants of us; its `repr` does not show them.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)


def find_proxy(url: str) -> Proxy | None:
    """The proxy on the way to a URL, None for the straight way.

    As `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` say, in either case of letters.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    named = None if proxy_bypass(parts.netloc) else proxies.get(parts.scheme) or proxies.get("all")
    if not named:
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    user, at, address = proxy.netloc.rpartition("@")
    credentials = base64.b64encode(unquote(user).encode()).decode()
    return Proxy(f"{proxy.scheme}://{address}", {"Proxy-Authorization": f"Basic {credentials}"} if at else {})
