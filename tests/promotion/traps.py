"""A middleware that does something, such as killing a promotion, when a server has come to a chosen request."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wsgi_recorder import Body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MIDDLE_BYTES = 8192  # even the layer of small files is larger


@dataclass(frozen=True, slots=True)
class Point:
    """When it happens.

    Attributes:
        server: Which one.
        when: Before the server does what it is asked (it then answers 503), in the middle of the body, or when it has
            done it and has not answered yet.
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


class Trap:
    """Springs once; does nothing before `set`."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._point: Point | None = None
        self._action: Callable[[], object] = lambda: None
        self._count = 0

    def set(self, point: Point, action: Callable[[], object]) -> None:
        """Call `action` at `point`; the request waits until it returns."""
        with self._lock:
            self._point, self._action, self._count = point, action, 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        when = self._due(environ)
        if when == "before":
            self._action()
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        if when == "amid":
            environ["wsgi.input"] = _Interrupted(environ["wsgi.input"], self._action)
        answer = self._app(environ, start_response)
        if when == "after":
            answer = list(answer)
            self._action()
        return answer

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


class _Interrupted(Body):
    """Calls the action when a part of the body has arrived."""

    def __init__(self, stream: Any, action: Callable[[], object]) -> None:
        super().__init__(stream)
        self._action: Callable[[], object] | None = action
        self._left = MIDDLE_BYTES

    def take(self, read: Any, size: int | None) -> bytes:
        if self._action is None:
            return super().take(read, size)
        data = super().take(read, self._left if size is None else min(size, self._left))
        self._left -= len(data)
        if self._left <= 0:
            self._action()
            self._action = None
        return data
