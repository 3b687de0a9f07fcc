"""Serve a WSGI application on a socket of this machine, in threads, until told to stop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from cheroot.wsgi import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

THREADS = 16
# A client that passes on what it reads from far away may pause in the middle of a request.
SILENCE_TIMEOUT_S = 120
# How long `stop` waits at most for a server that has nothing to do.
IDLE_WAIT_S = 0.02


class Service:
    """One application on one port, a context manager.

    Attributes:
        url: `http://host:port`, without a slash at the end.
        address: `host:port`.
    """

    def __init__(self, app: WSGIApplication, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Bind the socket; nothing is answered before `start`.

        Args:
            app: Called from several threads at once.
            host: Address to bind; loopback unless other machines must reach it.
            port: 0 for any free one.

        Raises:
            OSError: The port is taken.
        """
        self._server = Server((host, port), app, numthreads=THREADS, max=4 * THREADS, request_queue_size=64)
        self._server.timeout = SILENCE_TIMEOUT_S
        self._server.expiration_interval = IDLE_WAIT_S
        self._server.prepare()
        self.address = f"{host}:{self._server.bind_addr[1]}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve, name=self.url, daemon=True)

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, end those under way and free the port."""
        self._server.stop()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
