"""Several platforms: one set of model layers, an image for each platform, and an index over them."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from base_images import layer_of, push_base, push_index
from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.base import fetch_bases
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.distribution.repository import Repository
from modelcar.errors import DistributionError, ImageNotFound
from modelcar.image.index import build_index
from modelcar.image.manifest import INDEX_TYPE, MANIFEST_TYPE
from modelcar.journal import journal_tag
from modelcar.plan import PlatformBase
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference, Platform
from modelcar.registering import look_up
from real_servers import require
from registry_service import Running
from wsgi_faults import Fault

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BARE = [PlatformBase(AMD64, None), PlatformBase(ARM64, None)]
MODEL = {"config.json": b"{}", "model.safetensors": shard(4 << 20)}


def on_base(running: Running) -> list[PlatformBase]:
    """Both platforms of a base image that has an index."""
    push_index(running.repository("team/base"), "1", "amd64", "arm64")
    platforms = [AMD64, ARM64]
    bases = fetch_bases(ImageReference(running.address, "team/base", "1"), platforms, Access())
    return [PlatformBase(platform, base) for platform, base in zip(platforms, bases, strict=True)]


def index_at(destination: Destination, reference: str) -> dict[str, Any]:
    stored = destination.find_manifest(reference)
    assert stored is not None
    assert stored.media_type == INDEX_TYPE
    index: dict[str, Any] = json.loads(stored.content)
    return index


def test_an_index_names_an_image_for_each_platform(destination: Destination, push_files: PushFiles, pull: Pull) -> None:
    pushed = push_files(Files(MODEL), destination, platforms=BARE)
    stored = destination.find_manifest("v1")
    assert stored is not None
    assert (stored.digest, stored.media_type) == (pushed.digest, INDEX_TYPE)
    assert list(pushed.platforms) == [AMD64, ARM64]
    assert json.loads(stored.content) == {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                "mediaType": MANIFEST_TYPE,
                "digest": str(digest),
                "size": len(manifest.content),
                "platform": {"os": "linux", "architecture": platform.architecture},
            }
            for platform, digest in pushed.platforms.items()
            if (manifest := destination.find_manifest(str(digest))) is not None
        ],
    }
    for platform, digest in pushed.platforms.items():
        image = pull(destination, str(digest))
        assert image.model == MODEL
        assert (image.config["os"], image.config["architecture"]) == ("linux", platform.architecture)


def test_the_model_is_read_and_sent_once_for_both_platforms(running: Running, push_files: PushFiles) -> None:
    alone = push_files(Files(MODEL), running.repository("team/alone"), tags=["v1"])
    sent_alone = running.blob_bytes_received
    running.recorder.clear()
    source = Files(MODEL)
    both = push_files(source, running.repository("team/both"), platforms=BARE)
    assert source.bytes_read == source.size_bytes == both.bytes_read
    config_bytes = 2000  # of the second platform
    assert sent_alone < running.blob_bytes_received < sent_alone + config_bytes
    assert both.layers == alone.layers
    assert both.size_bytes == alone.size_bytes


def test_all_images_name_the_same_layers_of_the_model_over_their_own_base(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    pushed = push_files(Files(MODEL), running.repository(), platforms=on_base(running))
    images = {platform: pull(running.repository(), str(digest)) for platform, digest in pushed.platforms.items()}
    amd64, arm64 = (image.manifest["layers"] for image in images.values())
    assert amd64[1:] == arm64[1:]
    assert [amd64[0]["digest"], arm64[0]["digest"]] == [str(Digest.of(layer_of(a))) for a in ("amd64", "arm64")]
    assert images[ARM64].files["bin/sh"] == b"arm64" * 1000
    assert [layer.title for layer in pushed.layers] == [
        "base image team/base for linux/amd64",
        "base image team/base for linux/arm64",
        "directories",
        "config.json",
        "model.safetensors",
    ]


def test_a_base_layer_that_two_platforms_share_moves_once(running: Running, push_files: PushFiles) -> None:
    repository = running.repository("team/base")
    [amd64] = fetch_bases(ImageReference(running.address, "team/base", push_tag(repository)), [AMD64], Access())
    pushed = push_files(
        Files(MODEL), running.repository(), platforms=[PlatformBase(AMD64, amd64), PlatformBase(ARM64, amd64)]
    )
    assert [layer.title for layer in pushed.layers][:2] == ["base image team/base for linux/amd64", "directories"]
    assert len([r for r in running.recorder.seen("POST") if "mount=" in r.query]) == 1


def push_tag(repository: Repository) -> str:
    push_base(repository, "1")
    return "1"


def test_the_order_in_which_platforms_are_asked_for_does_not_count(running: Running, push_files: PushFiles) -> None:
    one = push_files(Files(MODEL), running.repository("team/one"), platforms=BARE)
    other = push_files(Files(MODEL), running.repository("team/other"), platforms=BARE[::-1])
    assert (one.digest, one.content_key) == (other.digest, other.content_key)


def test_one_platform_has_no_index_and_the_key_that_it_always_had(
    destination: Destination, push_files: PushFiles
) -> None:
    pushed = push_files(Files({"config.json": b"{}"}), destination)
    stored = destination.find_manifest("v1")
    assert stored is not None
    assert stored.media_type == MANIFEST_TYPE
    assert pushed.platforms == {AMD64: pushed.digest}
    assert str(pushed.digest) == "sha256:064b96a47a9264d317fadcd6103989aa2872e5ba3d5eaa429f0fc504e215a2e8"
    assert pushed.content_key == "eb9f7bf29df600e85ed14a2fc866d94be77b84d3140d651adcd366d13a1f8996"


def test_a_second_push_of_both_platforms_sends_nothing(destination: Destination, push_files: PushFiles) -> None:
    first = push_files(Files(MODEL), destination, platforms=BARE)
    again = Files(MODEL)
    second = push_files(again, destination, platforms=BARE)
    assert (second.digest, second.bytes_uploaded, again.bytes_read) == (first.digest, 0, 0)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_layers_are_found_again_through_an_index_and_from_an_image_that_becomes_one(
    destination: Destination, push_files: PushFiles, order: Sequence[int]
) -> None:
    before, after = order
    push_files(Files(MODEL), destination, platforms=BARE[:before])
    again = Files(MODEL)
    pushed = push_files(again, destination, platforms=BARE[:after])
    assert again.bytes_read == 0
    assert all(layer.reused for layer in pushed.layers)
    assert pushed.bytes_uploaded < 8000


def test_an_index_that_has_lost_an_image_still_gives_the_layers_of_the_others(
    running: Running, push_files: PushFiles
) -> None:
    repository = running.repository()
    first = push_files(Files(MODEL), repository, platforms=BARE)
    assert repository.remove_manifest(first.platforms[AMD64], None)
    again = Files(MODEL)
    second = push_files(again, repository, platforms=BARE)
    assert (second.digest, again.bytes_read) == (first.digest, 0)
    assert repository.find_manifest(str(first.platforms[AMD64])) is not None


def test_nothing_names_an_index_whose_second_image_was_refused(running: Running, push_files: PushFiles) -> None:
    running.faults.add(Fault.answer("PUT", "/manifests/sha256:", 400, nth=2))
    with pytest.raises(DistributionError):
        push_files(Files(MODEL), running.repository(), platforms=BARE)
    assert running.repository().find_manifest("v1") is None


def test_a_base_without_an_index_is_for_one_platform_only(running: Running) -> None:
    push_base(running.repository("team/base"), "1")
    with pytest.raises(ImageNotFound, match=r"is for linux/amd64, not for linux/arm64") as caught:
        fetch_bases(ImageReference(running.address, "team/base", "1"), [AMD64, ARM64], Access())
    assert caught.value.hint == "Name a base image of that platform, or another --platform."


def test_the_tag_of_a_base_is_looked_up_once_for_all_platforms(running: Running) -> None:
    on_base(running)
    assert len(running.recorder.seen("GET", "/manifests/1")) == 1


def test_an_index_is_registered_with_all_of_its_layers_and_its_key(running: Running, push_files: PushFiles) -> None:
    pushed = push_files(Files(MODEL), running.repository(), platforms=on_base(running))
    stored = look_up(pushed.image, Access())
    assert (stored.digest, stored.content_key) == (pushed.digest, pushed.content_key)
    assert [layer.digest for layer in stored.layers] == [layer.digest for layer in pushed.layers]
    assert stored.size_bytes == pushed.size_bytes


def test_an_index_of_others_whose_images_hold_different_models_has_no_key(
    running: Running, push_files: PushFiles
) -> None:
    repository = running.repository()
    one = push_files(Files(MODEL), repository, tags=["one"])
    other = push_files(Files({"config.json": b"{}"}), repository, platform=ARM64, tags=["other"], previous=())
    manifests = [repository.find_manifest(str(image.digest)) for image in (one, other)]
    content = build_index(
        {platform: one.content for platform, one in zip((AMD64, ARM64), manifests, strict=True) if one is not None}
    )
    repository.write_manifest(content, INDEX_TYPE, ["both"])
    stored = look_up(f"{repository.name}@{Digest.of(content)}", Access())
    assert stored.content_key is None
    assert {layer.digest for layer in stored.layers} == {
        layer.digest for image in (one, other) for layer in image.layers
    }


def test_a_push_of_both_platforms_goes_on_from_the_journal_and_leaves_none(
    running: Running, push_files: PushFiles
) -> None:
    source = Files({f"{seed}.safetensors": shard(4 << 20, seed, tensor=str(seed)) for seed in range(3)})
    running.faults.add(Fault.answer("PUT", "/manifests/sha256:", 400))
    tag = journal_tag(source.snapshot())
    with pytest.raises(DistributionError):
        push_files(source, running.repository(), platforms=BARE)
    assert running.repository().find_manifest(tag) is not None
    again = Files(source.contents)
    push_files(again, running.repository(), platforms=BARE, previous=[tag])
    assert again.bytes_read <= 4 << 20  # the last layer to arrive is in no journal: nothing was to come
    assert running.repository().find_manifest(tag) is None


def test_an_index_with_an_image_that_is_gone_is_not_registered(running: Running, push_files: PushFiles) -> None:
    pushed = push_files(Files(MODEL), running.repository(), platforms=BARE)
    running.repository().remove_manifest(pushed.platforms[ARM64], None)
    with pytest.raises(ImageNotFound, match=f"is an index, and {pushed.platforms[ARM64]} of it is not there"):
        look_up(pushed.image, Access())


def test_a_layout_has_one_entry_for_an_image_of_two_platforms(tmp_path: Path, push_files: PushFiles) -> None:
    pushed = push_files(Files(MODEL), Layout(tmp_path / "layout"), platforms=BARE)
    entries = json.loads((tmp_path / "layout/index.json").read_text())["manifests"]
    assert [entry["digest"] for entry in entries] == [str(pushed.digest)]


def inspect_raw(*reference: str) -> Any:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    command = ["skopeo", "inspect", "--raw", *reference]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_skopeo_reads_the_index_of_a_registry_and_of_a_layout(
    running: Running, tmp_path: Path, push_files: PushFiles
) -> None:
    push_files(Files(MODEL), running.repository(), platforms=BARE)
    push_files(Files(MODEL), Layout(tmp_path / "layout"), platforms=BARE)
    index = index_at(running.repository(), "v1")
    assert inspect_raw("--tls-verify=false", f"docker://{running.address}/team/model:v1") == index
    assert inspect_raw(f"oci:{tmp_path}/layout") == index


def fresh_repository(variable: str) -> Repository:
    name = f"team/model-{uuid.uuid4().hex}"
    return Repository(Registry(require(variable), name, Access(plain_http=True)), name)


@pytest.mark.real
@pytest.mark.parametrize("variable", ["REAL_OCI_REGISTRY", "REAL_ZOT"])
def test_a_real_registry_copies_every_image_of_an_index(variable: str, tmp_path: Path, push_files: PushFiles) -> None:
    repository = fresh_repository(variable)
    pushed = push_files(Files(MODEL), repository, platforms=BARE)
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    source = f"docker://{pushed.image}"
    command = ["skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false"]
    subprocess.run([*command, source, f"oci:{tmp_path}/layout:copied"], check=True, capture_output=True)
    assert index_at(Layout(tmp_path / "layout"), "copied") == index_at(repository, "v1")
