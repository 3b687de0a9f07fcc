"""An image built from a directory that a model was downloaded into is the image built straight from the source."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from model_files import shard
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.errors import PromotionError
from modelcar.reference import LayoutReference, Platform
from modelcar.sources.open import open_source
from modelcar.workspace.download import download

WEIGHTS = shard(1000)
FILES = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "part/model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"\x80\x04N.",
    "part/pytorch_model.bin": b"\x80\x04N.",
    "training_args.bin": b"\x80\x04N.",
    "original/consolidated.safetensors": WEIGHTS,
    "onnx/model.onnx": b"onnx",
    "model.gguf": b"GGUF",
    ".gitattributes": b"*.bin filter=lfs",
    "sub dir/nötes/ß.txt": b"deep",
}
PATTERNS = ["*", "*.json", "*.safetensors", "*.bin", "*.txt", "part/", "original/", "*.gguf", ".*", "*nothing"]
patterns = st.lists(st.sampled_from(PATTERNS), max_size=3, unique=True)
numbers = itertools.count()


def digest(source: str, layouts: Path, **chosen: list[str]) -> str:
    destination = LayoutReference(layouts / str(next(numbers)), "1")
    wanted = {name: tuple(values) for name, values in chosen.items()}
    request = BuildRequest(source, destination, None, (Platform("linux", "amd64"),), **wanted)  # type: ignore[arg-type]
    return str(execute(prepare(request, Access())).digest)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(names=st.sets(st.sampled_from(sorted(FILES)), min_size=1), allow=patterns, ignore=patterns, pickles=patterns)
def test_with_the_same_patterns_it_is_the_same_image(
    place: Path, names: set[str], allow: list[str], ignore: list[str], pickles: list[str]
) -> None:
    model = place / f"model-{next(numbers)}"
    for name in names:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(FILES[name])
    source = open_source(model.as_uri(), allow=allow, ignore=ignore, allow_pickle=pickles)
    try:
        snapshot = source.snapshot()
    except PromotionError:
        assume(False)
        raise
    copy = place / f"copy-{next(numbers)}"
    download(snapshot, source, copy, allow_pickle=pickles)

    straight = digest(model.as_uri(), place, allow=allow, ignore=ignore, allow_pickle=pickles)
    assert digest(copy.as_uri(), place, allow=allow, ignore=ignore, allow_pickle=pickles) == straight
