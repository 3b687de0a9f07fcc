"""The one place where git is run."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelcar.delivery.credentials import Credentials
from modelcar.delivery.failures import failure
from modelcar.errors import GitError

TIMEOUT_S = 900.0
OLDEST = (2, 36)
"""Version of git that has all we ask for, fetch --refetch last. Before 2.31 it would pass over GIT_CONFIG_COUNT, and
the token with it, in silence. Source: https://github.com/git/git/blob/master/Documentation/RelNotes/2.36.0.txt"""

_INSTALL_HINT = f"Install git {OLDEST[0]}.{OLDEST[1]} or newer."

log = logging.getLogger(__name__)

# What git needs of the caller's environment; all else stays out, GIT_TRACE… and other GIT_… variables first of all.
_KEPT = ("PATH", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")
_KEPT_PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
# Given by the environment, which git does not hand on to the other side of a file:// address: its hooks must run.
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.autocrlf": "false",
    "core.quotePath": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "120",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one git command said.

    Attributes:
        code: Its exit code, negative for a signal.
        stdout: As it came.
        stderr: Decoded, without secrets.
    """

    code: int
    stdout: bytes
    stderr: str


class Git:
    """Runs git for one repository on this machine and one remote address, apart from the user's configuration.

    Works under a user id without name or home directory, as OpenShift gives them.
    """

    def __init__(
        self, directory: Path, scratch: Path, url: str, credentials: Credentials, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Prepare a home directory.

        Args:
            directory: The repository; created by `git init`.
            scratch: A private directory.
            url: A checked address of the remote repository.
            credentials: For that address.
            timeout_s: For one command.
        """
        self._timeout_s = timeout_s
        self._directory = directory
        self._scratch = scratch
        self._url = url
        self._credentials = credentials
        self._home = scratch / "home"
        self._home.mkdir()
        # A repository named by file:// may belong to somebody else, as on a shared volume.
        (self._home / "gitconfig").write_text("[safe]\n\tdirectory = *\n")

    def run(self, *arguments: str, stdin: bytes = b"", variables: dict[str, str] | None = None) -> Answer:
        """Run one git command, whatever its exit code.

        Args:
            arguments: After `git`; never a secret.
            stdin: Its standard input.
            variables: More environment variables.

        Raises:
            GitError: git is not installed, or did not end in time (retryable).
            InvalidInput: A file of the credentials cannot be read.
        """
        log.debug("git %s", " ".join(arguments))
        with self._credentials.environment(self._url, self._scratch) as given:
            return self._run(arguments, stdin, self._environment() | given | (variables or {}))

    def check_version(self) -> None:
        """See that git is new enough.

        Raises:
            GitError: It is not, or is not installed.
        """
        said = self.run("--version").stdout.decode(errors="replace").strip()
        version = re.match(r"git version (\d+)\.(\d+)", said)
        if version is None or (int(version[1]), int(version[2])) < OLDEST:
            raise GitError(f"{said or 'git without a version'} is too old for us", hint=_INSTALL_HINT)

    def _run(self, arguments: tuple[str, ...], stdin: bytes, environment: dict[str, str]) -> Answer:
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=self._directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal to ask on, and one group to end
            )
        except FileNotFoundError as error:
            raise GitError("git is not installed", hint=_INSTALL_HINT) from error
        try:
            stdout, stderr = process.communicate(stdin, timeout=self._timeout_s)
        except subprocess.TimeoutExpired as error:
            raise GitError(
                f"git {arguments[0]} with {self._url} did not end within {self._timeout_s:.0f} s", retryable=True
            ) from error
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return Answer(process.returncode, stdout, self._credentials.redact(stderr.decode(errors="replace")))

    def read(self, *arguments: str, stdin: bytes = b"", variables: dict[str, str] | None = None) -> bytes:
        """Run one git command that must succeed.

        Returns:
            Its standard output.

        Raises:
            GitError: It failed; says why in words for the reader.
        """
        answer = self.run(*arguments, stdin=stdin, variables=variables)
        if answer.code != 0:
            raise failure(f"git {arguments[0]}", self._url, answer.stderr)
        return answer.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in (*_KEPT, *_KEPT_PROXIES) if name in os.environ}
        settings = _SETTINGS | self._credentials.settings(self._url)
        given = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return {
            **kept,
            **given,
            "HOME": str(self._home),
            "XDG_CONFIG_HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": str(self._home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_LFS_SKIP_SMUDGE": "1",
        }
