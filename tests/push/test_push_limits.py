"""What a registry is known not to take stops a push before anything moves; a stated size is the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_files import Files, shard
from modelcar.build import Build, BuildRequest, execute, limits_of
from modelcar.distribution.client import Access
from modelcar.distribution.layout import Layout
from modelcar.distribution.registries import find_registry
from modelcar.errors import UnsafeContent
from modelcar.image.layer import LayerPlan
from modelcar.image.manifest import FORMAT_ANNOTATION, parse_layers
from modelcar.limits import find_limits
from modelcar.plan import ImagePlan, PlannedLayer, PlatformBase, make_plan
from modelcar.push import PushedImage, push
from modelcar.reference import ImageReference, LayoutReference, Platform
from modelcar.registering import look_up
from modelcar.snapshot import ModelFile, ModelSnapshot
from registry_service import Running

AMD64 = PlatformBase(Platform("linux", "amd64"), None)
GIB = 1 << 30
MODEL = {f"{name}.safetensors": shard(4 << 20, seed, tensor=name) for seed, name in enumerate("abcd")} | {
    "x.json": b"{}"
}


def build(tmp_path: Path, host: str | None, *sizes: int, max_layer_bytes: int | None = None) -> Build:
    """A build of one layer with files of these sizes, to a place that must not be touched."""
    files = tuple(ModelFile(f"model-{number}.safetensors", size) for number, size in enumerate(sizes))
    snapshot = ModelSnapshot("memory:///model", None, None, files)
    destination = ImageReference(host, "team/model") if host else LayoutReference(tmp_path / "untouched", None)
    request = BuildRequest("", destination, None, (AMD64.platform,), max_layer_bytes=max_layer_bytes)
    plan = ImagePlan(snapshot, (AMD64,), (PlannedLayer(LayerPlan(files=files)),))
    return Build(request, Files({}), Layout(tmp_path / "untouched"), plan)


def test_a_layer_that_the_registry_does_not_take_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UnsafeContent) as caught:
        execute(build(tmp_path, "public.ecr.aws", 11 * GIB))
    assert (
        str(caught.value)
        == "model-0.safetensors makes a layer of 11.0 GiB, and Amazon ECR Public takes 9.8 GiB at most"
    )
    assert caught.value.exit_code == 2
    assert caught.value.hint == (
        "Publish the model in smaller shards (save_pretrained has max_shard_size), leave the file out with --ignore, "
        "or push to a registry that takes such layers; where the registry takes more, say so with --max-layer-size "
        "(image.maxLayerSize in a spec)."
    )
    assert not (tmp_path / "untouched").exists()


def test_a_layer_of_several_files_has_another_way_out_and_a_report_is_called_one(tmp_path: Path) -> None:
    (hit,) = limits_of(build(tmp_path, "ghcr.io", 6 * GIB, 6 * GIB))
    assert hit.sentence == (
        "model-0.safetensors and 1 more makes a layer of 12.0 GiB, and GitHub Container Registry is reported to take "
        "10.0 GiB at most"
    )
    assert hit.way_out.startswith(f"Give --max-layer-size {10 * GIB}: layers are closed before. Or where the registry")


@pytest.mark.parametrize(
    ("host", "size_bytes", "stated_bytes"),
    [
        ("ghcr.io", 9 * GIB, None),
        ("registry.example:5000", 500 * GIB, None),
        ("ghcr.io", 11 * GIB, 12 * GIB),  # whoever says what the registry takes knows better than a table
        (None, 500 * GIB, None),
    ],
)
def test_what_fits_what_nobody_limits_and_what_is_stated_is_not_refused(
    tmp_path: Path, host: str | None, size_bytes: int, stated_bytes: int | None
) -> None:
    assert limits_of(build(tmp_path, host, size_bytes, max_layer_bytes=stated_bytes)) == ()


def test_what_the_registry_has_already_is_not_held_against_it(tmp_path: Path) -> None:
    plan = build(tmp_path, "ghcr.io", 11 * GIB).plan
    there = PlannedLayer(plan.layers[0].layer, reusable=True)
    assert find_limits(ImagePlan(plan.snapshot, plan.platforms, (there,)), "ghcr.io") == ()


def test_every_limit_of_the_table_is_more_than_a_usual_shard() -> None:
    limits = [find_registry(host).max_layer_bytes for host in ("ghcr.io", "quay.io", "public.ecr.aws", "a.azurecr.io")]
    assert all(limit is not None and limit > 5 * GIB for limit in limits)


def push_with(running: Running, source: Files, max_layer_bytes: int | None, *previous: str) -> PushedImage:
    repository = running.repository()
    plan = make_plan(
        source.snapshot(), repository, platforms=[AMD64], previous=previous, max_layer_bytes=max_layer_bytes
    )
    return push(plan, source, repository, tags=lambda _: ["v1"])


def test_a_limit_that_changes_no_layer_changes_no_byte(running: Running) -> None:
    assert push_with(running, Files(MODEL), 5 << 20).digest == push_with(running, Files(MODEL), None).digest


def test_a_limit_that_changes_layers_is_in_their_format_and_in_the_key(running: Running) -> None:
    small = {f"{number}.json": bytes(2 << 20) for number in range(4)}
    whole = push_with(running, Files(small), None)
    halves = push_with(running, Files(small), 5 << 20)
    assert [layer.title for layer in halves.layers] == ["directories", "0.json and 1 more", "2.json and 1 more"]
    assert whole.content_key != halves.content_key
    stored = running.repository().find_manifest(str(halves.digest))
    assert stored is not None
    formats = {layer.annotations[FORMAT_ANNOTATION] for layer in parse_layers(stored.content)}
    assert formats == {f"1-max-{5 << 20}"}
    assert look_up(halves.image, Access()).content_key == halves.content_key


def test_layers_are_reused_from_an_image_of_another_limit_and_the_digest_does_not_tell(running: Running) -> None:
    small = {f"{number}.json": bytes(2 << 20) for number in range(4)}
    files = {**small, "a.safetensors": shard(4 << 20)}
    push_with(running, Files(files), None)
    source = Files(files)
    limited = push_with(running, source, 5 << 20, "v1")
    assert source.bytes_read == 4 * (2 << 20)
    assert push_with(running, Files(files), 5 << 20).digest == limited.digest
