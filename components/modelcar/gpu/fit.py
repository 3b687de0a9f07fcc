"""Whether weights and a KV cache fit the GPUs: vLLM's own sum, done before it starts.

vLLM takes `gpu_memory_utilization` of a GPU's memory. From that it takes the weights, and what a trial run needed
beside them; the rest is the KV cache. It does not start unless the cache holds one request of `max_model_len` tokens.
Weights are exact here, and so is the cache of layers that see all tokens. That of layers with a window is vLLM's sum
for each of them; what it adds to make groups of layers equal, and for the tokens of a second step under way where it
schedules ahead, is not counted. What the trial run will need is an estimate, and is called one.

Source: https://docs.vllm.ai/en/latest/configuration/conserving_memory/, `_check_enough_kv_cache_memory` in
https://github.com/vllm-project/vllm/blob/main/vllm/v1/core/kv_cache_utils.py, and for windows `SlidingWindowSpec` in
https://github.com/vllm-project/vllm/blob/main/vllm/v1/kv_cache_interface.py; defaults:
https://docs.redhat.com/en/documentation/red_hat_ai_inference_server/3.4/html/vllm_server_arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from modelcar.errors import InvalidInput
from modelcar.gpu.server import Server
from modelcar.gpu.shape import ModelShape
from modelcar.quantities import format_bytes

UTILIZATION = 0.9
BATCHED_TOKENS = 2048
SEQUENCES = 256
BLOCK_TOKENS = 16
RUNTIME_BYTES = 768 << 20
"""CUDA's context, captured graphs and what libraries keep, on each GPU: an estimate."""
_VALUE_BYTES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Fit:
    """The sum, for one GPU of those that share the model.

    Attributes:
        server: What was asked for.
        sharing_gpus: How many GPUs share each layer (tensor parallel) and the layers (pipeline parallel), multiplied.
        gpu_memory_bytes: Of one; None when nothing tells.
        gpu_memory_from: What told.
        utilization: The part of it that vLLM takes.
        weights_bytes: Of the model on one GPU.
        estimated_bytes: What a step needs beside them: an estimate.
        kv_bytes_per_token: What one more token takes in layers that cache all of them.
        context_tokens: What one request may have.
        kv_bytes: One request of that many tokens.
        longest_tokens: The longest request that has room, a multiple of `BLOCK_TOKENS`; None when nothing tells.
        needed_gpu_memory_bytes: The smallest memory of one GPU that would do.
        remark: What was assumed, because the model does not say it; empty for nothing.
        faults: Why vLLM would not start, each with what to do; empty when it fits, or when nothing tells.
    """

    server: Server
    sharing_gpus: int
    gpu_memory_bytes: int | None
    gpu_memory_from: str
    utilization: float
    weights_bytes: int
    estimated_bytes: int
    kv_bytes_per_token: int
    context_tokens: int
    kv_bytes: int
    longest_tokens: int | None
    needed_gpu_memory_bytes: int
    remark: str
    faults: tuple[tuple[str, str], ...]

    @property
    def fits(self) -> bool | None:
        """None when the memory is not known and nothing else stands against it."""
        if self.faults:
            return False
        return None if self.gpu_memory_bytes is None else True

    @property
    def budget_bytes(self) -> int | None:
        """What vLLM takes of one GPU."""
        return None if self.gpu_memory_bytes is None else int(self.gpu_memory_bytes * self.utilization)

    @property
    def left_bytes(self) -> int | None:
        """For the KV cache, on one GPU; negative where not even the weights have room."""
        return None if self.budget_bytes is None else self.budget_bytes - self.weights_bytes - self.estimated_bytes

    @property
    def needed_gpu_memory(self) -> str:
        """The smallest memory that would do, for people: rounded up."""
        return f"{math.ceil(self.needed_gpu_memory_bytes / (1 << 30) * 10) / 10:.1f} GiB"

    @property
    def requests(self) -> float | None:
        """How many requests of the whole context the cache holds at once."""
        return None if self.left_bytes is None or not self.kv_bytes else max(0, self.left_bytes) / self.kv_bytes


