"""What an InferenceService asks for, from its manifest and its ServingRuntime."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcar.errors import InvalidInput, ManifestShapeError
from modelcar.gpu.server import Server, parse_arguments, read_server

GIB, MIB = 1 << 30, 1 << 20
APPLICATION = Path(__file__).parents[2] / "gitops/stage01-model-serving/application/vllm"
SERVICE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: chat, namespace: serving}}
spec:
  predictor:
    model:
      runtime: vllm
      args: [--max-model-len=8192]
      resources: {resources}
{more}"""
RUNTIME = """\
kind: ServingRuntime
metadata: {name: vllm}
spec:
  containers:
    - {name: proxy, args: [--port=1]}
    - {name: kserve-container, args: [--port=8080, --max-model-len=4096, --dtype, half]}
"""
ONE_GPU = '{limits: {nvidia.com/gpu: "1"}}'


def read(resources: str = ONE_GPU, more: str = "", *beside: str) -> Server:
    return read_server([SERVICE.format(resources=resources, more=more), *beside], name="chat")


def test_a_model_of_the_tree_is_read_with_its_runtime() -> None:
    texts = [(APPLICATION / name).read_text() for name in ("mistral-small-24b-w4a16.yaml", "vllm-cuda.yaml")]
    server = read_server(texts, name="mistral-small-24b-w4a16")
    assert (server.gpus, server.gpu_memory_bytes) == (1, None)
    assert server.arguments == {
        "port": "8080",
        "model": "/mnt/models",
        "served-model-name": "{{.Name}}",
        "max-model-len": "8192",
        "gpu-memory-utilization": "0.92",
    }


def test_arguments_of_the_service_go_before_those_of_the_runtime() -> None:
    assert read(ONE_GPU, "", "- no manifest", RUNTIME).arguments == {
        "port": "8080",
        "max-model-len": "8192",
        "dtype": "half",
    }


@pytest.mark.parametrize(
    ("resources", "gpus", "memory_bytes"),
    [
        ("{}", 0, None),
        ('{limits: {nvidia.com/gpu: "2"}}', 2, None),
        ("{requests: {nvidia.com/gpu: 4}}", 4, None),
        ('{limits: {nvidia.com/mig-3g.40gb: "1"}}', 1, 40 * GIB),
        ('{limits: {nvidia.com/mig-1g.10gb.me: "2", nvidia.com/gpu: "0"}}', 2, 10 * GIB),
    ],
)
def test_gpus_and_slices_are_counted(resources: str, gpus: int, memory_bytes: int | None) -> None:
    server = read(resources)
    assert (server.gpus, server.gpu_memory_bytes) == (gpus, memory_bytes)


AFFINITY = """\
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions: [{key: nvidia.com/gpu.product, operator: In, values: [%s]}]
"""


@pytest.mark.parametrize(
    ("more", "memory_bytes", "told_by"),
    [
        ("    nodeSelector: {nvidia.com/gpu.product: NVIDIA-L4}\n", 23034 * MIB, "NVIDIA-L4"),
        ("    nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}\n", 80 * GIB, "NVIDIA-A100-SXM4-80GB"),
        ("    nodeSelector: {nvidia.com/gpu.product: NVIDIA-L4-SHARED}\n", 23034 * MIB, "NVIDIA-L4-SHARED"),
        ('    nodeSelector: {nvidia.com/gpu.memory: "40960"}\n', 40 * GIB, "nvidia.com/gpu.memory"),
        ("    nodeSelector: {nvidia.com/gpu.product: Unheard-Of}\n", None, ""),
        (AFFINITY % "NVIDIA-L40S", 46068 * MIB, "NVIDIA-L40S"),
        (AFFINITY % "NVIDIA-L40S, NVIDIA-L4", None, ""),
    ],
)
def test_the_memory_of_a_gpu_is_what_the_node_is_chosen_by(more: str, memory_bytes: int | None, told_by: str) -> None:
    server = read(ONE_GPU, more)
    assert (server.gpu_memory_bytes, server.gpu_memory_from) == (memory_bytes, told_by)


def test_a_slice_goes_before_the_product_that_it_is_of() -> None:
    more = "    nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB-MIG-3g.40gb}\n"
    server = read('{limits: {nvidia.com/mig-3g.40gb: "1"}}', more)
    assert (server.gpu_memory_bytes, server.gpu_memory_from) == (40 * GIB, "the MIG slice that it asks for")


def test_arguments_are_read_in_every_form() -> None:
    assert parse_arguments(["--a=1", "--b_c", "2", "--eager", "--d", "3", "stray", "--a=4"]) == {
        "a": "4",
        "b-c": "2",
        "eager": "",
        "d": "3",
    }


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["--enforce-eager", "-tp", "4"], {"enforce-eager": "", "tensor-parallel-size": "4"}),
        (
            ["-tp=4", "-pp=2", "-dp", "3"],
            {"tensor-parallel-size": "4", "pipeline-parallel-size": "2", "data-parallel-size": "3"},
        ),
        (["--tensor-parallel-size=2", "-tp", "4"], {"tensor-parallel-size": "4"}),
        (["-tp", "4", "--tensor_parallel_size", "2"], {"tensor-parallel-size": "2"}),
        (["--a", "-q", "1"], {"a": "", "q": "1"}),
        (["--seed", "-1", "--b", "-0.5", "--c", "-.5"], {"seed": "-1", "b": "-0.5", "c": "-.5"}),
    ],
)
def test_short_arguments_are_read_by_their_long_names_and_never_as_values(
    arguments: list[str], parsed: dict[str, str]
) -> None:
    assert parse_arguments(arguments) == parsed


@pytest.mark.parametrize(
    ("text", "number"), [("8192", 8192), ("8k", 8000), ("8K", 8192), ("1M", 1 << 20), ("25.6k", 25600)]
)
def test_lengths_are_read_as_vllm_does(text: str, number: int) -> None:
    assert Server("chat", 1, None, "", {"max-model-len": text}).number("max-model-len", 1) == number


def test_a_length_that_is_none_is_told_by_its_argument() -> None:
    server = Server("chat", 1, None, "", {"max-model-len": "auto", "gpu-memory-utilization": "1.5"})
    with pytest.raises(InvalidInput, match=r"^--max-model-len=auto of chat is not a number$"):
        server.number("max-model-len", 1)
    with pytest.raises(InvalidInput, match=r"^--gpu-memory-utilization=1.5 of chat is not between 0 and 1$"):
        server.fraction("gpu-memory-utilization", 0.9)


@pytest.mark.parametrize("name", ["other", None])
def test_a_file_without_that_service_is_refused(name: str | None) -> None:
    texts = [RUNTIME if name is None else SERVICE.format(resources="{}", more="")]
    with pytest.raises(ManifestShapeError, match="the manifest has no"):
        read_server(texts, name=name)


def test_a_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ManifestShapeError, match="the manifest is not YAML"):
        read_server(["{"], name=None)
