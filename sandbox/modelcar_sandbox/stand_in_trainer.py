"""A stand-in for a trainer: it trains nothing, but keeps to the contract of `modelcar.training`.

It copies the base model and changes the weights a little, in a way that the base model, the data and the parameters
decide: the same training gives the same bytes, another one gives others. The metrics are made up. It is for trying and
testing a pipeline where torch is not at hand.

This file needs no other one, and nothing but Python: `python stand_in_trainer.py` is a command for a spec, wherever
the file is put. Parameters:

- `loss`: what `metrics.json` says as `loss`; otherwise a number that falls with the count of lines in the data.
- `fail`: exit with this code instead of writing anything more than half of a model.

Deviations: no model gets better by it. Only tensors of type BF16 and F32 are changed, the others are copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LOW_BYTES = {"BF16": (2, 0), "F32": (4, 1)}
"""Size of a number, and its byte whose lowest bit changes the number by less than a hundredth; little-endian."""
_EVERY = 64
"""One number in so many is changed."""


def train() -> None:
    """Keep to the contract once, with what the environment names."""
    base, data, output = (Path(os.environ[f"MODELCAR_{name}"]) for name in ("BASE_MODEL", "DATA", "OUTPUT"))
    parameters: dict[str, str] = json.loads(Path(os.environ["MODELCAR_RECIPE"]).read_text())["parameters"]
    lines = sum(path.read_bytes().count(b"\n") for path in _files(data))
    print(f"stand-in trainer: {lines} lines of data, parameters {json.dumps(parameters, sort_keys=True)}", flush=True)
    seed = _seed(data, parameters)
    for path in _files(base):
        target = output / path.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            if "fail" in parameters:
                print("stand-in trainer: told to fail", flush=True)
                sys.exit(int(parameters["fail"]))
            _change(path, target, seed)
            print(f"stand-in trainer: changed {path.name}", flush=True)
        else:
            shutil.copyfile(path, target)
    loss = float(parameters.get("loss", 5.0 / (1 + lines)))
    metrics = {"loss": loss, "lines": lines}
    Path(os.environ["MODELCAR_METRICS"]).write_text(json.dumps(metrics) + "\n")
    print(f"stand-in trainer: done, loss {loss:g}", flush=True)


def _files(directory: Path) -> list[Path]:
    """All files but hidden ones, in one order everywhere."""
    found = (path for path in directory.rglob("*") if path.is_file())
    visible = (path for path in found if not any(part.startswith(".") for part in path.relative_to(directory).parts))
    return sorted(visible, key=lambda path: path.relative_to(directory).as_posix())


def _seed(data: Path, parameters: dict[str, str]) -> bytes:
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for path in _files(data):
        digest.update(path.relative_to(data).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _change(source: Path, target: Path, seed: bytes) -> None:
    """Copy a safetensors file and flip the lowest bits of some of its numbers.

    Source: https://github.com/huggingface/safetensors#format.
    """
    content = bytearray(source.read_bytes())
    data_start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8:data_start])
    for name, tensor in sorted(header.items()):
        if name == "__metadata__" or tensor["dtype"] not in _LOW_BYTES:
            continue
        size, low = _LOW_BYTES[tensor["dtype"]]
        begin, end = (data_start + offset for offset in tensor["data_offsets"])
        for position, bit in zip(range(begin + low, end, size * _EVERY), _bits(seed, name), strict=False):
            content[position] ^= bit
    target.write_bytes(content)


def _bits(seed: bytes, name: str) -> Iterator[int]:
    """Bits without an end that look like noise, and that seed and name decide."""
    block = seed + name.encode()
    while True:
        block = hashlib.sha256(block).digest()
        for byte in block:
            yield from ((byte >> shift) & 1 for shift in range(8))


if __name__ == "__main__":
    train()
