"""How much memory a push takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

MIB, GIB = 1 << 20, 1 << 30
MOST_MEMORY_BYTES = 160 * MIB
PUSH = r"""
import json, re, sys
from pathlib import Path
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.reference import ImageReference, Platform
source, registry = sys.argv[1:]
request = BuildRequest(source, ImageReference(registry, "team/model", "v1"), None, (Platform("linux", "amd64"),))
pushed = execute(prepare(request, Access()), concurrency=4)
# Not ru_maxrss: that begins with the memory of the process which started this one.
peak_bytes = 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
told = {"read": pushed.bytes_read, "uploaded": pushed.bytes_uploaded, "layers": len(pushed.layers)}
print(json.dumps({"peak": peak_bytes, **told}))
"""


class Discarding(BaseHTTPRequestHandler):
    """A registry that believes everything, and keeps manifests and which blobs there were."""

    protocol_version = "HTTP/1.1"
    manifests: ClassVar[dict[str, bytes]] = {}
    blobs: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.answer(202, Location=f"{self.path}1")

    def do_PATCH(self) -> None:
        self.skip()
        self.answer(202)

    def do_PUT(self) -> None:
        if "/manifests/" in self.path:
            self.manifests[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        else:
            self.skip()
            self.blobs.add(parse_qs(urlsplit(self.path).query)["digest"][0])
        self.answer(201)

    def do_DELETE(self) -> None:
        self.answer(204)

    def do_HEAD(self) -> None:
        self.answer(200 if self.path.rpartition("/")[2] in self.blobs else 404)

    def do_GET(self) -> None:
        manifest = self.manifests.get(self.path, b"")
        self.answer(200 if manifest else 404, manifest)

    def skip(self) -> None:
        left, buffer = int(self.headers["Content-Length"]), bytearray(MIB)
        while left:
            count = self.rfile.readinto(memoryview(buffer)[: min(left, MIB)])
            left -= count

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def discarding() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Discarding)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def write_sparse_shard(path: Path, size_bytes: int) -> None:
    """A sound safetensors file of zeros, which take no room on the disk."""
    data_bytes = size_bytes - 256
    header = {"weight": {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}}
    text = json.dumps(header).ljust(256 - 8).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(size_bytes)


@pytest.mark.parametrize(
    ("size_bytes", "shards"),
    [
        (GIB, 4),
        pytest.param(GIB, 1, marks=pytest.mark.long),
        pytest.param(GIB, 300, marks=pytest.mark.long),
        pytest.param(16 * GIB, 1, marks=pytest.mark.long),
        pytest.param(16 * GIB, 300, marks=pytest.mark.long),
    ],
    ids=lambda value: f"{value >> 30} GiB" if value >= GIB else f"{value} shards",
)
def test_a_push_takes_at_most_160_mib_of_memory(tmp_path: Path, discarding: str, size_bytes: int, shards: int) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for number in range(shards):
        write_sparse_shard(model / f"model-{number}.safetensors", size_bytes // shards)
    run = subprocess.run(
        [sys.executable, "-c", PUSH, f"file://{model}", discarding], capture_output=True, text=True, check=True
    )
    told = json.loads(run.stdout)
    assert told["read"] == size_bytes // shards * shards
    assert told["read"] < told["uploaded"] < told["read"] + MIB * (1 + shards // 64)
    assert told["layers"] <= 100
    assert told["peak"] <= MOST_MEMORY_BYTES
