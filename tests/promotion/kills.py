"""A middleware that kills a promotion when a server has come to a chosen request."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wsgi_recorder import Body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MIDDLE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Point:
    """When to kill.

    Attributes:
        server: Which one.
        when: Before the server does what it is asked, in the middle of the body, or when it has done it and has not
            answered yet.
        method: Of the request.
        path: Regular expression, searched for in the path.
        nth: Of the requests of this kind, counted from 1.
    """

    server: Literal["registry", "model registry"]
    when: Literal["before", "amid", "after"]
    method: str
    path: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.method} {self.path.strip('/$')} {self.nth}"


class Killer:
    """Kills once; does nothing before `arm`."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._point: Point | None = None
        self._victim = Path()
        self._count = 0

    def arm(self, point: Point, victim: Path) -> None:
        """Kill the process whose id is in the file `victim` at `point`."""
        with self._lock:
            self._point, self._victim, self._count = point, victim, 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        when = self._due(environ)
        if when == "before":
            self.kill()
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if when == "amid":
            environ["wsgi.input"] = _LastBytes(environ["wsgi.input"], self)
        answer = self._app(environ, start_response)
        if when == "after":
            answer = list(answer)
            self.kill()
        return answer

    def kill(self) -> None:
        """Do it."""
        os.kill(int(self._victim.read_text()), signal.SIGKILL)

    def _due(self, environ: WSGIEnvironment) -> str | None:
        with self._lock:
            point = self._point
            if point is None or environ["REQUEST_METHOD"] != point.method:
                return None
            if not re.search(point.path, environ.get("PATH_INFO", "")):
                return None
            self._count += 1
            if self._count != point.nth:
                return None
            self._point = None
            return point.when


class _LastBytes(Body):
    """Kills whoever sends this body when a part of it has arrived."""

    def __init__(self, stream: Any, killer: Killer) -> None:
        super().__init__(stream)
        self._killer: Killer | None = killer
        self._left = MIDDLE_BYTES

    def take(self, read: Any, size: int | None) -> bytes:
        data = super().take(read, self._left if size is None or self._killer else size)
        self._left -= len(data)
        if self._killer is not None and self._left <= 0:
            self._killer.kill()
            self._killer = None
        return data
