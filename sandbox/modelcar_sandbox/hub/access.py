"""Who may read what on the Hub, and how it says no."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelcar_sandbox.hub.store import Settings


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token.

    Attributes:
        name: What `whoami` answers.
        repositories: Ids of the private and gated repositories that they may read, as the store has them.
    """

    name: str
    repositories: frozenset[str] = frozenset()


class Refusal(Exception):
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        code: `X-Error-Code`, by which huggingface_hub chooses its exception, or None.
        commit_hash: Of the commit that was looked at, or None.
    """

    def __init__(self, status: int, message: str, *, code: str | None = None, commit_hash: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.commit_hash = commit_hash


def find_user(tokens: Mapping[str, User], authorization: str | None) -> User | None:
    """The user that an Authorization header names; None when there is no header.

    Raises:
        Refusal: The token belongs to nobody, or it is no bearer token.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    user = tokens.get(token) if scheme.lower() == "bearer" else None
    if user is None:
        raise Refusal(401, "Invalid credentials in Authorization header")
    return user


def check_visible(repo_id: str, settings: Settings | None, user: User | None) -> Settings:
    """Let through who may know of a repository; to others a private one is as one that does not exist.

    Raises:
        Refusal: 401 for everybody without a token, since a token may help; 404 for users.
    """
    if settings is not None and (not settings.private or _may_read(repo_id, user)):
        return settings
    if user is None:
        raise Refusal(401, "Invalid username or password.", code="RepoNotFound")
    raise Refusal(404, "Repository not found", code="RepoNotFound")


def check_readable(repo_id: str, settings: Settings, user: User | None) -> None:
    """Let through who may have a repository's files.

    Raises:
        Refusal: The repository is gated: 401 without a token, 403 for a user who has no access.
    """
    if not settings.gated or _may_read(repo_id, user):
        return
    message = f"Access to model {repo_id} is restricted"
    if user is None:
        raise Refusal(
            401, f"{message}. You must have access to it and be authenticated to access it.", code="GatedRepo"
        )
    raise Refusal(403, f"{message} and you are not in the authorized list.", code="GatedRepo")


def _may_read(repo_id: str, user: User | None) -> bool:
    return user is not None and repo_id in user.repositories


class UrlSigner:
    """Signs paths for a while, so that they can be read without a token."""

    def __init__(self, *, lifetime_s: int, clock: Callable[[], float]) -> None:
        """Sign with a key that nobody else knows and that ends with this process.

        Args:
            lifetime_s: How long a signature is good, from the time it is made.
            clock: Seconds since the epoch.
        """
        self._key = secrets.token_bytes(32)
        self._lifetime_s = lifetime_s
        self._clock = clock

    def query(self, path: str) -> str:
        """The query that opens `path`: `Expires=SECONDS&Signature=HEX`."""
        expires = str(int(self._clock()) + self._lifetime_s)
        return f"Expires={expires}&Signature={self._signature(path, expires)}"

    def check(self, path: str, expires: str, signature: str) -> None:
        """Let through a query that was signed for this path and is not over.

        Raises:
            Refusal: 403.
        """
        expected = self._signature(path, expires).encode()
        if not hmac.compare_digest(expected, signature.encode()):
            raise Refusal(403, "The signature of this address is not right")
        if int(expires) <= self._clock():
            raise Refusal(403, "This address has expired")

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
