"""What a pod gives a step beside its parameters: mounted files, a CA bundle, a place to write.

Secrets and config maps are optional, so that one pipeline serves teams that have them and teams that need none.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from modelcar.distribution.client import Access
from modelcar.errors import InvalidInput

MOUNTS = Path("/etc/modelcar")
"""Below it lie `registry/.dockerconfigjson` and `ca/*.crt`, where a pipeline mounts them and they exist."""
PLAIN_HTTP = "MODELCAR_PLAIN_HTTP"
"""`true` lets registries without TLS be spoken to; on loopback they are in any case."""
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")
_SWITCH = {"true": True, "false": False, "": False}


def settle(env: MutableMapping[str, str] = os.environ, mounts: Path = MOUNTS) -> None:
    """Make the environment name what is mounted; a variable that somebody set stays.

    Args:
        env: Changed in place. CA files are joined with the system's to one bundle, for the clients of all servers.
        mounts: Where to look.
    """
    logins = mounts / "registry" / ".dockerconfigjson"
    if logins.exists():
        env.setdefault("REGISTRY_AUTH_FILE", str(logins))
    found = sorted((mounts / "ca").glob("*.crt"))
    if found and not any(env.get(name) for name in _BUNDLES):
        env.update(dict.fromkeys(_BUNDLES, _join(found)))


def make_access(connections: int = 8, env: MutableMapping[str, str] = os.environ) -> Access:
    """How this step reaches registries.

    Args:
        connections: How many may be open at once to one registry.
        env: Holds `MODELCAR_PLAIN_HTTP`.

    Raises:
        InvalidInput: The variable is neither true nor false.
    """
    written = env.get(PLAIN_HTTP, "")
    if written.lower() not in _SWITCH:
        raise InvalidInput(f"{PLAIN_HTTP} is {written!r}", hint="Write true or false.")
    return Access(plain_http=_SWITCH[written.lower()], connections=connections)


def _join(files: list[Path]) -> str:
    """One file of the system's certificates and these; returns its path."""
    paths = ssl.get_default_verify_paths()
    system = [Path(paths.cafile)] if paths.cafile else []
    with tempfile.NamedTemporaryFile("w", prefix="modelcar-ca-", suffix=".pem", delete=False) as bundle:
        for file in (*system, *files):
            bundle.write(file.read_text(encoding="utf-8", errors="replace").rstrip() + "\n")
    return bundle.name
