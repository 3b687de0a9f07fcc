"""Where the services of a sandbox listen, the same after every start."""

from __future__ import annotations

import errno
import json
import random
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelcar.errors import InvalidInput, PromotionError
from modelcar_sandbox.atomic import write_atomically
from modelcar_sandbox.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Below the ports that systems give to outgoing connections, which could take ours while the sandbox is down.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
_ATTEMPTS = 50


def take_port(name: str, application: WSGIApplication, *, host: str, port: int | None) -> Service:
    """Bind a service.

    Args:
        name: Of the service, for the message.
        application: What it serves.
        host: Passed `check_host`.
        port: The one that it must have, or None for any that is free.

    Raises:
        PromotionError: The port, or every one that was tried, is taken.
        InvalidInput: The host is not an address of this machine.
    """
    candidates = [port] if port is not None else random.sample(range(_FIRST_PORT, _LAST_PORT), _ATTEMPTS)
    for candidate in candidates:
        if _is_free(host, candidate):
            return Service(application, host=host, port=candidate)
    what = f"port {port}" if port is not None else f"each of {_ATTEMPTS} ports"
    raise PromotionError(
        f"{what} of {host}, where the sandbox's {name} wants to listen, is taken",
        hint="Stop what listens there, or name another directory: git holds addresses, so the port must stay the same.",
    )


def read_ports(state: Path) -> dict[str, int]:
    """The port of each service by its name; empty when there is no such file yet.

    Raises:
        InvalidInput: The file is not one that `write_ports` wrote.
    """
    if not state.exists():
        return {}
    try:
        ports = json.loads(state.read_bytes())["ports"]
        return {str(name): _port(value) for name, value in ports.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(
            f"{state} does not hold the ports of a sandbox",
            hint="Delete it; the services then get new ports, and git may still name the old ones.",
        ) from error


def write_ports(state: Path, services: Mapping[str, Service]) -> None:
    """Keep the port of each service."""
    ports = {name: int(service.address.rpartition(":")[2]) for name, service in services.items()}
    write_atomically(state, json.dumps({"ports": ports}, indent=2) + "\n")


def _port(value: object) -> int:
    if not isinstance(value, int) or not 0 < value < 1 << 16:
        raise ValueError(value)
    return value


def _is_free(host: str, port: int) -> bool:
    """Whether a port can be bound; asked first, because cheroot tells the number of its error in a text only."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as cheroot does
            probe.bind((host, port))
            return True
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise InvalidInput(
            f"the sandbox cannot listen on {host}: {error.strerror}", hint="Name an address of this machine."
        ) from error
