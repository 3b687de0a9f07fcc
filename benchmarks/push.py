"""Time a push beside the ingest limit of the registry it goes to, and beside what people use instead, in one run.

    python benchmarks/push.py [--registry HOST:PORT | --zot PROGRAM] [--gib 4] [--shards 4] [--runs 5] [--directory DIR]
                              [--no-peers]

Without `--registry` or `--zot`, docker-registry (Debian's package) is started, with an empty store for every run. The
ingest limit is what the registry takes when a client does nothing but send: one monolithic PUT for each shard, in
parallel, of layers that lie ready, by sendfile, digests known. A push has to read, check and hash each byte twice: the
second limit is a client that does that, and nothing else. The kinds take turns; the first round is a warm-up and does
not count. Then, what a push costs where the registry has the model as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import GIB, MIB, MODELCAR, Run, ratios, run, spread, table, take_turns
from models import change_byte, rewrite_shards, write_layers, write_model
from peers import Peers
from registries import Place, Registry, add_options

OURS = "modelcar push"
LIMITS = {"ingest limit (sendfile)": "sendfile", "ingest limit, each byte hashed twice": "hashing"}


def main() -> None:
    """Make the model, run, print the table."""
    options = _parse()
    registry = Registry.of(options)
    with tempfile.TemporaryDirectory(dir=options.directory) as temporary:
        directory = Path(temporary)
        model = directory / "model"
        write_model(model, int(options.gib * GIB), options.shards)
        layers = write_layers(model, directory / "layers")
        peers = Peers(model, directory / "peer")
        kinds = _kinds(registry, directory, model, layers)
        if not options.no_peers:
            kinds |= {
                name: partial(_at_an_empty_place, registry, directory, partial(peers.push, name))
                for name in peers.names
            }
        results = take_turns(kinds, options.runs)
        print(
            f"{options.gib:g} GiB in {options.shards} shards to {registry}; {options.runs} runs: median (min to max)\n"
        )
        print("\n".join(table(results, OURS, int(options.gib * GIB))))
        if peers.missing and not options.no_peers:
            print(f"\nnot installed: {', '.join(peers.missing)}")
        print("\n" + "\n".join(_again(options, registry, directory, model)))


def _parse() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(arguments)
    arguments.add_argument("--gib", type=float, default=4)
    arguments.add_argument("--shards", type=int, default=4)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--directory", type=Path, help="for model and store; default: a temporary one")
    arguments.add_argument("--no-peers", action="store_true", help="only the limits and modelcar")
    return arguments.parse_args()


def _kinds(
    registry: Registry, directory: Path, model: Path, layers: list[tuple[Path, str]]
) -> dict[str, Callable[[], Run]]:
    """The limits and ours, by name."""
    limits = Path(__file__).with_name("limits.py")
    files = [f"{path}={digest}" for path, digest in layers]
    kinds: dict[str, Callable[[Place], Run]] = {
        name: lambda place, how=how: run([sys.executable, str(limits), how, place.name, *files])  # type: ignore[misc]
        for name, how in LIMITS.items()
    }
    kinds[OURS] = partial(push, model)
    return {name: partial(_at_an_empty_place, registry, directory, measure) for name, measure in kinds.items()}


def _at_an_empty_place(registry: Registry, directory: Path, measure: Callable[[Place], Run]) -> Run:
    with registry.empty_place(directory) as place:
        return measure(place)


def push(model: Path, place: Place, *more: str) -> Run:
    """`modelcar push` of a directory, with more options."""
    command = [*MODELCAR, "push", f"file://{model}", f"{place.name}:1", "--base-image", "scratch", "--json"]
    return run([*command, "--plain-http", *more])


def _again(options: argparse.Namespace, registry: Registry, directory: Path, model: Path) -> list[str]:
    """What a push costs where the registry has the model as it was: lines of Markdown."""
    changes: dict[str, Callable[[int], None]] = {
        "an empty place": lambda _: None,
        "nothing changed": lambda _: None,
        "one byte of one shard changed": lambda _: change_byte(model),
        "one shard trained anew": lambda number: rewrite_shards(model, 1, seed=10_000 * number + 100),
        "all shards trained anew": lambda number: rewrite_shards(model, options.shards, seed=10_000 * number + 200),
        "the same, `--no-reuse`": lambda number: rewrite_shards(model, options.shards, seed=10_000 * number + 300),
    }
    results: dict[str, list[Run]] = {name: [] for name in changes}
    for number in range(1, options.runs + 1):
        with registry.empty_place(directory) as place:
            for name, change in changes.items():
                change(number)
                os.sync()  # what was written before a run is not written to the disk during it
                more = ["--no-reuse"] if "--no-reuse" in name else []
                results[name].append(push(model, place, *more))
    lines = ["| | seconds | x a push to an empty place | MiB read | bytes sent |", "|---|---|---|---|---|"]
    cold = results["an empty place"]
    for name, runs in results.items():
        told = [json.loads(run.output) for run in runs]
        lines.append(
            f"| {name} | {spread([run.seconds for run in runs])} | {spread(ratios(runs, cold))} "
            f"| {max(one['bytes_read'] for one in told) / MIB:.0f} | {max(one['bytes_uploaded'] for one in told)} |"
        )
    return lines


if __name__ == "__main__":
    main()
