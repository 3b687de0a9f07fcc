"""What a model's config.json says of the memory that it takes: its layers, heads and number formats.

Source: https://huggingface.co/docs/transformers/main_classes/configuration, and for multi-head latent attention
https://arxiv.org/abs/2412.19437, section 2.1.1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelcar.errors import SourceError
from modelcar.snapshot import ModelFile, ModelSnapshot, Source

CONFIG = "config.json"
_MAX_CONFIG_BYTES = 4 << 20
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "half": 2, "float": 4, "float64": 8}
_WINDOWED = frozenset({"sliding_attention", "chunked_attention"})
_UNTOLD = "one or the other"
_CACHED = _WINDOWED | {"full_attention", _UNTOLD}
_ALL_WINDOWED = frozenset({"mistral", "mixtral", "phi3", "starcoder2"})
"""Model types of which every layer has the window, where config.json states one. Others take turns by rules of their
own: of Gemma 2 every other layer has it, of Qwen 2 those after `max_window_layers`."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides the memory of a model.

    Attributes:
        full_layers: Layers whose attention sees all tokens, and caches them.
        window_layers: Layers whose attention sees, and caches, the last `window_tokens` only.
        window_tokens: 0 when there are no such layers.
        heads: Attention heads of a layer.
        kv_heads: Heads of a layer that are cached.
        head_size: Values of a head.
        latent_size: Values that multi-head latent attention caches for a token in a layer, in place of heads; None for
            any other attention.
        hidden_size: Of a layer.
        intermediate_size: Of its feed-forward part; of one expert where there are several.
        vocabulary_size: Of the tokenizer.
        context_tokens: What it was trained for.
        value_bytes: Of a weight that is not quantized, and of an activation, as published.
        is_quantized: Whether weights are stored smaller than that.
        unplaced_window_tokens: A window that is stated, but not of which layers, so that all count as `full_layers`; 0
            for none.
    """

    full_layers: int
    window_layers: int
    window_tokens: int
    heads: int
    kv_heads: int
    head_size: int
    latent_size: int | None
    hidden_size: int
    intermediate_size: int
    vocabulary_size: int
    context_tokens: int
    value_bytes: int
    is_quantized: bool
    unplaced_window_tokens: int = 0

    def kv_bytes_per_token(self, layers: int, *, value_bytes: int, gpus: int) -> int:
        """What some of its layers cache for one token on one GPU.

        Keys and values of every cached head. Heads are divided between GPUs, and kept by several where there are fewer
        heads than GPUs. A latent vector is kept whole by each.
        Source: `page_size_bytes` in https://github.com/vllm-project/vllm/blob/main/vllm/v1/kv_cache_interface.py.

        Args:
            layers: How many layers.
            value_bytes: Of one cached value.
            gpus: That share the heads.
        """
        if self.latent_size is not None:
            return layers * self.latent_size * value_bytes
        return 2 * layers * max(1, self.kv_heads // gpus) * self.head_size * value_bytes


def read_shape(source: Source, snapshot: ModelSnapshot) -> ModelShape | None:
    """Read a model's config.json, the only file that is read, and a small one.

    Returns:
        None when the model has none, or it is not a language model's that says its layers and heads.

    Raises:
        SourceError: The file cannot be read, or is no JSON.
    """
    config = next((file for file in snapshot.files if file.path == CONFIG), None)
    if config is None or config.size_bytes > _MAX_CONFIG_BYTES:
        return None
    with source.open(config) as blocks:
        content = b"".join(blocks)
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{CONFIG} of {snapshot.uri} is not JSON", hint="Ask its publisher.") from error
    return parse_shape(parsed) if isinstance(parsed, dict) else None


def parse_shape(config: Mapping[str, Any]) -> ModelShape | None:
    """The shape in a config.

    Args:
        config: As transformers writes it. What a model of text and images says of its text is in `text_config`.

    Returns:
        None when layers or heads are not stated as numbers.
    """
    text = {**config, **inner} if isinstance(inner := config.get("text_config"), dict) else config
    layers, heads = _number(text, "num_hidden_layers", "n_layer"), _number(text, "num_attention_heads", "n_head")
    hidden = _number(text, "hidden_size", "n_embd")
    if not (layers and heads and hidden):
        return None
    kinds, window_tokens = _kinds(text, layers), _window_tokens(text)
    window = sum(kind in _WINDOWED for kind in kinds) if window_tokens else 0
    full = sum(kind in _CACHED for kind in kinds) - window
    return ModelShape(
        full_layers=full,
        window_layers=window,
        window_tokens=window_tokens if window else 0,
        heads=heads,
        kv_heads=_number(text, "num_key_value_heads") or (1 if text.get("multi_query") is True else heads),
        head_size=_number(text, "head_dim") or hidden // heads,
        latent_size=_latent_size(text),
        hidden_size=hidden,
        intermediate_size=_number(text, "moe_intermediate_size", "intermediate_size", "n_inner") or 4 * hidden,
        vocabulary_size=_number(text, "vocab_size") or 0,
        context_tokens=_number(text, "max_position_embeddings", "n_positions", "max_sequence_length") or 0,
        value_bytes=_BYTES.get(str(text.get("dtype") or text.get("torch_dtype")).removeprefix("torch."), 2),
        is_quantized=isinstance(text.get("quantization_config") or text.get("compression_config"), dict),
        unplaced_window_tokens=window_tokens if kinds == [_UNTOLD] * layers else 0,
    )


def weights_bytes(files: Sequence[ModelFile]) -> int:
    """Of the files that a server loads.

    Safetensors where there are any, else pickles or GGUF; of the top directory only, and without Mistral's
    `consolidated` files where the same weights are there in transformers' form.
    """
    for ending in (".safetensors", ".gguf", ".bin", ".pth", ".pt"):
        found = [file for file in files if file.path.endswith(ending) and "/" not in file.path]
        if found:
            usual = [file for file in found if not file.path.startswith("consolidated")]
            return sum(file.size_bytes for file in usual or found)
    return 0


def _kinds(text: Mapping[str, Any], layers: int) -> list[str]:
    """How each layer attends. Layers of another kind, such as state spaces, cache nothing that grows."""
    stated = text.get("layer_types")
    if isinstance(stated, list) and len(stated) == layers:
        return [str(kind) for kind in stated]
    if not _number(text, "sliding_window") or text.get("use_sliding_window") is False:
        return ["full_attention"] * layers
    pattern = _number(text, "sliding_window_pattern")
    if pattern:
        return ["sliding_attention" if (n + 1) % pattern else "full_attention" for n in range(layers)]
    return ["sliding_attention" if text.get("model_type") in _ALL_WINDOWED else _UNTOLD] * layers


def _window_tokens(text: Mapping[str, Any]) -> int:
    return _number(text, "sliding_window", "attention_chunk_size") or 0


def _latent_size(text: Mapping[str, Any]) -> int | None:
    rank, rope = _number(text, "kv_lora_rank"), _number(text, "qk_rope_head_dim")
    return rank + rope if rank and rope else None


def _number(text: Mapping[str, Any], *names: str) -> int | None:
    """The first of these that is there as a whole number, not zero."""
    return next((value for name in names if type(value := text.get(name)) is int and value > 0), None)
