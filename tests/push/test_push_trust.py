"""What a push believes of earlier images, and what it does not."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.distribution.upload import Content
from modelcar.errors import UnsafeContent
from modelcar.image.manifest import MANIFEST_TYPE
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference, Platform
from registry_service import Running

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
MODEL = {"config.json": b"{}", "model.safetensors": shard(4 * MIB)}
PICKLE = {"config.json": b"{}", "weights.dat": pickle.dumps(["loads", "code"])}


def poison(running: Running, content: bytes) -> dict[str, Any]:
    """Let the tag name an image whose weights are another blob, with the annotations of the right one."""
    repository = running.repository()
    stored = repository.find_manifest("v1")
    assert stored is not None
    manifest: dict[str, Any] = json.loads(stored.content)
    repository.write_blob(Content(content), Digest.of(content))
    manifest["layers"][-1] |= {"digest": str(Digest.of(content)), "size": len(content)}
    repository.write_manifest(json.dumps(manifest).encode(), MANIFEST_TYPE, ["v1"])
    return manifest


def test_a_layer_of_another_size_than_its_files_make_is_not_taken_over(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    first = push_files(Files(MODEL), running.repository())
    poison(running, bytes(first.layers[-1].size_bytes + 512))
    again = push_files(Files(MODEL), running.repository())
    assert again.digest == first.digest
    assert (again.layers[-1].digest, again.layers[-1].reused) == (first.layers[-1].digest, False)
    assert pull(running.repository(), "v1").model == MODEL


@pytest.mark.parametrize("reuse", [True, False])
def test_without_reuse_every_layer_is_read_and_sent(running: Running, tmp_path: Path, reuse: bool) -> None:
    for path, content in MODEL.items():
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / path).write_bytes(content)
    request = BuildRequest(
        source=(tmp_path / "model").as_uri(),
        destination=ImageReference.parse(f"{running.address}/team/model:v1"),
        base_image=None,
        platforms=(Platform("linux", "amd64"),),
        reuse=reuse,
    )
    first = execute(prepare(request, Access()))
    build = prepare(request, Access())
    again = execute(build)
    assert [planned.candidate is not None for planned in build.plan.layers] == [False, reuse, reuse]
    assert [layer.reused for layer in again.layers] == [True, reuse, reuse]  # the first holds directories only
    assert again.digest == first.digest


def test_a_pickle_that_was_allowed_once_is_refused_by_the_next_push_as_if_it_were_read(
    running: Running, push_files: PushFiles
) -> None:
    push_files(Files(PICKLE), running.repository(), allow_pickle=("*.dat",))
    running.recorder.clear()
    source = Files(PICKLE)
    with pytest.raises(UnsafeContent) as reused:
        push_files(source, running.repository())
    with pytest.raises(UnsafeContent) as read:
        push_files(Files(PICKLE), running.repository("team/other"))
    assert str(reused.value) == str(read.value)
    assert source.bytes_read == 0
    assert running.recorder.seen("PUT", "/manifests/") == []


def test_a_pickle_that_is_allowed_again_is_not_read_again(running: Running, push_files: PushFiles) -> None:
    first = push_files(Files(PICKLE), running.repository(), allow_pickle=("*.dat",))
    again = push_files(Files(PICKLE), running.repository(), allow_pickle=("*.dat",))
    assert (again.digest, again.bytes_read) == (first.digest, 0)


def test_the_same_pickle_gives_the_same_digest_however_it_came(running: Running, push_files: PushFiles) -> None:
    first = push_files(Files(PICKLE), running.repository(), allow_pickle=("*.dat",))
    source = Files(PICKLE, published=False)
    by_another_pattern = push_files(source, running.repository(), allow_pickle=("weights.*", "*.bin"))
    assert by_another_pattern.digest == first.digest
