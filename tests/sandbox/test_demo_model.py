from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import deserialize
from tokenizers import Tokenizer

from modelcar_sandbox.demo_model import SHARDS, write_demo_model

FILES = {
    "README.md",
    "config.json",
    "examples/prompts.jsonl",
    "generation_config.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    write_demo_model(directory)
    return directory


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model / "tokenizer.json"))


def test_the_files_are_those_of_a_sharded_checkpoint(model: Path) -> None:
    assert set(contents(model)) == FILES


def test_the_bytes_are_the_same_on_every_python_and_platform(model: Path) -> None:
    digest = hashlib.sha256()
    for path, content in sorted(contents(model).items()):
        digest.update(f"{path} {hashlib.sha256(content).hexdigest()}\n".encode())
    assert digest.hexdigest() == "91928411aae1a7222161fbc9da56dea3151fb275f884bd4748dc8569ab7d8b26"


def test_another_variant_differs_in_the_second_shard_alone(model: Path, tmp_path: Path) -> None:
    write_demo_model(tmp_path, variant=2)
    before, after = contents(model), contents(tmp_path)
    assert [path for path in before if before[path] != after[path]] == [SHARDS[1]]


def test_each_shard_is_at_least_four_mebibytes_so_that_it_gets_an_image_layer_of_its_own(model: Path) -> None:
    assert all((model / shard).stat().st_size >= 4 << 20 for shard in SHARDS)


def test_the_index_names_the_shard_of_every_tensor_and_their_total_size(model: Path) -> None:
    index = json.loads((model / "model.safetensors.index.json").read_text())
    where, total = {}, 0
    for shard in SHARDS:
        for name, tensor in deserialize((model / shard).read_bytes()):  # type: ignore[no-untyped-call]
            assert tensor["dtype"] == "BF16"
            where[name] = shard
            total += 2 * math.prod(tensor["shape"])
    assert index["weight_map"] == where
    assert index["metadata"] == {"total_size": total}


def test_the_head_size_is_64(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    assert config["hidden_size"] // config["num_attention_heads"] == config["head_dim"] == 64


def test_the_tokenizer_knows_as_many_tokens_as_the_model(model: Path, tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == json.loads((model / "config.json").read_text())["vocab_size"] == 384


def test_a_common_word_is_one_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(" the", add_special_tokens=False).tokens == ["Ġthe"]


def test_a_text_begins_with_the_token_that_the_config_names(model: Path, tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("hello").ids[0] == json.loads((model / "config.json").read_text())["bos_token_id"]


def test_special_tokens_are_one_token_each(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("<|eot_id|>", add_special_tokens=False).ids == [5]


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_every_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
