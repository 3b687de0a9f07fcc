"""How much memory a push takes, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from modelcar_sandbox.object_store import KEYS

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
    with serve(Discarding) as address:
        yield address


@contextmanager
def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Bucket(BaseHTTPRequestHandler):
    """A bucket of four sound safetensors files of zeros, a GiB together, which are nowhere stored."""

    protocol_version = "HTTP/1.1"
    size_bytes = GIB // 4

    def do_GET(self) -> None:
        if "list-type=2" in self.path:
            names = [f"model-{number}.safetensors" for number in range(4)]
            self.send(b"<ListBucketResult>%s</ListBucketResult>" % b"".join(map(self.entry, names)))
        else:
            self.send(safetensors_header(self.size_bytes), self.size_bytes)

    def entry(self, name: str) -> bytes:
        told = f"<Key>model/{name}</Key><Size>{self.size_bytes}</Size><ETag>&quot;1&quot;</ETag>"
        return f"<Contents>{told}<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>".encode()

    def send(self, content: bytes, size_bytes: int | None = None) -> None:
        """Answer with the content and zeros up to the size."""
        left = (size_bytes or len(content)) - len(content)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + left))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)
        zeros = memoryview(bytes(MIB))
        while left:
            left -= self.wfile.write(zeros[:left])

    def log_message(self, *_: object) -> None:
        pass


def write_sparse_shard(path: Path, size_bytes: int) -> None:
    """A sound safetensors file of zeros, which take no room on the disk."""
    with path.open("wb") as file:
        file.write(safetensors_header(size_bytes))
        file.truncate(size_bytes)


def safetensors_header(size_bytes: int) -> bytes:
    """The first 256 bytes of a file of this size."""
    data_bytes = size_bytes - 256
    header = {"weight": {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}}
    text = json.dumps(header).ljust(256 - 8).encode()
    return len(text).to_bytes(8, "little") + text


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


def test_a_push_from_a_bucket_takes_at_most_160_mib_of_memory(discarding: str) -> None:
    with serve(Bucket) as store:
        variables = {"AWS_S3_ENDPOINT": f"http://{store}", **KEYS}
        command = [sys.executable, "-c", PUSH, "s3://models/model", discarding]
        run = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True)
    told = json.loads(run.stdout)
    assert told["read"] == GIB
    assert told["peak"] <= MOST_MEMORY_BYTES
