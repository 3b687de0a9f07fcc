"""What people are shown when a command is done, character by character."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from modelcar.build import Build
from modelcar.delivery.repository import Delivered
from modelcar.distribution.layout import Layout
from modelcar.drawing import draw_plan, draw_promotion, draw_push, draw_registration
from modelcar.image.layer import LayerPlan
from modelcar.image.manifest import Descriptor
from modelcar.model_registry.registration import RegisteredVersion
from modelcar.plan import ImagePlan, PlannedLayer, PlatformBase
from modelcar.promotion import Promotion
from modelcar.push import PushedImage, PushedLayer
from modelcar.reference import Digest, Platform
from modelcar.snapshot import LeftOut, ModelFile, ModelSnapshot
from modelcar.spec import PromotionSpec

MIB = 1 << 20
DIGEST = Digest("ab" * 32)
FILES = (ModelFile("README.md", 100), ModelFile("config.json", 200), ModelFile("model.safetensors", 30 * MIB))
SNAPSHOT = ModelSnapshot(
    "hf://acme/chat", "main", "c0ffee" + "0" * 34, FILES, (LeftOut("model.gguf", 5 * MIB, "default pattern *.gguf"),)
)
REGISTERED = RegisteredVersion(
    "1", "2", "3", "chat", "v1", f"oci://quay.io/acme/chat@{DIGEST}", ("registered_model", "model_version")
)
DIFF = "--- a/chat.yaml\n+++ b/chat.yaml\n@@ -1 +1 @@\n-storageUri: old\n+storageUri: [new]\n"


def pushed(*, reused: bool = False) -> PushedImage:
    layers = (
        PushedLayer("base image ubi9/ubi-micro", DIGEST, 10 * MIB, (), reused=True),
        PushedLayer("directories", DIGEST, 2048, (), reused),
        PushedLayer("README.md and 1 more", DIGEST, 3072, ("README.md", "config.json"), reused),
        PushedLayer("model.safetensors", DIGEST, 30 * MIB, ("model.safetensors",), reused),
    )
    return PushedImage(
        image=f"quay.io/acme/chat@{DIGEST}",
        digest=DIGEST,
        platforms={Platform("linux", "amd64"): DIGEST},
        tags=("v1", "modelcar-ab"),
        size_bytes=40 * MIB,
        layers=layers,
        snapshot=SNAPSHOT,
        content_key="0" * 64,
        bytes_read=0 if reused else 30 * MIB,
        bytes_uploaded=0 if reused else 30 * MIB + 5120,
        bytes_reused=40 * MIB if reused else 10 * MIB,
        seconds=1.26,
    )


def promotion(*, again: bool = False) -> Promotion:
    service = SimpleNamespace(path="chat.yaml", branch="main")
    spec = cast(PromotionSpec, SimpleNamespace(inference_service=service))  # of a spec nothing else is drawn
    registered = REGISTERED if not again else RegisteredVersion("1", "2", "3", "chat", "v1", REGISTERED.uri, ())
    commit = "d00d" + "0" * 36
    delivered = Delivered(commit, changed=not again, diff="" if again else DIFF, previous_storage_uri="old")
    return Promotion(spec, pushed(reused=again), registered, delivered, "0" * 64)


def plan(*layers: PlannedLayer) -> Build:
    image = ImagePlan(SNAPSHOT, (PlatformBase(Platform("linux", "amd64"), None),), layers)
    request, source = cast(Any, None), cast(Any, None)  # neither is drawn
    return Build(request, source, Layout(Path("/nowhere/chat")), image)


@pytest.fixture
def console() -> Console:
    return Console(width=100, file=StringIO(), force_terminal=False)


def text(console: Console) -> list[str]:
    written = console.file
    assert isinstance(written, StringIO)
    return [line.rstrip() for line in written.getvalue().splitlines()]


IMAGE = [
    f"quay.io/acme/chat@{DIGEST}",
    "  tags v1, modelcar-ab",
    "  base image ubi9/ubi-micro  10.0 MiB  ██████              reused",
    "  directories                 2.0 KiB  ▏                   sent",
    "  README.md and 1 more        3.0 KiB  ▏                   sent",
    "  model.safetensors          30.0 MiB  ██████████████████  sent",
]
LEFT_OUT = "  left out: model.gguf (5.0 MiB): default pattern *.gguf"


def test_a_push_is_drawn_with_what_each_layer_took(console: Console) -> None:
    draw_push(pushed(), console)

    assert text(console) == [*IMAGE, LEFT_OUT, "30.0 MiB read, 30.0 MiB sent, 10.0 MiB reused, in 1.3 s."]


def test_a_plan_is_drawn_with_what_will_become_of_each_layer(console: Console) -> None:
    candidate = Descriptor("application/vnd.oci.image.layer.v1.tar", DIGEST, 1, {})
    model = LayerPlan(files=FILES[2:])
    draw_plan(
        plan(
            PlannedLayer(LayerPlan(directories=("",))),
            PlannedLayer(LayerPlan(files=FILES[:2]), candidate),
            PlannedLayer(model, candidate, reusable=True),
        ),
        console=console,
    )

    assert text(console) == [
        "hf://acme/chat@c0ffee000000: 3 files, 30.0 MiB → oci-layout:/nowhere/chat (linux/amd64)",
        "  directories            1.5 KiB  ▏                         read and sent",
        "  README.md and 1 more   3.0 KiB  ▏                         compared first",
        "  model.safetensors     30.0 MiB  ████████████████████████  reused",
        LEFT_OUT,
        "30.0 MiB in all, 30.0 MiB of it reused.",
    ]


def test_a_plan_of_many_layers_is_cut_short(console: Console) -> None:
    layers = [PlannedLayer(LayerPlan(files=(ModelFile(f"model-{n:02}.safetensors", MIB),))) for n in range(20)]

    draw_plan(plan(*layers), console=console)

    lines = text(console)
    assert [line.split()[0] for line in lines[1:13]] == [f"model-{n:02}.safetensors" for n in range(12)]
    assert lines[13] == "  … and 8 more"


def test_a_promotion_is_drawn_from_the_source_to_the_commit(console: Console) -> None:
    draw_promotion(promotion(), console)

    assert text(console) == [
        "hf://acme/chat@c0ffee000000: 3 files, 30.0 MiB",
        "  │",
        "  ▼ read 30.0 MiB, sent 30.0 MiB",
        *IMAGE,
        "  │",
        "  ▼ registered",
        "Model Registry: chat / v1 (version id 2): made registered_model, model_version",
        "  │",
        "  ▼ committed",
        "git: chat.yaml on main, commit d00d00000000",
        *(f"  {line}" for line in DIFF.splitlines()),
        LEFT_OUT,
        "",
        "Not needed this time: 10.0 MiB of layers were reused.",
    ]


def test_a_promotion_that_found_everything_done_says_so(console: Console) -> None:
    draw_promotion(promotion(again=True), console)

    lines = text(console)
    assert lines[2] == "  ▼ read 0 B, sent 0 B"
    assert lines[9:] == [
        "  │",
        "  ▼ looked up",
        "Model Registry: chat / v1 (version id 2): all of it was there",
        "  │",
        "  ▼ compared",
        "git: chat.yaml on main, commit d00d00000000",
        LEFT_OUT,
        "",
        "Not needed this time: no byte of the model was read, no byte was sent, no model version was made, "
        "no commit was made.",
    ]


def test_a_digest_is_never_broken_in_two(console: Console) -> None:
    console.width = 40

    draw_push(pushed(), console)

    assert text(console)[0] == IMAGE[0]


def test_a_registration_is_drawn_in_a_line(console: Console) -> None:
    draw_registration(REGISTERED, console)

    assert text(console) == ["Model Registry: chat / v1 (version id 2): made registered_model, model_version"]
