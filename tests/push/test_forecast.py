"""What a push would cost and meet is told before it, and asked without moving a byte of the weights."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from base_images import push_base
from model_files import Files, shard
from modelcar.base import FetchedBase, fetch_base
from modelcar.build import Build, BuildRequest
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.drawing import draw_plan
from modelcar.errors import ManifestShapeError
from modelcar.forecast import BaseFate, Serving, make_forecast
from modelcar.plan import PlatformBase, make_plan
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference, LayoutReference, Platform
from modelcar.report import describe_plan
from modelcar.stored_image import fetch_image
from registry_service import Running

PushFiles = Callable[..., PushedImage]
AMD64 = Platform("linux", "amd64")
CONFIG = {
    "hidden_size": 64,
    "max_position_embeddings": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "vocab_size": 100,
}
DIRECTORIES_BYTES = 1536
MODEL = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": shard(4 << 20)}
SERVICE = """\
kind: InferenceService
metadata: {name: chat}
spec: {predictor: {model: {args: ["--max-num-seqs=8"], resources: {limits: {nvidia.com/gpu: %s}}}}}
"""


def build(
    source: Files, destination: Destination, place: ImageReference | LayoutReference, base: FetchedBase | None
) -> Build:
    plan = make_plan(source.snapshot(), destination, platforms=[PlatformBase(AMD64, base)], previous=["v1"])
    return Build(BuildRequest("", place, None, (AMD64,)), source, destination, plan)


def to_registry(running: Running, source: Files, base: FetchedBase | None = None) -> Build:
    return build(source, running.repository(), ImageReference(running.address, "team/model", "v1"), base)


def to_layout(tmp_path: Path, source: Files, base: FetchedBase | None = None) -> Build:
    return build(source, Layout(tmp_path / "layout"), LayoutReference(tmp_path / "layout"), base)


def with_sibling(running: Running, there: Running) -> Build:
    """To a new repository, with an image of `there` that may have the layers."""
    sibling = fetch_image(ImageReference(there.address, "team/sibling", "v1"), Access(), kind="image", hint="")
    place, destination = ImageReference(running.address, "team/model", "v1"), running.repository()
    platforms = [PlatformBase(AMD64, None)]
    plan = make_plan(Files(MODEL).snapshot(), destination, platforms=platforms, previous=[], elsewhere=[sibling])
    return Build(BuildRequest("", place, None, (AMD64,)), Files(MODEL), destination, plan)


def remove_blob(running: Running, digest: Digest) -> None:
    """As a registry's garbage collection that ran in between: manifests still name it."""
    files = [file for file in running.directory.rglob(f"*{digest.hex}*") if file.is_file()]
    assert files
    for file in files:
        file.unlink()


def base_of(running: Running) -> FetchedBase:
    push_base(running.repository("team/base"), "1")
    return fetch_base(ImageReference(running.address, "team/base", "1"), AMD64, Access())


def test_a_first_push_reads_the_model_and_sends_its_layers(running: Running) -> None:
    source = Files(MODEL)
    planned = to_registry(running, source)
    forecast = make_forecast(planned)
    assert forecast.read_bytes == source.size_bytes
    assert forecast.sent_bytes == planned.plan.size_bytes
    assert (forecast.compared_bytes, forecast.base, forecast.limits, forecast.fit) == (0, (), (), None)
    assert source.opened == []


def test_a_push_does_what_was_told(running: Running, push_files: PushFiles) -> None:
    forecast = make_forecast(to_registry(running, Files(MODEL)))
    pushed = push_files(Files(MODEL), running.repository())
    documents_bytes = 8000
    assert pushed.bytes_read == forecast.read_bytes
    assert forecast.sent_bytes < pushed.bytes_uploaded < forecast.sent_bytes + documents_bytes


def test_what_is_there_is_neither_read_nor_sent(running: Running, push_files: PushFiles) -> None:
    push_files(Files(MODEL), running.repository())
    forecast = make_forecast(to_registry(running, Files(MODEL)))
    assert (forecast.read_bytes, forecast.sent_bytes, forecast.compared_bytes) == (0, 0, 0)


