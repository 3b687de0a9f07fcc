"""How a Model Registry is reached: its address, the token, and whom to trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlunsplit

from modelcar import bearer
from modelcar.bearer import Service, Token

SERVICE: Final = Service(
    "Model Registry",
    "MODEL_REGISTRY_URL",
    "MODEL_REGISTRY_TOKEN",
    "MODEL_REGISTRY_TOKEN_FILE",
    "MODEL_REGISTRY_CA_FILE",
)
_API: Final = "/api/model_registry"
_URL_HINT: Final = "Write http(s)://HOST[:PORT][/PATH], for instance https://registry.example.com."


def parse_url(url: str) -> str:
    """The server's address, without a slash and without the API's path at its end.

    Raises:
        InvalidInput: No `http://` or `https://`, no host, or something that is no part of an address: a user name, a
            password, a query, a fragment.
    """
    parts = bearer.split_url(SERVICE, url, _URL_HINT)
    path = parts.path.rstrip("/")
    prefix, api, version = path.rpartition(_API)
    # People copy the API's base from a ConfigMap; which version the server has is asked of the server.
    if api and version in ("", "/v1", "/v1alpha3"):
        path = prefix
    return urlunsplit((parts.scheme, parts.netloc, path.rstrip("/"), "", ""))


def token_of(env: Mapping[str, str], url: str) -> Token:
    """The token that an environment names; a ServiceAccount's, where there is one, goes to https only."""
    if text := env.get("MODEL_REGISTRY_TOKEN"):
        return Token(SERVICE, text)
    if file := env.get("MODEL_REGISTRY_TOKEN_FILE"):
        return Token(SERVICE, file=Path(file))
    if url.startswith("https://") and bearer.SERVICE_ACCOUNT_TOKEN.is_file():
        return Token(SERVICE, file=bearer.SERVICE_ACCOUNT_TOKEN)
    return Token(SERVICE)


def ca_file_of(env: Mapping[str, str]) -> Path | None:
    """The CA file that an environment names: for the Model Registry, else for everything."""
    return bearer.first_path(env, SERVICE.ca_variable, "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
