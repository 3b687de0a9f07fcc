"""What a push tells while it runs; the library draws nothing itself."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what happens to each layer; called from several threads, must not raise."""

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:
        """Layer `key` begins to move; a second call for the same key means that it begins again from its start."""

    def bytes_moved(self, key: int, count: int) -> None:
        """`count` more bytes of layer `key` were handed to the destination."""

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:
        """The destination has layer `key`; `reused` when no byte of it had to move."""


class Silence:
    """A Progress that tells nobody."""

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:
        """Nothing."""

    def bytes_moved(self, key: int, count: int) -> None:
        """Nothing."""

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:
        """Nothing."""