def compute_fit(shape: ModelShape, weights_bytes: int, server: Server, *, gpu_memory_bytes: int | None = None) -> Fit:
    """Add up what a model needs of each GPU.

    Args:
        shape: The model.
        weights_bytes: Of all its weight files.
        server: The InferenceService.
        gpu_memory_bytes: Of one GPU, where somebody says it; goes before what the manifest tells.

    Raises:
        InvalidInput: An argument of the server is not a number, or nothing tells how long a request may be.
    """
    sum_ = _Sum(shape, weights_bytes, server)
    memory = gpu_memory_bytes if gpu_memory_bytes is not None else server.gpu_memory_bytes
    utilization = server.fraction("gpu-memory-utilization", UTILIZATION)
    context = server.number("max-model-len", shape.context_tokens) or shape.context_tokens
    if not context:
        raise InvalidInput(
            "config.json does not tell how many tokens the model was made for, and --max-model-len is not given",
            hint="Give --max-model-len to vLLM.",
        )
    fixed = sum_.weights_bytes + sum_.estimated_bytes
    fit = Fit(
        server=server,
        sharing_gpus=sum_.tensor_gpus * sum_.pipeline_gpus,
        gpu_memory_bytes=memory,
        gpu_memory_from="--gpu-memory" if gpu_memory_bytes is not None else server.gpu_memory_from,
        utilization=utilization,
        weights_bytes=sum_.weights_bytes,
        estimated_bytes=sum_.estimated_bytes,
        kv_bytes_per_token=sum_.kv_bytes_per_token(sum_.full_layers),
        context_tokens=context,
        kv_bytes=sum_.kv_bytes(context),
        longest_tokens=None,
        needed_gpu_memory_bytes=math.ceil((fixed + sum_.kv_bytes(context)) / utilization),
        remark=_remark(shape, context),
        faults=(),
    )
    room = fit.left_bytes
    longest = sum_.longest_tokens(room, context) if room is not None else None
    fit = replace(fit, longest_tokens=longest)
    return replace(fit, faults=tuple(_faults(fit, sum_)))


