"""Time a push beside the ingest limit of the registry it goes to, in one run.

    python benchmarks/push.py [--gib 4] [--shards 4] [--runs 5] [--directory DIR]

Needs `docker-registry` (Debian's package). For every run a registry with an empty store is started, so that nothing is
there already. The ingest limit is what the registry takes when a client does nothing but send: one monolithic PUT for
each shard, in parallel, of tars that lie ready, by sendfile, digests known. A push has to read, check and hash each
byte too. Runs alternate; the first of each kind is a warm-up and does not count.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from modelcar.image.layer import LayerPlan, LayerStream
from modelcar.snapshot import ModelFile
from modelcar.sources.open import open_source

GIB = 1 << 30


@dataclass(frozen=True)
class Run:
    """One timed run: seconds and CPU seconds of the client, its peak memory, and what a push said of itself."""

    seconds: float
    cpu_s: float
    peak_bytes: int
    said: dict[str, int]


def main() -> None:
    """Make the model, run, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--gib", type=float, default=4)
    arguments.add_argument("--shards", type=int, default=4)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--directory", type=Path, help="for model and store; default: a temporary one")
    options = arguments.parse_args()
    if shutil.which("docker-registry") is None:
        sys.exit("docker-registry is not installed (Debian: apt-get install docker-registry).")
    with tempfile.TemporaryDirectory(dir=options.directory) as temporary:
        directory = Path(temporary)
        model = directory / "model"
        write_model(model, int(options.gib * GIB / options.shards), options.shards)
        tars = write_tars(model, directory / "tars")
        limit, ours, changed = measure(directory, model, tars, options.runs)
    report(options, limit, ours, changed)


def measure(directory: Path, model: Path, tars: list[tuple[Path, str]], runs: int) -> tuple[list[Run], ...]:
    """Alternate the two, then push the same again, and with one shard changed."""
    limit: list[Run] = []
    ours: list[Run] = []
    for _ in range(runs + 1):
        with registry(directory / "store") as address:
            limit.append(timed(partial(ingest, address, tars)))
        with registry(directory / "store") as address:
            ours.append(push(model, address))
    with registry(directory / "store") as address:
        push(model, address)
        again = push(model, address)
        change_shard(model)
        return limit[1:], ours[1:], [again, push(model, address)]


def report(options: argparse.Namespace, limit: list[Run], ours: list[Run], changed: list[Run]) -> None:
    """Print the table as Markdown."""
    print(f"{options.gib:g} GiB in {options.shards} shards, {options.runs} runs each, medians (min to max)\n")
    print("| | seconds | GiB/s | client CPU s | peak memory MiB |")
    print("|---|---|---|---|---|")
    for name, runs in (("ingest limit (sendfile)", limit), ("modelcar push", ours)):
        seconds = [run.seconds for run in runs]
        median = statistics.median(seconds)
        print(
            f"| {name} | {median:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | {options.gib / median:.2f} "
            f"| {statistics.median(run.cpu_s for run in runs):.1f} | {max(run.peak_bytes for run in runs) >> 20} |"
        )
    ratios = [mine.seconds / its.seconds for mine, its in zip(ours, limit, strict=True)]
    print(f"\nratio, pair by pair: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    again, one = changed
    print(f"nothing changed: {again.said['bytes_uploaded']} bytes uploaded, {again.seconds:.2f} s")
    extra = one.said["bytes_uploaded"] - int(options.gib * GIB / options.shards)
    print(f"one shard changed: that shard and {extra} bytes uploaded, {one.seconds:.2f} s")


def write_model(model: Path, shard_bytes: int, shards: int) -> None:
    """Safetensors shards of one random tensor each, an index, and a config."""
    model.mkdir()
    weights = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        weights[f"tensor.{number}"] = name
        _write_shard(model / name, f"tensor.{number}", shard_bytes, seed=number)
    index = {"metadata": {"total_size": shard_bytes * shards}, "weight_map": weights}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / "config.json").write_text('{"model_type": "llama"}')


def _write_shard(path: Path, tensor: str, size_bytes: int, seed: int) -> None:
    header = json.dumps({tensor: {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}).encode()
    block = bytearray(random.Random(seed).randbytes(1 << 20))
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for number in range(0, size_bytes, len(block)):
            block[:8] = number.to_bytes(8, "little")
            file.write(block[: size_bytes - number])


def change_shard(model: Path) -> None:
    """Change one byte in the last shard."""
    with sorted(model.glob("*.safetensors"))[-1].open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\0")


def write_tars(model: Path, directory: Path) -> list[tuple[Path, str]]:
    """The layers that a push makes of the shards, as files, with their digests."""
    directory.mkdir()
    source = open_source(f"file://{model}")
    tars = []
    for file in source.snapshot().files:
        if file.path.endswith(".safetensors"):
            stream = LayerStream(LayerPlan(files=(file,)), source.open, _NoCheck)
            path = directory / f"{file.path}.tar"
            with path.open("wb") as tar:
                tar.writelines(stream)
            tars.append((path, str(stream.digest)))
    return tars


class _NoCheck:
    """The tars are made from files that were made a moment ago."""

    is_pickle = False

    def __init__(self, file: ModelFile) -> None: ...

    def update(self, block: bytes, /) -> None: ...

    def finish(self) -> None: ...


@contextmanager
def registry(store: Path) -> Iterator[str]:
    """docker-registry on an empty store; yields its address."""
    shutil.rmtree(store, ignore_errors=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(store),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_LOG_LEVEL": "error",
        "OTEL_TRACES_EXPORTER": "none",
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write("version: 0.1\nstorage:\n  filesystem: {}\nhttp: {}\n")
        config.flush()
        command = ["docker-registry", "serve", config.name]
        server = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port, server)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            sys.exit("docker-registry ended at once")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("docker-registry did not begin to listen")


def ingest(address: str, tars: list[tuple[Path, str]]) -> None:
    """One PUT a tar, all at once, by sendfile."""
    with ThreadPoolExecutor(len(tars)) as pool:
        list(pool.map(lambda tar: _put(address, *tar), tars))


def _put(address: str, path: Path, digest: str) -> None:
    connection = http.client.HTTPConnection(address)
    connection.request("POST", "/v2/bench/limit/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    location = urlsplit(answer.headers["Location"])
    connection.putrequest("PUT", f"{location.path}?{location.query}&digest={digest}")
    connection.putheader("Content-Length", str(path.stat().st_size))
    connection.endheaders()
    with path.open("rb") as file:
        connection.sock.sendfile(file)
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.CREATED:
        sys.exit(f"the registry answered {answer.status}")


def timed(action: Callable[[], object]) -> Run:
    """Time an action of this process."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    action()
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, cpu_s, after.ru_maxrss << 10, {})


def push(model: Path, address: str) -> Run:
    """`modelcar push` as a process of its own, start-up included."""
    command = [sys.executable, "-c", "from modelcar.cli import main; main()", "push", f"file://{model}"]
    command += [f"{address}/bench/model:1", "--base-image", "scratch", "--json"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.stdout.read() if process.stdout is not None else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"the push failed with exit code {process.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, json.loads(output))


if __name__ == "__main__":
    main()
