"""Time a push from a Hub or a bucket beside each side alone, and beside downloading first, in one run.

    python benchmarks/sources.py [--gib 4] [--shards 4] [--runs 5] [--directory DIR]
                                 [--registry HOST:PORT | --zot PROGRAM]

The Hub and the object store are the sandbox's: emulators on this machine, whose speed is their own. What a push from
them can be is bounded by each side alone: a push of the same files from a directory, and reading them from the source
as a push does (checked, each byte hashed twice) without sending them anywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from measure import GIB, MODELCAR, Run, run, spread, table, take_turns
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.object_store import KEYS
from models import rewrite_shards, write_model
from registries import Place, Registry, add_options

_HUB = """
import sys
from pathlib import Path
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
model, store = map(Path, sys.argv[1:])
Hub(store).publish("bench/model", model)
with Service(create_app(store)) as service:
    print(service.url, flush=True)
    sys.stdin.read()
"""
_BUCKET = """
import sys
from pathlib import Path
from modelcar_sandbox.object_store import ObjectStore
from modelcar_sandbox.service import Service
store = ObjectStore()
store.make_bucket("bench")
store.put_directory("bench", "model", Path(sys.argv[1]))
with Service(store) as service:
    print(service.url, flush=True)
    sys.stdin.read()
"""


def main() -> None:
    """Make the model, publish it, run, print the tables."""
    options = _parse()
    registry = Registry.of(options)
    with tempfile.TemporaryDirectory(dir=options.directory) as temporary:
        directory = Path(temporary)
        model = directory / "model"
        write_model(model, int(options.gib * GIB), options.shards)
        with _serve(_HUB, model, directory / "hub") as address:
            environment = {"HF_ENDPOINT": address}
            cold = measure(options, registry, "Hub", "hf://bench/model", model, directory, environment)
            _change_one_shard(options, registry, model, directory, environment, cold)
        with _serve(_BUCKET, model) as address:
            environment = {"AWS_S3_ENDPOINT": address, **KEYS}
            measure(options, registry, "S3 (an emulator)", "s3://bench/model", model, directory, environment)


def measure(
    options: argparse.Namespace,
    registry: Registry,
    name: str,
    uri: str,
    model: Path,
    directory: Path,
    environment: Mapping[str, str],
) -> float:
    """One source: four kinds of runs in turn, and what moves when nothing has changed; the seconds of a push."""
    own = f"modelcar push {uri.partition('://')[0]}://"

    def at_an_empty_place(push: partial[Run]) -> Run:
        with registry.empty_place(directory) as place:
            return push(place=place)

    kinds = {
        "modelcar push file://": partial(at_an_empty_place, partial(_push, f"file://{model}", environment)),
        "reading alone": partial(run, [sys.executable, str(Path(__file__).with_name("reader.py")), uri], environment),
        own: partial(at_an_empty_place, partial(_push, uri, environment)),
        "download, then push": partial(at_an_empty_place, partial(_download_first, uri, directory, environment)),
    }
    results = take_turns(kinds, options.runs)
    print(f"\n{name}: {options.gib:g} GiB in {options.shards} shards; {options.runs} runs: median (min to max)\n")
    print("\n".join(table(results, own, int(options.gib * GIB))))
    sides = zip(results["modelcar push file://"], results["reading alone"], strict=True)
    slower = [max(pushed.seconds, read.seconds) for pushed, read in sides]
    times = [ours.seconds / side for ours, side in zip(results[own], slower, strict=True)]
    print(
        f"\n{own} takes {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) x the slower side alone"
    )
    with registry.empty_place(directory) as place:
        _push(uri, environment, place)
        again = _push(uri, environment, place)
        told = json.loads(again.output)
        print(f"nothing changed: {told['bytes_read']} bytes read, {told['bytes_uploaded']} sent, {again.seconds:.2f} s")
    return statistics.median(one.seconds for one in results[own])


def _change_one_shard(
    options: argparse.Namespace,
    registry: Registry,
    model: Path,
    directory: Path,
    environment: Mapping[str, str],
    cold_s: float,
) -> None:
    """What a new commit with one new shard costs, beside a push to an empty place."""
    runs = []
    with registry.empty_place(directory) as place:
        _push("hf://bench/model", environment, place)
        for number in range(1, options.runs + 1):
            rewrite_shards(model, 1, seed=1000 * number)
            Hub(directory / "hub").publish("bench/model", model)
            os.sync()  # what was written before a run is not written to the disk during it
            runs.append(_push("hf://bench/model", environment, place))
    told = [json.loads(run.output) for run in runs]
    extra = max(one["bytes_uploaded"] for one in told) - int(options.gib * GIB) // options.shards
    print(
        f"one shard of {options.shards} changed: {max(one['bytes_read'] for one in told)} bytes read, that shard and "
        f"{extra} bytes sent, {spread([run.seconds for run in runs])} s, "
        f"{spread([run.seconds / cold_s for run in runs])} x a push to an empty place"
    )


def _parse() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(arguments)
    arguments.add_argument("--gib", type=float, default=4)
    arguments.add_argument("--shards", type=int, default=4)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--directory", type=Path, help="for model and stores; default: a temporary one")
    return arguments.parse_args()


def _push(uri: str, environment: Mapping[str, str], place: Place) -> Run:
    command = [*MODELCAR, "push", uri, f"{place.name}:1", "--base-image", "scratch", "--json", "--plain-http"]
    return run(command, environment)


def _download_first(uri: str, directory: Path, environment: Mapping[str, str], place: Place) -> Run:
    """Two commands, one after the other, with the model on disk in between."""
    with tempfile.TemporaryDirectory(dir=directory) as there:
        first = run([*MODELCAR, "download", uri, f"{there}/model"], environment)
        second = _push(f"file://{there}/model", environment, place)
    return Run(
        first.seconds + second.seconds,
        first.cpu_s + second.cpu_s,
        max(first.peak_bytes, second.peak_bytes),
        first.written_bytes + second.written_bytes,
        second.output,
    )


@contextmanager
def _serve(script: str, *arguments: Path) -> Iterator[str]:
    """A server with the model, in a process of its own; yields its address."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        address = server.stdout.readline() if server.stdout is not None else b""
        if not address:
            sys.exit("the source did not start")
        try:
            yield address.decode().strip()
        finally:
            server.communicate()


if __name__ == "__main__":
    main()
