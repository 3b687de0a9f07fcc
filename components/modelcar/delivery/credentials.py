"""Who we are to the git server: a token or a key, from files and the environment, to git by its environment only."""

from __future__ import annotations

import base64
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from modelcar.errors import InvalidInput

DEFAULT_USERNAME = "x-access-token"
"""Accepted beside a token by GitHub, GitLab and Gitea, and asked for by GitHub Apps."""

CA_VARIABLES = ("MODELCAR_GIT_CA_FILE", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""Which one names the authorities; the first that is set counts."""

_SCP_FORM = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:\s]+")
_SCHEMES = frozenset({"http", "https", "ssh", "file"})
_SSH_OPTIONS = ("BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=30", "ServerAliveInterval=15")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What git servers are told; every field may be missing.

    Attributes:
        username: Beside the token; `x-access-token` when None.
        token: Password or access token for http and https.
        token_file: File that holds it; read for each git command, so that a token that is renewed stays valid.
        ssh_key_file: Private key for ssh; copied with mode 0600, because mounted Secrets are readable by the group.
        ssh_known_hosts_file: Host keys for ssh; the user's own when None.
        ca_file: PEM bundle, or directory of certificates, that replaces the system's for https.
        ca_variable: The variable that names it.
    """

    username: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ssh_key_file: Path | None = None
    ssh_known_hosts_file: Path | None = None
    ca_file: Path | None = None
    ca_variable: str = CA_VARIABLES[0]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read `MODELCAR_GIT_USERNAME`, `MODELCAR_GIT_TOKEN` and so on: each field's name in capitals.

        An empty variable counts as missing. Without `MODELCAR_GIT_CA_FILE`, git's own `GIT_SSL_CAINFO` counts, then
        `SSL_CERT_FILE`, then `REQUESTS_CA_BUNDLE`.

        Raises:
            InvalidInput: A token and a token file are both set.
        """

        def path(name: str) -> Path | None:
            value = environ.get(f"MODELCAR_GIT_{name}")
            return Path(value) if value else None

        token = environ.get("MODELCAR_GIT_TOKEN") or None
        if token and path("TOKEN_FILE"):
            raise InvalidInput("MODELCAR_GIT_TOKEN and MODELCAR_GIT_TOKEN_FILE are both set", hint="Unset one of them.")
        ca_variable = next((name for name in CA_VARIABLES if environ.get(name)), CA_VARIABLES[0])
        ca_file = environ.get(ca_variable)
        return cls(
            username=environ.get("MODELCAR_GIT_USERNAME") or None,
            token=token,
            token_file=path("TOKEN_FILE"),
            ssh_key_file=path("SSH_KEY_FILE"),
            ssh_known_hosts_file=path("SSH_KNOWN_HOSTS_FILE"),
            ca_file=Path(ca_file) if ca_file else None,
            ca_variable=ca_variable,
        )

    def settings(self, url: str) -> dict[str, str]:
        """Git settings that carry the token; to be given to git by its environment, never on a command line.

        Args:
            url: A checked repository address; the token is given for its scheme, host and port only.

        Raises:
            InvalidInput: The token file cannot be read, or the token has control characters.
        """
        parts = urlsplit(url)
        token = self._current_token() if parts.scheme in ("http", "https") else None
        if not token:
            return {}
        return {f"http.{parts.scheme}://{parts.netloc}/.extraHeader": f"Authorization: {self._basic(token)}"}

    @contextmanager
    def environment(self, url: str, scratch: Path) -> Iterator[dict[str, str]]:
        """Environment variables for ssh and TLS, for as long as one git command runs.

        The copy of the ssh key is there only until then: a promotion lasts hours, and a process that is killed cannot
        remove it.

        Args:
            url: A checked repository address.
            scratch: A private directory for a copy of the ssh key.

        Raises:
            InvalidInput: A file that is named does not exist or cannot be read.
        """
        scheme = urlsplit(url).scheme if "://" in url else "ssh"
        if scheme == "https" and self.ca_file is not None:
            yield {self._trust(self.ca_file): str(self.ca_file.absolute())}
        elif scheme == "ssh":
            copy = scratch / "ssh-key"
            try:
                yield {"GIT_SSH_COMMAND": self._ssh_command(copy)}
            finally:
                copy.unlink(missing_ok=True)
        else:
            yield {}

    def redact(self, text: str) -> str:
        """`text` with the token and what is made of it replaced by `***`."""
        token = self._current_token()
        if not token:
            return text
        for secret in (self._basic(token).removeprefix("Basic "), token):
            text = text.replace(secret, "***")
        return text

    def _current_token(self) -> str | None:
        token = self.token
        if self.token_file is not None:
            token = _read(self.token_file, "MODELCAR_GIT_TOKEN_FILE").decode(errors="replace").strip()
        if token and not token.isprintable():
            raise InvalidInput("the git token has characters that no token has", hint="Check for line breaks in it.")
        return token

    def _basic(self, token: str) -> str:
        return "Basic " + base64.b64encode(f"{self.username or DEFAULT_USERNAME}:{token}".encode()).decode()

    def _trust(self, ca_file: Path) -> str:
        """The variable by which git takes a file, or a directory, of certificates."""
        if ca_file.is_dir():
            return "GIT_SSL_CAPATH"
        _read(ca_file, self.ca_variable)
        return "GIT_SSL_CAINFO"

    def _ssh_command(self, copy: Path) -> str:
        options = list(_SSH_OPTIONS)
        if self.ssh_known_hosts_file is not None:
            _read(self.ssh_known_hosts_file, "MODELCAR_GIT_SSH_KNOWN_HOSTS_FILE")
            options.append(f"UserKnownHostsFile={self.ssh_known_hosts_file.absolute()}")
        key = []
        if self.ssh_key_file is not None:
            copy.touch(mode=0o600)
            copy.write_bytes(_read(self.ssh_key_file, "MODELCAR_GIT_SSH_KEY_FILE"))
            options.append("IdentitiesOnly=yes")
            key = ["-i", str(copy)]
        return shlex.join(["ssh", *key, *(word for option in options for word in ("-o", option))])


def check_url(url: str) -> str:
    """Check the address of a repository.

    Returns:
        `url` itself: `https://`, `http://`, `ssh://`, `file://`, `user@host:path`, or an absolute directory.

    Raises:
        InvalidInput: Anything else, or a user or password in an http address; the message does not repeat it.
    """
    hint = "Write https://host/group/repository.git, ssh://git@host/group/repository.git or file:///directory."
    parts = _split(url)
    if parts is None:
        raise InvalidInput("the address of the git repository is not one", hint=hint)
    if not parts.scheme:
        return url
    if parts.scheme not in _SCHEMES:
        raise InvalidInput(f"git repositories are not reached by {parts.scheme}://", hint=hint)
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise InvalidInput(
            f"the address of the git repository on {parts.hostname} has a user or password in it",
            hint="Take it out, and set MODELCAR_GIT_USERNAME and MODELCAR_GIT_TOKEN or MODELCAR_GIT_TOKEN_FILE.",
        )
    return url


def name_repository(url: str) -> str:
    """The repository's name, `host/group/repository`, the same for all addresses by which people reach it.

    Scheme, user, port, a slash at the end and `.git` do not count; a directory is named by its path.

    Args:
        url: A checked address.
    """
    parts = _split(url) or SplitResult("", "", url, "", "")
    host, path = parts.hostname or "", parts.path
    if not parts.scheme and not url.startswith("/"):
        login, _, path = url.partition(":")
        host = login.rpartition("@")[2].lower()
    path = path.rstrip("/").removesuffix(".git")
    return f"{host}/{path.lstrip('/')}" if host else path


def _split(url: str) -> SplitResult | None:
    """The parts of an address, without scheme for a directory or the short form of ssh; None when it is no address."""
    if not url.isprintable() or " " in url:
        return None
    if url.startswith("/") or ("://" not in url and _SCP_FORM.fullmatch(url)):
        return SplitResult("", "", url, "", "")
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if "://" in url and parts.scheme and (parts.hostname or parts.scheme == "file") else None


def _read(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}, named by {variable}, cannot be read: {error.strerror}") from error