def test_a_layer_that_a_clean_up_took_is_told_as_the_push_will_find_it(running: Running, push_files: PushFiles) -> None:
    first = push_files(Files(MODEL), running.repository())
    [weights] = [layer for layer in first.layers if layer.files == ("model.safetensors",)]
    remove_blob(running, weights.digest)
    source = Files(MODEL)
    planned = to_registry(running, source)
    forecast, out = make_forecast(planned), io.StringIO()
    draw_plan(planned, forecast, Console(file=out, width=200))
    assert (forecast.read_bytes, forecast.sent_bytes) == (len(MODEL["model.safetensors"]), weights.size_bytes)
    assert [layer["reusable"] for layer in describe_plan(planned, forecast)["layers"]] == [False, True, False]
    assert re.search(r"model\.safetensors .* read and sent", out.getvalue())
    assert source.opened == []
    assert push_files(source, running.repository()).bytes_read == forecast.read_bytes


@pytest.mark.parametrize("far", [False, True])
def test_a_layer_that_is_gone_from_its_sibling_is_read_from_the_source(
    running: Running, elsewhere: Running, push_files: PushFiles, far: bool
) -> None:
    there = elsewhere if far else running
    pushed = push_files(Files(MODEL), there.repository("team/sibling"))
    [weights] = [layer for layer in pushed.layers if layer.files == ("model.safetensors",)]
    remove_blob(there, weights.digest)
    [config] = [layer for layer in pushed.layers if layer.files == ("config.json",)]
    forecast = make_forecast(with_sibling(running, there))
    copied_bytes = config.size_bytes if far else 0
    assert forecast.read_bytes == len(MODEL["model.safetensors"]) + copied_bytes
    assert forecast.sent_bytes == weights.size_bytes + copied_bytes + DIRECTORIES_BYTES


def test_what_publishes_no_digests_is_read_to_be_compared(running: Running, push_files: PushFiles) -> None:
    push_files(Files(MODEL), running.repository())
    source = Files(MODEL, published=False)
    forecast = make_forecast(to_registry(running, source))
    assert forecast.read_bytes == forecast.compared_bytes == source.size_bytes


def test_a_base_is_mounted_then_there_and_copied_into_a_layout(
    running: Running, push_files: PushFiles, tmp_path: Path
) -> None:
    base = base_of(running)
    [layer] = base.image.layers
    [(_, before)] = make_forecast(to_registry(running, Files(MODEL), base)).base
    push_files(Files(MODEL), running.repository(), base=base)
    [(_, after)] = make_forecast(to_registry(running, Files(MODEL), base)).base
    copied = make_forecast(to_layout(tmp_path, Files(MODEL), base))
    assert [before, after, copied.base[0][1]] == [BaseFate.MOUNTED, BaseFate.THERE, BaseFate.COPIED]
    assert copied.base_bytes(BaseFate.COPIED) == layer.size_bytes
    assert copied.sent_bytes - make_forecast(to_layout(tmp_path, Files(MODEL))).sent_bytes == layer.size_bytes


@pytest.mark.parametrize("far", [False, True])
def test_layers_of_a_sibling_are_mounted_and_those_of_another_registry_are_copied(
    running: Running, elsewhere: Running, push_files: PushFiles, far: bool
) -> None:
    there = elsewhere if far else running
    push_files(Files(MODEL), there.repository("team/sibling"))
    planned = with_sibling(running, there)
    forecast, out = make_forecast(planned), io.StringIO()
    draw_plan(planned, forecast, Console(file=out, width=200))
    weights = [layer for layer in planned.plan.layers if layer.layer.files]
    copied_bytes = sum(layer.layer.size_bytes for layer in weights) if far else 0
    assert forecast.sent_bytes == DIRECTORIES_BYTES + copied_bytes
    word = "copied" if far else "mounted"
    assert out.getvalue().count(f"{word} from {there.address}/team/sibling") == len(weights) == 2
    assert {layer["origin"] for layer in describe_plan(planned)["layers"][1:]} == {f"{there.address}/team/sibling"}


def test_the_time_is_that_of_the_larger_way_at_the_rate_that_was_said(tmp_path: Path) -> None:
    planned = to_layout(tmp_path, Files(MODEL))
    told = make_forecast(planned, rate_bytes_per_s=1 << 20)
    assert told.rates == ((1 << 20, planned.plan.size_bytes / (1 << 20)),)
    assert [rate for rate, _ in make_forecast(planned).rates] == [125_000_000, 1_250_000_000]


