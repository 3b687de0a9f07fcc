"""Who may do what: nobody is asked, or passwords on every request, or passwords for short-lived tokens.

Source: https://distribution.github.io/distribution/spec/auth/token/ (the token flow),
https://www.rfc-editor.org/rfc/rfc7617 (Basic).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from werkzeug.wrappers import Request

from modelcar_sandbox.oci_registry.errors import Refusal

PULL, PUSH, DELETE = "pull", "push", "delete"
_ANONYMOUS = ""
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True, slots=True)
class Auth:
    """Who may use the registry.

    Attributes:
        users: Passwords by user name; names are not empty and hold no colon.
        flow: `basic` asks for the password on every request, `token` at `/token` for a token that lives shortly.
        readers: Users who may only pull; the others may also push and delete.
        anonymous_pull: Whether pulling needs no password (with `token` it still needs a token).
        service: The `service` of the challenge and the audience of tokens.
        lifetime_s: Seconds that a token lives; 0 gives tokens that are expired at once.
    """

    users: Mapping[str, str] = field(repr=False)
    flow: Literal["basic", "token"] = "token"
    readers: frozenset[str] = frozenset()
    anonymous_pull: bool = False
    service: str = "modelcar-sandbox"
    lifetime_s: int = 300

    def actions(self, user: str) -> frozenset[str]:
        """What a user may do in every repository; the empty name is nobody."""
        if user == _ANONYMOUS:
            return frozenset({PULL}) if self.anonymous_pull else frozenset()
        return frozenset({PULL}) if user in self.readers else frozenset({PULL, PUSH, DELETE})


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs: actions in a repository, or, without a name, only to be known."""

    name: str = ""
    actions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"repository:{self.name}:{','.join(self.actions)}" if self.name else ""


class Gate:
    """Lets requests pass or challenges them, and issues tokens. Tokens end with the process that issued them."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._key = secrets.token_bytes(32)

    def check(self, request: Request, needed: Iterable[Access]) -> None:
        """Return when the request may do all that it needs.

        Raises:
            Refusal: UNAUTHORIZED with a challenge, or DENIED to a known user of the basic flow.
        """
        if self._auth.flow == "basic":
            self._check_password(request, list(needed))
        else:
            self._check_token(request, list(needed))

    def issue(self, request: Request) -> dict[str, Any]:
        """Answer to `GET /token?service=…&scope=…`: a token for as much of the scope as the user may have.

        Raises:
            Refusal: UNAUTHORIZED; wrong password, or none and nobody may pull without. UNSUPPORTED; basic flow.
        """
        if self._auth.flow == "basic":
            raise Refusal("UNSUPPORTED", "this registry takes passwords, not tokens", status=404)
        user = self._user(request)
        if user is None or (user == _ANONYMOUS and not self._auth.anonymous_pull):
            raise Refusal("UNAUTHORIZED", "authentication required", headers={"WWW-Authenticate": self._basic()})
        now = int(time.time())
        claims = {
            "iss": self._auth.service,
            "aud": self._auth.service,
            "sub": user,
            "iat": now,
            "exp": now + self._auth.lifetime_s,
            "jti": secrets.token_hex(8),
            "access": self._granted(user, " ".join(request.args.getlist("scope")).split()),
        }
        token = self._sign(claims)
        issued_at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "token": token,
            "access_token": token,
            "expires_in": self._auth.lifetime_s,
            "issued_at": issued_at,
        }

    def _check_password(self, request: Request, needed: list[Access]) -> None:
        user = self._user(request)
        allowed = self._auth.actions(user) if user is not None else frozenset()
        wanted = {action for access in needed for action in access.actions}
        # The ping challenges everybody who gives no name, or clients would take the whole registry for open.
        if wanted <= allowed and (user or wanted):
            return
        if user:
            raise Refusal("DENIED", "requested access to the resource is denied", *map(str, needed))
        raise Refusal("UNAUTHORIZED", "authentication required", headers={"WWW-Authenticate": self._basic()})

    def _check_token(self, request: Request, needed: list[Access]) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise self._challenge(request, needed, "authentication required", None)
        claims = self._verify(token.strip())
        if claims is None:
            raise self._challenge(request, needed, "token invalid or expired", "invalid_token")
        granted = {(entry["name"], action) for entry in claims["access"] for action in entry["actions"]}
        if not {(access.name, action) for access in needed for action in access.actions} <= granted:
            raise self._challenge(request, needed, "the token's scope is too small", "insufficient_scope")

    def _challenge(self, request: Request, needed: list[Access], message: str, error: str | None) -> Refusal:
        """Source: https://www.rfc-editor.org/rfc/rfc6750#section-3."""
        scope = " ".join(filter(None, map(str, needed)))
        parts = {"realm": f"{request.host_url}token", "service": self._auth.service, "scope": scope, "error": error}
        header = "Bearer " + ",".join(f'{key}="{value}"' for key, value in parts.items() if value)
        details = [str(access) for access in needed if access.name]
        return Refusal("UNAUTHORIZED", message, *details, headers={"WWW-Authenticate": header})

    def _basic(self) -> str:
        return f'Basic realm="{self._auth.service}",charset="UTF-8"'

    def _user(self, request: Request) -> str | None:
        """The user whose password the request carries; the empty name without any, None when it is wrong."""
        header = request.headers.get("Authorization")
        if header is None:
            return _ANONYMOUS
        given = request.authorization if header.isascii() else None
        if given is None or given.type != "basic" or not given.username:
            return None
        expected = self._auth.users.get(given.username)
        # The comparison is made for unknown users as well, so that its time does not tell who is known.
        right = hmac.compare_digest((given.password or "").encode(), (expected or "").encode())
        return given.username if right and expected is not None else None

    def _granted(self, user: str, scopes: Iterable[str]) -> list[dict[str, Any]]:
        entries = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = sorted(set(actions.split(",")) & self._auth.actions(user))
            if kind == "repository" and name and allowed:
                entries.append({"type": kind, "name": name, "actions": allowed})
        return entries

    def _sign(self, claims: Mapping[str, Any]) -> str:
        signed = ".".join(_encode(json.dumps(part).encode()) for part in (_HEADER, claims))
        return f"{signed}.{self._signature(signed)}"

    def _verify(self, token: str) -> Any:
        """The claims of a token that was signed here and has not expired, else None."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = json.loads(_decode(signed.partition(".")[2]))
        return claims if time.time() < claims["exp"] else None

    def _signature(self, signed: str) -> str:
        return _encode(hmac.digest(self._key, signed.encode(), hashlib.sha256))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
