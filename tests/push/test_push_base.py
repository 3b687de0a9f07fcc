"""What lies below the model: fetched for one platform, mounted or copied, and never changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from base_images import OCI, descriptor, push_base, push_index
from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.base import FetchedBase, fetch_base
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.distribution.upload import Content
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound, UnsafeContent
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference, Platform
from registry_service import Running
from wsgi_faults import Fault

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
MODEL = {"config.json": b"{}", "model.safetensors": shard(4 << 20)}


def fetch(running: Running, tag: str = "1", platform: Platform = AMD64) -> FetchedBase:
    return fetch_base(ImageReference(running.address, "team/base", tag), platform, Access())


def test_a_model_lies_on_its_base_image(running: Running, push_files: PushFiles, pull: Pull) -> None:
    manifest, layer = push_base(running.repository("team/base"), "1")
    pushed = push_files(Files(MODEL), running.repository(), base=fetch(running))
    image = pull(running.repository(), "v1")
    assert image.model == MODEL
    assert image.files["bin/sh"] == b"amd64" * 1000
    assert image.config["config"] == {"Env": ["PATH=/bin"]}
    assert image.manifest["annotations"] == {"org.opencontainers.image.base.digest": str(Digest.of(manifest))}
    assert pushed.layers[0].digest == Digest.of(layer)


def test_a_base_in_the_same_registry_is_mounted_and_not_sent(running: Running, push_files: PushFiles) -> None:
    push_base(running.repository("team/base"), "1")
    running.recorder.clear()
    pushed = push_files(Files(MODEL), running.repository(), base=fetch(running))
    assert (pushed.layers[0].reused, pushed.layers[0].files) == (True, ())
    assert running.recorder.seen("GET", f"/blobs/{pushed.layers[0].digest}") == []
    assert [r.status for r in running.recorder.seen("POST") if "mount=" in r.query] == [201]


def test_a_base_in_another_registry_is_copied_once(
    running: Running, elsewhere: Running, push_files: PushFiles, pull: Pull
) -> None:
    push_base(elsewhere.repository("team/base"), "1")
    first = push_files(Files(MODEL), running.repository(), base=fetch(elsewhere))
    again = push_files(Files(MODEL), running.repository(), base=fetch(elsewhere))
    assert (first.layers[0].reused, again.layers[0].reused) == (False, True)
    assert again.bytes_uploaded == 0
    assert len(elsewhere.recorder.seen("GET", f"/blobs/{first.layers[0].digest}")) == 1
    assert pull(running.repository(), "v1").model == MODEL


def test_where_the_base_is_kept_does_not_show(
    running: Running, elsewhere: Running, push_files: PushFiles, tmp_path: Path
) -> None:
    push_base(running.repository("team/base"), "1")
    push_base(elsewhere.repository("team/base"), "other")
    digests = {
        push_files(Files(MODEL), running.repository(), base=fetch(running)).digest,
        push_files(Files(MODEL), running.repository("team/two"), base=fetch(elsewhere, "other")).digest,
        push_files(Files(MODEL), Layout(tmp_path / "layout"), base=fetch(running)).digest,
    }
    assert len(digests) == 1


def test_another_base_is_another_image_with_the_same_model_layers(running: Running, push_files: PushFiles) -> None:
    push_base(running.repository("team/base"), "1")
    on_base = push_files(Files(MODEL), running.repository(), base=fetch(running))
    running.recorder.clear()
    scratch = push_files(Files(MODEL), running.repository())
    assert on_base.digest != scratch.digest
    assert on_base.content_key != scratch.content_key
    assert [layer.digest for layer in on_base.layers[1:]] == [layer.digest for layer in scratch.layers]
    assert all(layer.reused for layer in scratch.layers)


def test_a_base_whose_copy_breaks_off_is_read_again(
    running: Running, elsewhere: Running, push_files: PushFiles, pull: Pull
) -> None:
    _, layer = push_base(elsewhere.repository("team/base"), "1")
    base = fetch(elsewhere)
    elsewhere.faults.add(Fault.cut_answer("GET", f"/blobs/{Digest.of(layer)}", 20))
    push_files(Files(MODEL), running.repository(), base=base)
    assert elsewhere.faults.fired == 1
    assert pull(running.repository(), "v1").model == MODEL


@pytest.mark.parametrize(
    "change", [lambda layer: layer[:-1] + b"x", lambda layer: layer + b"x", lambda layer: layer[:-1]]
)
def test_a_damaged_base_is_never_named(
    elsewhere: Running, destination: Destination, push_files: PushFiles, change: Callable[[bytes], bytes]
) -> None:
    _, layer = push_base(elsewhere.repository("team/base"), "1")
    base = fetch(elsewhere)
    elsewhere.faults.add(Fault.answer("GET", f"/blobs/{Digest.of(layer)}", 200, body=change(layer), times=9))
    with pytest.raises(ContentMismatch) as caught:
        push_files(Files(MODEL), destination, base=base)
    assert str(caught.value) == (
        f"a layer of base image {elsewhere.address}/team/base:1 did not arrive as its manifest says: "
        f"{Digest.of(layer)}, {len(layer)} bytes"
    )
    assert destination.find_manifest("v1") is None
    assert not destination.has_blob(Digest.of(layer))


def test_a_base_may_have_the_same_layer_twice(running: Running, push_files: PushFiles, pull: Pull) -> None:
    push_base(running.repository("team/base"), "1", layers=2)
    push_files(Files(MODEL), running.repository(), base=fetch(running))
    assert len(pull(running.repository(), "v1").manifest["layers"]) == 5


def test_a_base_with_too_many_layers_is_refused_before_anything_moves(running: Running, push_files: PushFiles) -> None:
    push_base(running.repository("team/base"), "1", layers=98)
    running.recorder.clear()
    with pytest.raises(UnsafeContent, match="the image would have 101 layers, 98 of them from the base image"):
        push_files(Files(MODEL), running.repository(), base=fetch(running))
    assert running.recorder.seen("POST") == []


@pytest.mark.parametrize("platform", [AMD64, ARM64, Platform("linux", "arm64", "v8")])
def test_an_index_is_resolved_to_the_platform(running: Running, platform: Platform) -> None:
    manifests = push_index(running.repository("team/base"), "1", "amd64", "arm64")
    assert fetch(running, platform=platform).image.digest == Digest.of(manifests[platform.architecture])


def test_a_base_may_be_named_by_digest(running: Running) -> None:
    manifest, _ = push_base(running.repository("team/base"), "1")
    reference = ImageReference(running.address, "team/base", None, Digest.of(manifest))
    assert fetch_base(reference, AMD64, Access()).image.digest == Digest.of(manifest)


@pytest.mark.parametrize("platform", [Platform("linux", "s390x"), Platform("linux", "arm64", "v7")])
def test_an_index_without_the_platform_is_told(running: Running, platform: Platform) -> None:
    push_index(running.repository("team/base"), "1", "amd64", "arm64")
    with pytest.raises(ImageNotFound) as caught:
        fetch(running, platform=platform)
    assert str(caught.value) == f"base image {running.address}/team/base:1 has nothing for platform {platform}"


def test_a_base_of_another_platform_is_refused(running: Running) -> None:
    push_base(running.repository("team/base"), "1", "amd64")
    with pytest.raises(DistributionError) as caught:
        fetch(running, platform=ARM64)
    assert str(caught.value) == f"base image {running.address}/team/base:1 is for linux/amd64, not for linux/arm64"


def test_a_base_of_another_variant_is_refused(running: Running) -> None:
    push_base(running.repository("team/base"), "1", "arm64", variant="v7")
    with pytest.raises(DistributionError, match=r"is for linux/arm64/v7, not for linux/arm64/v8"):
        fetch(running, platform=Platform("linux", "arm64", "v8"))


def test_a_base_that_is_not_there_is_told(running: Running) -> None:
    with pytest.raises(ImageNotFound) as caught:
        fetch(running)
    assert str(caught.value) == f"base image {running.address}/team/base:1 is not there"


@pytest.mark.parametrize("index", ["[]", "7", '{"manifests":7}', '{"manifests":[7]}', '{"manifests":[{"platform":7}]}'])
def test_an_index_that_makes_no_sense_is_told(running: Running, index: str) -> None:
    headers = {"Content-Type": f"{OCI}index.v1+json"}
    running.faults.add(Fault.answer("GET", "/manifests/1", 200, headers=headers, body=index.encode()))
    with pytest.raises(DistributionError, match="has an index that makes no sense"):
        fetch(running)


def test_what_is_no_image_is_told(running: Running) -> None:
    repository = running.repository("team/base")
    repository.write_blob(Content(b"text"), Digest.of(b"text"))
    artifact = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}manifest.v1+json",
        "artifactType": "text/plain",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"text"),
        "layers": [descriptor("text/plain", b"text")],
    }
    repository.write_manifest(json.dumps(artifact).encode(), f"{OCI}manifest.v1+json", ["1"])
    with pytest.raises(DistributionError, match="is not an OCI image"):
        fetch(running)