def test_of_the_model_only_its_config_is_read_for_the_gpu(tmp_path: Path) -> None:
    source = Files(MODEL)
    serving = Serving([SERVICE % 1], gpu_memory_bytes=1 << 30)
    forecast = make_forecast(to_layout(tmp_path, source), serving=serving)
    assert forecast.fit is not None
    assert (forecast.fit.fits, forecast.fit.kv_bytes_per_token) == (True, 2 * 2 * 4 * 16 * 2)
    assert source.opened == [("config.json", 0)]


@pytest.mark.parametrize(
    ("files", "service", "reason"),
    [
        (MODEL, SERVICE % 0, "InferenceService chat asks for no GPU"),
        ({"model.safetensors": b""}, SERVICE % 1, "the model has no config.json that tells its layers and heads"),
        ({"config.json": MODEL["config.json"]}, SERVICE % 1, "the model has no file of weights that vLLM loads"),
        (
            MODEL,
            (SERVICE % 1).replace("seqs=8", "seqs=x"),
            "--max-num-seqs=x of chat is not a number. Write it as 8192 or 8k",
        ),
        (
            MODEL | {"config.json": json.dumps({**CONFIG, "max_position_embeddings": None}).encode()},
            SERVICE % 1,
            "config.json does not tell how many tokens the model was made for, and --max-model-len is not given. "
            "Give --max-model-len to vLLM",
        ),
    ],
)
def test_why_it_cannot_be_told_whether_it_fits(
    tmp_path: Path, files: dict[str, bytes], service: str, reason: str
) -> None:
    forecast = make_forecast(to_layout(tmp_path, Files(files)), serving=Serving([service]))
    assert (forecast.fit, forecast.no_fit) == (None, reason)


def test_what_was_assumed_of_windows_is_told(tmp_path: Path) -> None:
    config = {**CONFIG, "model_type": "gemma2", "sliding_window": 32}
    planned = to_layout(tmp_path, Files(MODEL | {"config.json": json.dumps(config).encode()}))
    forecast, out = make_forecast(planned, serving=Serving([SERVICE % 1], gpu_memory_bytes=1 << 30)), io.StringIO()
    draw_plan(planned, forecast, Console(file=out, width=200))
    remark = "config.json does not say which layers have the window of 32 tokens, so all are taken to cache every token"
    assert f"Assumed: {remark}.\n" in out.getvalue()
    assert describe_plan(planned, forecast)["serving"]["remark"] == remark


def test_a_manifest_without_the_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestShapeError):
        make_forecast(to_layout(tmp_path, Files(MODEL)), serving=Serving(["kind: Pod"]))


def test_people_read_all_of_it(tmp_path: Path, running: Running) -> None:
    planned = to_layout(tmp_path, Files(MODEL), base_of(running))
    out = io.StringIO()
    serving = Serving([SERVICE % 1], gpu_memory_bytes=1 << 30)
    forecast = make_forecast(planned, rate_bytes_per_s=1 << 20, serving=serving)
    draw_plan(planned, forecast, Console(file=out, width=200))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert lines[4:] == [
        "4.0 MiB in all, 0 B of it reused.",
        "4.0 MiB to read; 4.0 MiB to send at most.",
        "Base image: 1 layer, 122 B, copied.",
        "That takes at least 4.0 s at 1.0 MiB/s; no rate was measured.",
        "chat asks for 1 GPU of 1.0 GiB (--gpu-memory); vLLM takes 90% of each.",
        "weights 4.0 MiB",
        "a step's working memory 770.5 MiB an estimate",
        "KV cache of 64 tokens 32.0 KiB 512 B a token",
        "left for KV caches 147.1 MiB",
        "It fits, with 4707.1 requests of that length at once.",
    ]


def test_limits_and_what_does_not_fit_are_told_as_sentences_and_as_json(tmp_path: Path) -> None:
    planned = to_layout(tmp_path, Files(MODEL))
    serving = Serving([SERVICE % 1], gpu_memory_bytes=1 << 20)
    forecast = make_forecast(planned, serving=serving)
    told = describe_plan(planned, forecast)["serving"]
    assert told["fits"] is False
    assert told["faults"][0]["because"].startswith("weights and a step's working memory take")
    json.dumps(describe_plan(planned, forecast))
