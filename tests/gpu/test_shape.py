"""What config.json says of memory: exact figures for models that everybody can look up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_files import Files
from modelcar.errors import SourceError
from modelcar.gpu.shape import parse_shape, read_shape, weights_bytes
from modelcar.snapshot import ModelFile

LLAMA_3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "Llama 3 8B": (LLAMA_3_8B, 131072),
    "Llama 2 7B, where every head is cached": (
        {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32},
        524288,
    ),
    "Llama 3.1 70B": (
        {"hidden_size": 8192, "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8},
        327680,
    ),
    "Qwen 2.5 7B, whose window is switched off": (
        {
            "hidden_size": 3584,
            "num_attention_heads": 28,
            "num_hidden_layers": 28,
            "num_key_value_heads": 4,
            "sliding_window": 131072,
            "use_sliding_window": False,
        },
        57344,
    ),
    "Mistral Small 24B, whose heads are smaller than its width says": (
        {
            "text_config": {
                "head_dim": 128,
                "hidden_size": 5120,
                "num_attention_heads": 32,
                "num_hidden_layers": 40,
                "num_key_value_heads": 8,
                "sliding_window": None,
            },
            "torch_dtype": "bfloat16",
            "vision_config": {"hidden_size": 1024, "num_hidden_layers": 24},
        },
        163840,
    ),
    "DeepSeek V3, which caches one latent vector": (
        {
            "hidden_size": 7168,
            "kv_lora_rank": 512,
            "num_attention_heads": 128,
            "num_hidden_layers": 61,
            "num_key_value_heads": 128,
            "qk_rope_head_dim": 64,
        },
        70272,
    ),
    "GPT-2, in the old words": ({"n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024}, 36864),
}


@pytest.mark.parametrize(("config", "expected"), MODELS.values(), ids=MODELS)
def test_a_token_takes_as_many_bytes_of_cache(config: dict[str, Any], expected: int) -> None:
    shape = parse_shape(config)
    assert shape is not None
    assert shape.window_layers == 0
    assert shape.kv_bytes_per_token(shape.full_layers, value_bytes=2, gpus=1) == expected


@pytest.mark.parametrize(("gpus", "expected"), [(1, 131072), (2, 65536), (8, 16384), (16, 16384)])
def test_heads_are_shared_between_gpus_and_one_at_least_is_kept_by_each(gpus: int, expected: int) -> None:
    shape = parse_shape(LLAMA_3_8B)
    assert shape is not None
    assert shape.kv_bytes_per_token(32, value_bytes=2, gpus=gpus) == expected


def test_a_latent_vector_is_kept_whole_by_every_gpu() -> None:
    shape = parse_shape(MODELS["DeepSeek V3, which caches one latent vector"][0])
    assert shape is not None
    assert shape.kv_bytes_per_token(61, value_bytes=2, gpus=8) == 70272


@pytest.mark.parametrize(
    ("more", "full", "window", "tokens"),
    [
        ({"sliding_window": 4096, "model_type": "mistral"}, 0, 32, 4096),
        ({"sliding_window": 4096, "model_type": "gemma2"}, 32, 0, 0),
        ({"sliding_window": 4096}, 32, 0, 0),
        ({"layer_types": ["sliding_attention", "full_attention"] * 16}, 32, 0, 0),
        ({"layer_types": ["chunked_attention"] * 24 + ["full_attention"] * 8, "attention_chunk_size": 64}, 8, 24, 64),
        ({"sliding_window": None}, 32, 0, 0),
        ({"sliding_window": 1024, "sliding_window_pattern": 6}, 5, 27, 1024),
        ({"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 16}, 16, 16, 128),
        ({"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8}, 8, 0, 0),
    ],
)
def test_layers_with_a_window_are_counted_apart(more: dict[str, Any], full: int, window: int, tokens: int) -> None:
    shape = parse_shape({**LLAMA_3_8B, **more})
    assert shape is not None
    assert (shape.full_layers, shape.window_layers, shape.window_tokens) == (full, window, tokens)


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"sliding_window": 4096, "model_type": "gemma2"}, 4096),
        ({"sliding_window": 4096, "model_type": "mistral"}, 0),
        ({"sliding_window": 4096, "use_sliding_window": False}, 0),
        ({"sliding_window": 4096, "layer_types": ["sliding_attention", "full_attention"] * 16}, 0),
        ({}, 0),
    ],
)
def test_a_window_that_is_stated_for_no_layer_is_told(more: dict[str, Any], tokens: int) -> None:
    shape = parse_shape({**LLAMA_3_8B, **more})
    assert shape is not None
    assert shape.unplaced_window_tokens == tokens


@pytest.mark.parametrize(
    "config", [{}, {"num_hidden_layers": "32"}, {**LLAMA_3_8B, "hidden_size": True}, {"text_config": []}]
)
def test_what_states_no_layers_or_heads_has_no_shape(config: dict[str, Any]) -> None:
    assert parse_shape(config) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from([*LLAMA_3_8B, "layer_types", "sliding_window", "text_config", "kv_lora_rank", "head_dim"]),
            inner,
        ),
    )
)
def test_any_config_has_a_shape_or_none(config: Any) -> None:
    if isinstance(config, dict):
        parse_shape(config)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"model-1.safetensors": 5, "model-2.safetensors": 7, "consolidated.safetensors": 12, "a.json": 1}, 12),
        ({"consolidated.safetensors": 12}, 12),
        ({"model.safetensors": 5, "original/consolidated.00.pth": 5, "onnx/model.safetensors": 3}, 5),
        ({"model.gguf": 4, "pytorch_model.bin": 8}, 4),
        ({"pytorch_model.bin": 8}, 8),
        ({"tokenizer.json": 8}, 0),
    ],
)
def test_weights_are_the_files_that_a_server_loads(sizes: dict[str, int], expected: int) -> None:
    assert weights_bytes([ModelFile(path, size) for path, size in sizes.items()]) == expected


def test_only_the_config_is_read() -> None:
    source = Files({"config.json": json.dumps(LLAMA_3_8B).encode(), "model.safetensors": bytes(1000)})
    assert read_shape(source, source.snapshot()) == parse_shape(LLAMA_3_8B)
    assert source.opened == [("config.json", 0)]


def test_a_model_without_a_config_has_no_shape() -> None:
    source = Files({"model.gguf": b"GGUF"})
    assert read_shape(source, source.snapshot()) is None


def test_a_config_that_is_no_json_is_told() -> None:
    source = Files({"config.json": b"{"})
    with pytest.raises(SourceError, match=r"^config.json of memory:///model is not JSON$"):
        read_shape(source, source.snapshot())
