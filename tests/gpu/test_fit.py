"""Whether a model fits: vLLM's sum with exact numbers, and laws that hold for any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar.gpu.fit import RUNTIME_BYTES, Fit, compute_fit
from modelcar.gpu.server import Server
from modelcar.gpu.shape import ModelShape

GIB = 1 << 30
LLAMA = ModelShape(32, 0, 0, 32, 8, 128, None, 4096, 14336, 128256, 8192, 2, is_quantized=False)
WEIGHTS = 16_060_522_240
"""Of Llama 3 8B, in bfloat16."""


def server(*, gpus: int = 1, memory_gib: float | None = 24, **arguments: str) -> Server:
    memory = int(memory_gib * GIB) if memory_gib is not None else None
    return Server("chat", gpus, memory, "a label", {name.replace("_", "-"): value for name, value in arguments.items()})


def fit(shape: ModelShape = LLAMA, weights: int = WEIGHTS, **asked: Any) -> Fit:
    return compute_fit(shape, weights, server(**asked))


def test_the_sum_of_a_model_that_fits() -> None:
    it = fit()
    assert it.budget_bytes == int(24 * GIB * 0.9)
    assert it.weights_bytes == WEIGHTS
    assert it.estimated_bytes == RUNTIME_BYTES + 2048 * 2 * (4096 + 14336) * 2 + 256 * 128256 * 4
    assert (it.kv_bytes_per_token, it.context_tokens, it.kv_bytes) == (131072, 8192, 1 * GIB)
    assert it.left_bytes == int(24 * GIB * 0.9) - it.weights_bytes - it.estimated_bytes
    assert (it.fits, it.longest_tokens, it.faults) == (True, 8192, ())
    assert it.requests == pytest.approx(it.left_bytes / GIB)


@pytest.mark.parametrize(
    ("arguments", "per_token"),
    [
        ({}, 131072),
        ({"kv_cache_dtype": "fp8"}, 65536),
        ({"kv_cache_dtype": "fp8_e4m3"}, 65536),
        ({"kv_cache_dtype": "auto", "dtype": "float32"}, 262144),
        ({"tensor_parallel_size": "2"}, 65536),
        ({"pipeline_parallel_size": "2"}, 65536),
        ({"pipeline_parallel_size": "3"}, 11 * 4096),
    ],
)
def test_arguments_change_what_a_token_takes(arguments: dict[str, Any], per_token: int) -> None:
    assert fit(gpus=3, **arguments).kv_bytes_per_token == per_token


@pytest.mark.parametrize(
    ("shape", "arguments", "expected"),
    [
        (LLAMA, {}, 1000),
        (LLAMA, {"tensor_parallel_size": "4"}, 250),
        (LLAMA, {"dtype": "float32"}, 2000),
        (replace(LLAMA, value_bytes=4), {}, 500),  # published in 32 bits, served in 16
        (replace(LLAMA, value_bytes=4), {"dtype": "float32"}, 1000),
        (replace(LLAMA, value_bytes=4, is_quantized=True), {}, 1000),
    ],
)
def test_weights_are_shared_and_served_in_the_asked_format(
    shape: ModelShape, arguments: dict[str, Any], expected: int
) -> None:
    assert fit(shape, 1000, gpus=4, **arguments).weights_bytes == expected


def test_a_request_that_is_too_long_has_a_length_that_is_not() -> None:
    it = fit(memory_gib=18.5)
    assert it.fits is False
    [(because, way_out)] = it.faults
    assert because == "a request of 8192 tokens takes 1.0 GiB of KV cache, and 695.8 MiB are left"
    assert it.longest_tokens == 5552
    assert way_out == (
        "Give --max-model-len=5552, --kv-cache-dtype=fp8, or take a GPU of 18.9 GiB or more, or share the model over "
        "more of them."
    )


def test_weights_that_are_too_large_leave_no_room() -> None:
    [(because, way_out)] = fit(memory_gib=16).faults
    assert because == (
        "weights and a step's working memory take 16.0 GiB of the 14.4 GiB that vLLM takes of a GPU, which leaves no "
        "room for a KV cache"
    )
    assert way_out.startswith("Take a GPU of 18.9 GiB or more")


def test_without_the_memory_the_figure_that_is_needed_is_told() -> None:
    it = fit(memory_gib=None)
    assert (it.fits, it.left_bytes, it.longest_tokens, it.needed_gpu_memory) == (None, None, None, "18.9 GiB")


def test_what_is_said_of_the_memory_goes_before_the_manifest() -> None:
    it = compute_fit(LLAMA, WEIGHTS, server(memory_gib=16), gpu_memory_bytes=24 * GIB)
    assert (it.fits, it.gpu_memory_from) == (True, "--gpu-memory")


@pytest.mark.parametrize(
    ("asked", "because"),
    [
        ({"tensor_parallel_size": "2"}, "vLLM is to share the model over 2 GPUs, and the pod asks for 1"),
        ({"tensor_parallel_size": "3", "gpus": 3}, "32 attention heads cannot be shared evenly by 3 GPUs"),
        (
            {"max_model_len": "16k", "memory_gib": 80},
            "--max-model-len=16000 is more than the 8192 tokens that the model was made for",
        ),
    ],
)
def test_what_vllm_refuses_besides(asked: dict[str, Any], because: str) -> None:
    assert [one for one, _ in fit(**asked).faults] == [because]


def test_without_a_length_of_context_nothing_can_be_told() -> None:
    endless = replace(LLAMA, context_tokens=0)
    with pytest.raises(
        InvalidInput, match=r"^config.json does not tell how many tokens the model was made for"
    ) as caught:
        fit(endless)
    assert caught.value.hint == "Give --max-model-len to vLLM."
    assert fit(endless, max_model_len="4096").kv_bytes == 4096 * 131072


def test_a_window_keeps_no_more_than_itself_and_the_tokens_that_are_worked_on() -> None:
    gemma = replace(LLAMA, full_layers=8, window_layers=24, window_tokens=1024, context_tokens=131072)
    blocks = 192 + 1  # 1023 + 2048 tokens, and as many blocks as they touch where they begin within one
    assert fit(gemma).kv_bytes == 32768 * 131072 + 24 * 4096 * 16 * blocks


def test_a_window_of_nobody_knows_which_layers_is_told_where_requests_are_longer() -> None:
    untold = replace(LLAMA, unplaced_window_tokens=4096)
    assert fit(untold).kv_bytes == fit().kv_bytes
    assert fit(untold).remark == (
        "config.json does not say which layers have the window of 4096 tokens, so all are taken to cache every token"
    )
    assert (fit(untold, max_model_len="4096").remark, fit().remark) == ("", "")


SHAPES = st.builds(
    replace,
    st.just(LLAMA),
    full_layers=st.integers(0, 100),
    window_layers=st.integers(0, 100),
    window_tokens=st.integers(0, 10_000),
    kv_heads=st.sampled_from([1, 2, 4, 8, 32]),
    latent_size=st.none() | st.just(576),
    context_tokens=st.integers(1, 1 << 20),
)
SIZES = st.integers(1, 1 << 40)
MEMORY_GIB = st.floats(1, 200)
SHARED = st.sampled_from(["1", "2", "4", "8"])


@given(SHAPES, SIZES, MEMORY_GIB, SHARED)
def test_a_gpu_of_the_needed_size_does_and_a_smaller_one_does_not(
    shape: ModelShape, weights: int, memory_gib: float, shared: str
) -> None:
    asked = server(gpus=8, memory_gib=memory_gib, tensor_parallel_size=shared)
    it = compute_fit(shape, weights, asked)
    needed = it.needed_gpu_memory_bytes
    assert compute_fit(shape, weights, asked, gpu_memory_bytes=needed + 2).fits is True
    assert compute_fit(shape, weights, asked, gpu_memory_bytes=needed - 2).fits is False


@given(SHAPES, SIZES, MEMORY_GIB, SHARED)
def test_the_longest_request_has_room_and_a_longer_one_has_not(
    shape: ModelShape, weights: int, memory_gib: float, shared: str
) -> None:
    it = compute_fit(shape, weights, server(gpus=8, memory_gib=memory_gib, tensor_parallel_size=shared))
    assert it.longest_tokens is not None
    if it.fits:
        assert it.longest_tokens == it.context_tokens
    elif it.longest_tokens:
        length = str(it.longest_tokens)
        shorter = server(gpus=8, memory_gib=memory_gib, tensor_parallel_size=shared, max_model_len=length)
        assert compute_fit(shape, weights, shorter).fits is True
        longer = replace(shorter, arguments={**shorter.arguments, "max-model-len": str(it.longest_tokens + 16)})
        assert compute_fit(shape, weights, longer).fits is False
