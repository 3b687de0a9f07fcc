"""A gzip stream, read forward as what it holds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from modelcar.errors import DistributionError
from modelcar.forward import ForwardReader

BLOCK_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


class Gunzip(ForwardReader):
    """Unpacks blocks of a gzip stream, also one of several members, in pieces of at most 1 MiB.

    Source: https://www.rfc-editor.org/rfc/rfc1952#page-5 (members stand one after the other).
    """

    def __init__(self, blocks: Iterator[bytes], what: str) -> None:
        """Nothing is read yet.

        Args:
            blocks: The stream as stored.
            what: It, for messages.
        """
        super().__init__()
        self._blocks, self._what = blocks, what
        self._member = zlib.decompressobj(_GZIP)
        self._packed = b""
        self._in_member = False

    def _next(self) -> bytes:
        """The next piece.

        Raises:
            DistributionError: The stream is damaged, or ends early.
        """
        while True:
            if not self._packed and not self._refill():
                return b""
            self._in_member = True
            try:
                piece = self._member.decompress(self._packed, BLOCK_BYTES)
            except zlib.error as error:
                raise DistributionError(f"{self._what} is no gzip stream: {error}") from error
            self._packed = self._member.unconsumed_tail
            if self._member.eof:
                # Some writers fill the last block with zeros.
                self._packed = self._member.unused_data.lstrip(b"\0")
                self._member, self._in_member = zlib.decompressobj(_GZIP), False
            if piece:
                return piece

    def _refill(self) -> bool:
        """Have packed bytes; False at the end."""
        for block in self._blocks:
            self._packed = block if self._in_member else block.lstrip(b"\0")
            if self._packed:
                return True
        if self._in_member:
            raise DistributionError(f"{self._what} ends in the middle of a gzip stream")
        return False
