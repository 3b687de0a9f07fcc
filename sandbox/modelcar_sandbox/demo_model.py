"""A small model that is real in every file: Llama architecture, two safetensors shards, a working tokenizer.

Its weights are random numbers, so what it says is noise; but transformers loads it and vLLM serves it. It needs no
torch to be written, and comes out byte for byte the same everywhere.

Source: https://github.com/huggingface/safetensors#format (shards and index),
https://huggingface.co/docs/transformers/model_doc/llama (names and shapes of the tensors).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path

from modelcar_sandbox.demo_tokenizer import (
    BEGIN,
    END_OF_TURN,
    LONGEST_TEXT,
    PAD,
    SPECIAL_TOKENS,
    VOCABULARY_SIZE,
    special_tokens_map,
    tokenizer,
    tokenizer_config,
)

HIDDEN_SIZE = 256
HEADS = 4  # head size 64, the smallest that vLLM's attention kernels take
INTERMEDIATE_SIZE = 1024
LAYERS = 4  # two in each shard, which makes a shard just big enough (4 MiB) for an image layer of its own
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")

_WEIGHT_STEP = 0.02 * math.sqrt(3) / 127.5  # 256 equal steps with the standard deviation 0.02
_ONE = b"\x80\x3f"  # 1.0 as bfloat16

_MODEL_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags:
- llama
- demo
---

# demo-llama

A Llama of 4.4 million random weights. It was never trained and says nothing of sense; it is here so that a promotion
has a real checkpoint to carry: two shards with an index, a byte-level tokenizer, a chat template and a file in a
directory of its own.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("sandbox/demo-llama")
model = AutoModelForCausalLM.from_pretrained("sandbox/demo-llama")
```
"""

_PROMPTS = ("Hello, world", "What is a digest?", "Who promotes the model?")


def write_demo_model(directory: Path, *, variant: int = 1) -> None:
    """Write the model's files into `directory`, which is made when it is not there.

    Args:
        directory: Files of the same names are replaced, others are left alone.
        variant: Seeds the weights of the second shard; every other file is the same in all variants.
    """
    (directory / "examples").mkdir(parents=True, exist_ok=True)
    first, second = _shapes()
    for name, shapes, seed in ((SHARDS[0], first, 0), (SHARDS[1], second, variant)):
        (directory / name).write_bytes(_safetensors(shapes, seed))
    index = {
        "metadata": {"total_size": sum(2 * math.prod(shape) for shape in (first | second).values())},
        "weight_map": {name: SHARDS[0] for name in sorted(first)} | {name: SHARDS[1] for name in sorted(second)},
    }
    documents = {
        "config.json": _config(),
        "generation_config.json": _generation_config(),
        "model.safetensors.index.json": index,
        "special_tokens_map.json": special_tokens_map(),
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": tokenizer_config(),
    }
    for name, document in documents.items():
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (directory / name).write_bytes(text.encode())
    (directory / "README.md").write_bytes(_MODEL_CARD.encode())
    prompts = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in _PROMPTS)
    (directory / "examples" / "prompts.jsonl").write_bytes(prompts.encode())


def _shapes() -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Tensors of the first and of the second shard, by name."""
    embedding = (VOCABULARY_SIZE, HIDDEN_SIZE)
    first: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": embedding,
        **_layer_shapes(0),
        **_layer_shapes(1),
    }
    second: dict[str, tuple[int, ...]] = {
        **_layer_shapes(2),
        **_layer_shapes(3),
        "model.norm.weight": (HIDDEN_SIZE,),
        "lm_head.weight": embedding,
    }
    return first, second


def _layer_shapes(layer: int) -> dict[str, tuple[int, ...]]:
    square, up = (HIDDEN_SIZE, HIDDEN_SIZE), (INTERMEDIATE_SIZE, HIDDEN_SIZE)
    parts: dict[str, tuple[int, ...]] = {
        "input_layernorm": (HIDDEN_SIZE,),
        "self_attn.q_proj": square,
        "self_attn.k_proj": square,
        "self_attn.v_proj": square,
        "self_attn.o_proj": square,
        "post_attention_layernorm": (HIDDEN_SIZE,),
        "mlp.gate_proj": up,
        "mlp.up_proj": up,
        "mlp.down_proj": (HIDDEN_SIZE, INTERMEDIATE_SIZE),
    }
    return {f"model.layers.{layer}.{part}.weight": shape for part, shape in parts.items()}


def _safetensors(shapes: dict[str, tuple[int, ...]], seed: int) -> bytes:
    """One shard: length of the header, header, tensors one after the other."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    tensors = []
    offset = 0
    for name, shape in shapes.items():
        tensor = _tensor(name, math.prod(shape), seed)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + len(tensor)]}
        tensors.append(tensor)
        offset += len(tensor)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # keeps the tensors aligned
    return b"".join([struct.pack("<Q", len(text)), text, *tensors])


def _tensor(name: str, count: int, seed: int) -> bytes:
    """`count` bfloat16 values: ones for a norm, else noise that depends on name and seed alone."""
    if "norm" in name:
        return _ONE * count
    noise = hashlib.shake_256(f"{seed} {name}".encode()).digest(count)
    values = [struct.pack("<f", (byte - 127.5) * _WEIGHT_STEP)[2:] for byte in range(256)]
    tensor = bytearray(2 * count)
    tensor[0::2] = noise.translate(bytes(value[0] for value in values))
    tensor[1::2] = noise.translate(bytes(value[1] for value in values))
    return bytes(tensor)


def _config() -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": SPECIAL_TOKENS.index(BEGIN),
        "eos_token_id": SPECIAL_TOKENS.index(END_OF_TURN),
        "head_dim": HIDDEN_SIZE // HEADS,
        "hidden_act": "silu",
        "hidden_size": HIDDEN_SIZE,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE_SIZE,
        "max_position_embeddings": LONGEST_TEXT,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "pad_token_id": SPECIAL_TOKENS.index(PAD),
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": VOCABULARY_SIZE,
    }


def _generation_config() -> dict[str, object]:
    return {
        "bos_token_id": SPECIAL_TOKENS.index(BEGIN),
        "eos_token_id": SPECIAL_TOKENS.index(END_OF_TURN),
        "pad_token_id": SPECIAL_TOKENS.index(PAD),
    }