class _Sum:
    """The parts, for one GPU: the one that has the most layers of a pipeline."""

    def __init__(self, shape: ModelShape, weights_bytes: int, server: Server) -> None:
        self.shape = shape
        self.tensor_gpus = max(1, server.number("tensor-parallel-size", 1))
        self.pipeline_gpus = max(1, server.number("pipeline-parallel-size", 1))
        dtype = server.arguments.get("dtype", "auto")
        # vLLM serves what was published in 32 bits in 16, unless it is told.
        self.value_bytes = _VALUE_BYTES.get(dtype, min(2, shape.value_bytes))
        self.cached_bytes = 1 if server.arguments.get("kv-cache-dtype", "").startswith("fp8") else self.value_bytes
        self.full_layers = -(-shape.full_layers // self.pipeline_gpus)
        self.window_layers = -(-shape.window_layers // self.pipeline_gpus)
        self.batched_tokens = server.number("max-num-batched-tokens", BATCHED_TOKENS)
        self.sequences = server.number("max-num-seqs", SEQUENCES)
        stored = weights_bytes if shape.is_quantized else weights_bytes * self.value_bytes // shape.value_bytes
        self.weights_bytes = -(-stored // (self.tensor_gpus * self.pipeline_gpus))

    @property
    def estimated_bytes(self) -> int:
        """A step's widest layer, in and out, and the scores of all words for each sequence, beside the runtime."""
        wide = 2 * (self.shape.hidden_size + self.shape.intermediate_size // self.tensor_gpus)
        scores = self.sequences * self.shape.vocabulary_size * 4
        return RUNTIME_BYTES + self.batched_tokens * wide * self.value_bytes + scores

    def kv_bytes_per_token(self, layers: int) -> int:
        """On one GPU."""
        return self.shape.kv_bytes_per_token(layers, value_bytes=self.cached_bytes, gpus=self.tensor_gpus)

    def kv_bytes(self, tokens: int) -> int:
        """Of one request, in whole blocks.

        A window keeps the tokens that are worked on and, before the first of them, one less than itself; they need not
        begin where a block does, so vLLM counts a block more.
        """
        kept = min(tokens, max(0, self.shape.window_tokens - 1) + self.batched_tokens)
        full = self.kv_bytes_per_token(self.full_layers) * _whole(tokens)
        return full + self.kv_bytes_per_token(self.window_layers) * (_whole(kept) + BLOCK_TOKENS)

    def longest_tokens(self, room_bytes: int, wanted: int) -> int:
        """The longest request that has room, up to what is wanted; found by halves, as vLLM does."""
        low, high = 0, -(-wanted // BLOCK_TOKENS)
        while low < high:
            middle = (low + high + 1) // 2
            if self.kv_bytes(middle * BLOCK_TOKENS) <= room_bytes:
                low = middle
            else:
                high = middle - 1
        return min(wanted, low * BLOCK_TOKENS)


def _whole(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


def _remark(shape: ModelShape, context_tokens: int) -> str:
    if not 0 < shape.unplaced_window_tokens < context_tokens:
        return ""
    return (
        f"config.json does not say which layers have the window of {shape.unplaced_window_tokens} tokens, so all are "
        "taken to cache every token"
    )


def _faults(fit: Fit, parts: _Sum) -> list[tuple[str, str]]:
    """Why vLLM would not start, and what to do."""
    faults = []
    server, heads = fit.server, parts.shape.heads
    if fit.sharing_gpus > server.gpus:
        faults.append(
            (
                f"vLLM is to share the model over {fit.sharing_gpus} GPUs, and the pod asks for {server.gpus}",
                f"Ask for {fit.sharing_gpus}, or give --tensor-parallel-size={server.gpus}.",
            )
        )
    if heads % parts.tensor_gpus:
        faults.append(
            (
                f"{heads} attention heads cannot be shared evenly by {parts.tensor_gpus} GPUs",
                f"Give a --tensor-parallel-size that divides {heads}.",
            )
        )
    if fit.context_tokens > parts.shape.context_tokens > 0:
        faults.append(
            (
                f"--max-model-len={fit.context_tokens} is more than the {parts.shape.context_tokens} tokens that the "
                "model was made for",
                f"Give --max-model-len={parts.shape.context_tokens} or less.",
            )
        )
    return faults + _lack(fit)


def _lack(fit: Fit) -> list[tuple[str, str]]:
    """What the memory is too small for."""
    left = fit.left_bytes
    if left is None or left >= fit.kv_bytes:
        return []
    more = f"take a GPU of {fit.needed_gpu_memory} or more, or share the model over more of them"
    if not fit.longest_tokens:
        held = format_bytes(fit.weights_bytes + fit.estimated_bytes)
        return [
            (
                f"weights and a step's working memory take {held} of the {format_bytes(fit.budget_bytes or 0)} that "
                "vLLM takes of a GPU, which leaves no room for a KV cache",
                f"{more[0].upper()}{more[1:]} (--tensor-parallel-size), or serve a quantized model.",
            )
        ]
    fp8 = "" if "fp8" in fit.server.arguments.get("kv-cache-dtype", "") else ", --kv-cache-dtype=fp8"
    return [
        (
            f"a request of {fit.context_tokens} tokens takes {format_bytes(fit.kv_bytes)} of KV cache, and "
            f"{format_bytes(left)} are left",
            f"Give --max-model-len={fit.longest_tokens}{fp8}, or {more}.",
        )
    ]
