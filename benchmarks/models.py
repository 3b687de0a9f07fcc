"""Models to measure with: random safetensors shards, and the layers that a push makes of them, as files."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from modelcar.image.layer import LayerPlan, LayerStream
from modelcar.snapshot import ModelFile
from modelcar.sources.open import open_source


def write_model(model: Path, size_bytes: int, shards: int) -> None:
    """Equal shards of one tensor each, `size_bytes` in all, an index, and a config."""
    model.mkdir(parents=True)
    weights = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        weights[f"tensor.{number}"] = name
        _write_shard(model / name, f"tensor.{number}", size_bytes // shards, seed=number)
    index = {"metadata": {"total_size": size_bytes}, "weight_map": weights}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    (model / "config.json").write_text('{"model_type": "llama"}')


def change_byte(model: Path) -> None:
    """Change the last byte of the last shard, another one each time."""
    path = _shards(model)[-1]
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([(last + 1) % 256]))


def rewrite_shards(model: Path, count: int, seed: int) -> None:
    """Give the last `count` shards other tensors of the same names and sizes, as training does."""
    for number, path in list(enumerate(_shards(model), 1))[-count:]:
        with path.open("rb") as file:
            [tensor] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            size_bytes = path.stat().st_size - file.tell()
        _write_shard(path, tensor, size_bytes, seed=seed + number)


def write_layers(model: Path, directory: Path) -> list[tuple[Path, str]]:
    """The layers that a push makes of the shards, as files, with their digests."""
    directory.mkdir()
    source = open_source(f"file://{model}")
    layers = []
    for file in source.snapshot().files:
        if file.path.endswith(".safetensors"):
            stream = LayerStream(LayerPlan(files=(file,)), source.open, _NoCheck)
            path = directory / f"{file.path}.tar"
            with path.open("wb") as tar:
                tar.writelines(stream)
            layers.append((path, str(stream.digest)))
    return layers


def _shards(model: Path) -> list[Path]:
    return sorted(model.glob("*.safetensors"))


def _write_shard(path: Path, tensor: str, size_bytes: int, seed: int) -> None:
    header = json.dumps({tensor: {"dtype": "U8", "shape": [size_bytes], "data_offsets": [0, size_bytes]}}).encode()
    block = bytearray(random.Random(seed).randbytes(1 << 20))
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for number in range(0, size_bytes, len(block)):
            block[:8] = number.to_bytes(8, "little")
            file.write(block[: size_bytes - number])


class _NoCheck:
    """The layers are made from files that were made a moment ago."""

    is_pickle = False

    def __init__(self, file: ModelFile) -> None: ...

    def update(self, block: bytes, /) -> None: ...

    def finish(self) -> None: ...
