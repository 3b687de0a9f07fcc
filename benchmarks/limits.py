"""What a registry takes, by clients that do little but send: the limits that `push.py` measures against.

    python benchmarks/limits.py sendfile|hashing REPOSITORY FILE=DIGEST …

One monolithic PUT for each file, all at once, of ready layers whose digests are known. `sendfile` lets the kernel send
them; `hashing` reads each block, hashes it twice, as a push has to (file and layer), and sends it.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from urllib.parse import urlsplit

Send = Callable[[socket.socket, FileIO], None]
BLOCK_BYTES = 1 << 20


def main() -> None:
    """Send the files that the arguments name."""
    how, name, *files = sys.argv[1:]
    send = {"sendfile": _send_by_kernel, "hashing": _send_hashed}[how]
    address, _, repository = name.partition("/")
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(lambda file: _put(address, repository, *_split(file), send), files))


def _split(argument: str) -> tuple[str, str]:
    path, _, digest = argument.rpartition("=")
    return path, digest


def _put(address: str, repository: str, path: str, digest: str, send: Send) -> None:
    connection = http.client.HTTPConnection(address)
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    location = urlsplit(answer.headers["Location"])
    query = f"{location.query}&" if location.query else ""
    connection.putrequest("PUT", f"{location.path}?{query}digest={digest}")
    connection.putheader("Content-Length", str(os.path.getsize(path)))
    connection.putheader("Content-Type", "application/octet-stream")
    connection.endheaders()
    with FileIO(path) as file:
        send(connection.sock, file)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.CREATED:
        sys.exit(f"the registry answered {answer.status}")


def _send_by_kernel(sock: socket.socket, file: FileIO) -> None:
    sock.sendfile(file)


def _send_hashed(sock: socket.socket, file: FileIO) -> None:
    first, second, buffer = hashlib.sha256(), hashlib.sha256(), bytearray(BLOCK_BYTES)
    view = memoryview(buffer)
    while count := file.readinto(buffer):
        first.update(view[:count])
        second.update(view[:count])
        sock.sendall(view[:count])


if __name__ == "__main__":
    main()
