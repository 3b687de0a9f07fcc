"""Which addresses the services of a sandbox can listen on."""

from __future__ import annotations

import ipaddress

from modelcar.errors import InvalidInput

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    return host == "localhost" or (_is_ip(host) and ipaddress.ip_address(host).is_loopback)


def check_host(host: str) -> None:
    """Let through an address that can be part of a URL and of an image reference, as others are to write it.

    Raises:
        InvalidInput: It stands for all addresses, is IPv6, or is none.
    """
    if _is_ip(host) and ipaddress.ip_address(host).is_unspecified:
        raise InvalidInput(
            f"{host} stands for every address, and nobody can connect to it",
            hint="Name the one address that others reach.",
        )
    if not host or ":" in host or "/" in host:
        raise InvalidInput(
            f"the sandbox cannot listen on {host!r}", hint="Name an IPv4 address or a host name, without a port."
        )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
