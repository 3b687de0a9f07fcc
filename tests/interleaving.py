"""Two callers of a pipeline server whose requests reach it in a given order, one after the other, and who may die."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st

from modelcar.errors import PromotionError
from modelcar_pipelines.connection import Server

ORDERS = st.lists(st.integers(0, 1), max_size=30)
"""Whose request is next; see `Turns`."""
DEATHS = st.none() | st.tuples(st.integers(0, 1), st.integers(0, 12))
"""Which caller dies before which of its requests."""


class Death(Exception):
    """The caller is gone."""


class Turns:
    """Lets one request through at a time, in a given order; then callers go on in turn, or one after the other."""

    def __init__(self, order: list[int], *, in_turn: bool = True) -> None:
        self._order = deque(order)
        self._in_turn = in_turn
        self._alive = [0, 1]
        self._changed = threading.Condition()

    def take(self, who: int, call: Callable[[], Any]) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: self._next() == who, timeout=60)
            if self._order:
                self._order.popleft()
            elif self._in_turn:
                self._alive.append(self._alive.pop(0))
            try:
                return call()
            finally:
                self._changed.notify_all()

    def leave(self, who: int) -> None:
        with self._changed:
            self._alive.remove(who)
            self._changed.notify_all()

    def _next(self) -> int:
        while self._order and self._order[0] not in self._alive:
            self._order.popleft()
        return self._order[0] if self._order else self._alive[0]


class OneOfTwo(Server):
    """A server whose calls wait for their turn."""

    def __init__(self, url: str, who: int, turns: Turns, dies_before: int | None) -> None:
        super().__init__(url)
        self.who, self._turns, self._left = who, turns, dies_before

    def call(self, function: Any, *args: object, **kwargs: object) -> Any:
        if self._left == 0:
            raise Death
        if self._left is not None:
            self._left -= 1
        return self._turns.take(self.who, lambda: self.send(function, *args, **kwargs))

    def send(self, function: Any, *args: object, **kwargs: object) -> Any:
        """Make the call; nobody else does so meanwhile."""
        return super().call(function, *args, **kwargs)


def run_both(
    calls: list[Callable[[OneOfTwo], object]],
    turns: Turns,
    death: tuple[int, int] | None,
    make: Callable[[int, Turns, int | None], OneOfTwo],
) -> None:
    """Let both callers come to their end, each with a server that `make` gives it; errors for readers are one, too."""

    def run(who: int) -> None:
        dies_before = death[1] if death is not None and death[0] == who else None
        try:
            with suppress(Death, PromotionError):
                calls[who](make(who, turns, dies_before))
        finally:
            turns.leave(who)

    threads = [threading.Thread(target=run, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
