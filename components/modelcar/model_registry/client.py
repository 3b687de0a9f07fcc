"""A connection to a Kubeflow Model Registry, of either age: `v1`, or `v1alpha3` only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from modelcar.bearer import Token, refuse_token_in_clear, trust
from modelcar.errors import InvalidInput
from modelcar.model_registry.credentials import SERVICE, ca_file_of, parse_url, token_of
from modelcar.model_registry.exchange import GENERATED_BASE, Operation, Target, perform
from modelcar.model_registry.failures import NotFound, describe_nonsense
from modelcar.retry import ATTEMPTS, CONTACT_ATTEMPTS, retry

T = TypeVar("T")

BASES: Final = (GENERATED_BASE, "/api/model_registry/v1alpha3/")
"""Newest first; a server that has both is asked by the path that the generated client is made for."""


class Connection:
    """One server, and who asks. May be used from several threads, and where an event loop runs; keeps no socket open.

    Attributes:
        url: The server's address, without the API's path.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            url: `http://` or `https://`, host, optional port and path. The API's own path at the end is ignored.
            token: Sent as Bearer token; goes before `token_file`.
            token_file: Holds the token, and is read again for every request.
            ca_file: PEM certificates, trusted beside the system's.
            attempts: Requests in all while the server fails in a way that may pass; as long as it has never answered,
                `modelcar.retry.CONTACT_ATTEMPTS` at most.

        Raises:
            InvalidInput: The URL is none or holds credentials; the token would travel in the clear to another machine;
                the CA file cannot be used.
        """
        self.url = parse_url(url)
        self._token = Token(SERVICE, token) if token is not None else Token(SERVICE, file=token_file)
        if self._token:
            refuse_token_in_clear(SERVICE, self.url)
        self._trusted = trust(SERVICE, ca_file) if self.url.startswith("https://") else None
        self._attempts = attempts
        self._target: Target | None = None
        self._probing = threading.Lock()

    @classmethod
    def from_environment(
        cls, url: str | None = None, env: Mapping[str, str] = os.environ, *, attempts: int = ATTEMPTS
    ) -> Self:
        """Prepare a connection as the environment says.

        Args:
            url: Goes before `MODEL_REGISTRY_URL`.
            env: `MODEL_REGISTRY_TOKEN`, else the file that `MODEL_REGISTRY_TOKEN_FILE` names, else for https the
                ServiceAccount's token if there is one; `MODEL_REGISTRY_CA_FILE`, else `SSL_CERT_FILE`, else
                `REQUESTS_CA_BUNDLE`. Empty means not set.
            attempts: As for the constructor.

        Raises:
            InvalidInput: There is no URL, or as for the constructor.
        """
        where = url or env.get("MODEL_REGISTRY_URL")
        if not where:
            raise InvalidInput(
                "no Model Registry is named",
                hint="Set MODEL_REGISTRY_URL, for instance to https://registry.example.com.",
            )
        token = token_of(env, where)
        return cls(where, token=token.text, token_file=token.file, ca_file=ca_file_of(env), attempts=attempts)

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"

    def call(self, operation: Operation, read: Callable[[Any], T]) -> T:
        """Perform an operation of the generated client, and again while the server fails in a way that may pass.

        Args:
            operation: Given an `mr_openapi.ModelRegistryServiceApi`; gives an awaitable of parsed JSON. An attempt
                whose answer was lost may have had its effect: who creates must expect a `Conflict` with himself.
            read: Takes what is wanted from the answer; raises KeyError, TypeError or ValueError when it is not there.

        Raises:
            NotFound: 404.
            Conflict: 409.
            ModelRegistryError: The server refuses, fails, cannot be reached, or is no Model Registry.
            InvalidInput: The token cannot be read.
        """
        attempts = self._attempts if self._target is not None else min(self._attempts, CONTACT_ATTEMPTS)
        return retry(lambda: perform(self._find_target(), operation, read), attempts=attempts)

    def _find_target(self) -> Target:
        """Ask once which of the two APIs the server has.

        Source: health checks answer alike on both ages, a list only where the API is.
        """
        with self._probing:
            if self._target is None:
                self._target = self._probe()
            return self._target

    def _probe(self) -> Target:
        for base in BASES:
            target = Target(self.url, base, self._token, self._trusted)
            try:
                perform(target, lambda api: api.get_registered_models(page_size="1"), lambda answer: answer["items"])
            except NotFound:
                continue
            return target
        raise describe_nonsense(self.url)
