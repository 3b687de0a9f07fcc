"""Bytes of requests in, bytes of files out, in blocks."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from io import FileIO
from typing import TYPE_CHECKING, Any

from cheroot.server import ChunkedRFile, KnownLengthRFile

from modelcar_sandbox.oci_registry.errors import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BLOCK_BYTES = 1 << 20
# What cheroot writes to a socket it copies first, and once more for every part that the socket takes.
ANSWER_BLOCK_BYTES = 1 << 18

_BYTE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Body:
    """The body of one request, whether its length is stated or it comes in chunks.

    Under cheroot it reads past the server's own wrappers straight into the caller's buffer: they copy every block
    several times and hold a chunk of any size in memory. Any other `wsgi.input` is read by its `read`.

    Attributes:
        length: The stated length in bytes; None for a chunked body.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._input: Any = environ["wsgi.input"]
        self._chunked = bool(environ.get("wsgi.input_terminated"))
        self.length = None if self._chunked else max(int(environ.get("CONTENT_LENGTH") or 0), 0)
        self._left = self.length or 0
        self._ended = not self._chunked and self._left == 0
        if type(self._input) is ChunkedRFile:
            self._input = _Chunks(self._input)

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer`, or the front of it, and return the number of bytes; 0 is the end of the body.

        Raises:
            ConnectionResetError: The client is gone before the end.
        """
        if self._ended or not buffer:
            return 0
        if self._chunked:
            count = self._take(buffer)
            self._ended = count == 0
            return count
        count = self._take(buffer[: self._left])
        if count == 0:
            raise _client_gone()
        self._left -= count
        self._ended = self._left == 0
        return count

    def read_all(self, limit_bytes: int) -> bytes:
        """The whole body.

        Raises:
            Refusal: SIZE_INVALID with status 413; it is longer than `limit_bytes`.
            ConnectionResetError: The client is gone before the end.
        """
        content = bytearray()
        buffer = memoryview(bytearray(BLOCK_BYTES))
        while count := self.read_into(buffer):
            content += buffer[:count]
            if len(content) > limit_bytes:
                raise Refusal("SIZE_INVALID", f"more than {limit_bytes} bytes", status=413)
        return bytes(content)

    def skip(self) -> None:
        """Read the rest and forget it, so that the client reads our answer and the connection can be used again."""
        if not self._ended:
            buffer = memoryview(bytearray(BLOCK_BYTES))
            while self.read_into(buffer):
                pass

    def _take(self, buffer: memoryview) -> int:
        if type(self._input) is _Chunks:
            return self._input.read_into(buffer)
        if type(self._input) is KnownLengthRFile:
            count: int = self._input.rfile.readinto1(buffer)
            self._input.remaining -= count
            return count
        data: bytes = self._input.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Chunks:
    """The chunked transfer coding, taken off without holding a chunk.

    Source: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    """

    def __init__(self, stream: ChunkedRFile) -> None:
        self._stream = stream
        self._left_in_chunk = 0

    def read_into(self, buffer: memoryview) -> int:
        if self._left_in_chunk == 0:
            self._left_in_chunk = self._next_size()
            if self._left_in_chunk == 0:
                self._skip_trailers()
                return 0
        count: int = self._stream.rfile.readinto1(buffer[: self._left_in_chunk])
        if count == 0:
            raise _client_gone()
        self._left_in_chunk -= count
        if self._left_in_chunk == 0 and self._stream.rfile.read(2) != b"\r\n":
            raise _client_gone()
        return count

    def _next_size(self) -> int:
        line: bytes = self._stream.rfile.readline(128)
        digits = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not re.fullmatch(rb"[0-9a-fA-F]{1,16}", digits):
            raise _client_gone()
        return int(digits, 16)

    def _skip_trailers(self) -> None:
        while self._stream.rfile.readline(1 << 16) not in (b"\r\n", b"\n", b""):
            pass
        self._stream.closed = True


def _client_gone() -> ConnectionResetError:
    """A body that ends too early; with this number the server closes the connection and is silent about it."""
    return ConnectionResetError(errno.ECONNRESET, "the client stopped in the middle of a request")


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First byte and number of bytes that a `Range` header asks for; None when all of them are.

    Several ranges at once and other units than bytes are answered with everything, as HTTP allows.

    Raises:
        Refusal: UNSUPPORTED with status 416; no byte of the content is in the range.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    """
    match = _BYTE_RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    else:
        start, end = max(size_bytes - int(last), 0), size_bytes
    if start >= end:
        headers = {"Content-Range": f"bytes */{size_bytes}"}
        raise Refusal("UNSUPPORTED", "no such range", {"size": size_bytes}, status=416, headers=headers)
    return start, end - start


class FileBlocks:
    """A file as the body of an answer, whole or in part; whoever iterates calls `close`.

    Attributes:
        size_bytes: Of the whole file.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.size_bytes = self._left = os.fstat(file.fileno()).st_size

    def choose(self, start: int, count: int) -> None:
        """Send only `count` bytes from `start` on."""
        self._file.seek(start)
        self._left = count

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0 and (data := self._file.read(min(self._left, ANSWER_BLOCK_BYTES))):
            self._left -= len(data)
            yield data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
