"""What is there already moves no second time."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.distribution.destination import Destination
from modelcar.distribution.repository import Repository
from modelcar.errors import ContentMismatch, DistributionError
from modelcar.image.manifest import MANIFEST_TYPE
from modelcar.plan import PlatformBase, make_plan
from modelcar.push import PushedImage
from modelcar.reference import Platform
from modelcar.snapshot import ModelFile, ModelSnapshot
from registry_service import Running

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
SHARD = "model-2.safetensors"


def model(**changes: bytes) -> dict[str, bytes]:
    return {
        "config.json": b"{}",
        "model-1.safetensors": shard(4 * MIB, seed=1),
        SHARD: shard(5 * MIB, seed=2),
        "model-3.safetensors": shard(4 * MIB, seed=3),
        **changes,
    }


@pytest.fixture(params=["hub", "directory"])
def kind(request: pytest.FixtureRequest) -> dict[str, bool]:
    """A Hub publishes digests; a directory does not."""
    return {"hub": {}, "directory": {"published": False}}[request.param]


def test_pushed_again_from_a_hub_no_byte_is_read_or_sent(destination: Destination, push_files: PushFiles) -> None:
    first = push_files(Files(model()), destination)
    source = Files(model())
    again = push_files(source, destination)
    assert again.digest == first.digest
    assert (again.bytes_read, again.bytes_uploaded, source.opened) == (0, 0, [])
    assert again.bytes_reused == again.size_bytes == first.size_bytes
    assert all(layer.reused for layer in again.layers)


def test_pushed_again_from_a_directory_all_is_read_and_nothing_sent(
    destination: Destination, push_files: PushFiles
) -> None:
    first = push_files(Files(model()), destination)
    again = push_files(Files(model(), published=False), destination)
    assert again.digest == first.digest
    assert (again.bytes_read, again.bytes_uploaded) == (Files(model()).size_bytes, 0)


def test_pushed_again_nothing_is_written(running: Running, push_files: PushFiles) -> None:
    push_files(Files(model()), running.repository())
    running.recorder.clear()
    push_files(Files(model()), running.repository())
    assert {request.method for request in running.recorder.requests} == {"HEAD", "GET"}


def test_one_changed_shard_is_sent_with_less_than_a_mebibyte(
    destination: Destination, push_files: PushFiles, pull: Pull, kind: dict[str, bool]
) -> None:
    push_files(Files(model()), destination)
    changed = model(**{SHARD: shard(5 * MIB, seed=9)})
    pushed = push_files(Files(changed, **kind), destination)
    assert 5 * MIB <= pushed.bytes_uploaded < 6 * MIB
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(SHARD,)]
    assert pull(destination, "v1").model == changed


def test_a_hub_is_asked_only_for_the_file_that_changed(running: Running, push_files: PushFiles) -> None:
    push_files(Files(model()), running.repository())
    source = Files(model(**{SHARD: shard(5 * MIB, seed=9)}))
    push_files(source, running.repository())
    assert source.opened == [(SHARD, 0)]


def test_a_new_small_file_sends_the_small_files_and_the_directories_only(
    running: Running, push_files: PushFiles, kind: dict[str, bool]
) -> None:
    push_files(Files(model()), running.repository())
    pushed = push_files(Files(model(**{"sub/new.json": b"{}"}), **kind), running.repository())
    assert [layer.files for layer in pushed.layers if not layer.reused] == [(), ("config.json", "sub/new.json")]
    assert pushed.bytes_uploaded < 20_000


THREE_HUNDRED = {f"model-{n:03}-of-300.safetensors": shard(2048, seed=n) for n in range(300)}


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of two KiB are as those of many GiB: packing knows one size class."""
    monkeypatch.setattr("modelcar.image.packing.SMALL_FILE_BYTES", 1024)


@pytest.mark.usefixtures("small_sizes")
def test_of_three_hundred_shards_one_that_changed_moves_its_group_and_nothing_else(
    running: Running, push_files: PushFiles
) -> None:
    first = push_files(Files({"config.json": b"{}", **THREE_HUNDRED}), running.repository())
    assert len(first.layers) == 77  # directories, small files, and 75 groups of four
    changed = "model-101-of-300.safetensors"
    source = Files({"config.json": b"{}", **THREE_HUNDRED, changed: shard(2048, seed=999)})
    again = push_files(source, running.repository(), concurrency=1)
    group = [f"model-{n}-of-300.safetensors" for n in (100, 101, 102, 103)]
    assert [path for path, _ in source.opened] == group
    assert [list(layer.files) for layer in again.layers if not layer.reused] == [group]


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("change", ["a new small file", "one less"])
def test_a_small_file_that_comes_or_goes_moves_no_weights(running: Running, push_files: PushFiles, change: str) -> None:
    small = {"config.json": b"{}", "tokenizer.json": b"[]"}
    push_files(Files({**small, **THREE_HUNDRED}), running.repository())
    after = {**small, "chat_template.jinja": b"{{}}"} if change == "a new small file" else {"config.json": b"{}"}
    source = Files({**after, **THREE_HUNDRED})
    again = push_files(source, running.repository())
    assert {path for path, _ in source.opened} == set(after)
    assert [list(layer.files) for layer in again.layers if not layer.reused] == [sorted(after)]


def test_how_an_image_came_about_does_not_show(running: Running, push_files: PushFiles, kind: dict[str, bool]) -> None:
    push_files(Files(model(**{SHARD: shard(5 * MIB, seed=9)})), running.repository())
    stepwise = push_files(Files(model(), **kind), running.repository())
    at_once = push_files(Files(model()), running.repository("team/other"))
    assert stepwise.digest == at_once.digest


def test_an_image_whose_tag_has_moved_on_is_reused_by_its_digest(
    destination: Destination, push_files: PushFiles
) -> None:
    first = push_files(Files(model()), destination, tags=("v1", "lasting"))
    other = push_files(Files({"other.json": b"[]"}), destination)
    again = push_files(Files(model()), destination, previous=("v1", str(first.digest), "never-there"))
    assert again.digest == first.digest != other.digest
    assert again.bytes_read == 0
    stored = destination.find_manifest("v1")
    assert stored is not None
    assert stored.digest == first.digest


def test_a_layer_that_the_registry_has_lost_is_sent_again(running: Running, push_files: PushFiles, pull: Pull) -> None:
    first = push_files(Files(model()), running.repository())
    (lost,) = [layer for layer in first.layers if layer.files == (SHARD,)]
    for file in (running.directory).rglob(f"*{lost.digest.hex}*"):
        file.unlink()
    again = push_files(Files(model()), running.repository())
    assert (again.digest, again.bytes_read) == (first.digest, 5 * MIB)
    assert pull(running.repository(), "v1").model == model()


def test_a_layer_that_others_have_annotated_is_not_taken_over(running: Running, push_files: PushFiles) -> None:
    repository = running.repository()
    first = push_files(Files(model()), repository)
    stored = repository.find_manifest("v1")
    assert stored is not None
    manifest = json.loads(stored.content)
    for layer in manifest["layers"]:
        layer["annotations"]["org.example.scanned"] = "yes"
    repository.write_manifest(json.dumps(manifest).encode(), MANIFEST_TYPE, ["v1"])
    again = push_files(Files(model()), repository)
    assert again.digest == first.digest


def test_the_same_layer_at_another_place_in_the_model_is_another_layer(running: Running, push_files: PushFiles) -> None:
    push_files(Files({"a.safetensors": shard(4 * MIB)}), running.repository())
    moved = push_files(Files({"b.safetensors": shard(4 * MIB)}), running.repository())
    assert not moved.layers[-1].reused


def test_what_is_called_the_same_but_of_another_digest_is_never_taken_over(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    push_files(Files(model()), running.repository())
    changed = model(**{"config.json": b"[]"})
    push_files(Files(changed), running.repository())
    assert pull(running.repository(), "v1").model == changed


def test_a_file_that_changes_between_two_passes_stops_the_push(running: Running, push_files: PushFiles) -> None:
    push_files(Files(model()), running.repository())
    running.recorder.clear()
    source = Files(model(**{SHARD: shard(5 * MIB, seed=8)}), published=False)

    def swap(path: str, offset: int) -> None:
        if path == SHARD and offset == 4 * MIB:
            source.contents[SHARD] = shard(5 * MIB, seed=9)

    source.on_block = swap
    with pytest.raises(ContentMismatch, match=r"model-2\.safetensors changed while it was read"):
        push_files(source, running.repository())
    assert running.recorder.seen("PUT", "/manifests/") == []
    assert running.sessions_left == 0


def test_a_plan_tells_what_will_be_reused_and_moves_nothing(running: Running, push_files: PushFiles) -> None:
    push_files(Files(model()), running.repository())
    source, repository = Files(model(**{SHARD: shard(5 * MIB, seed=9)})), running.repository()
    running.recorder.clear()
    plan = make_plan(
        source.snapshot(),
        repository,
        platforms=[PlatformBase(Platform("linux", "amd64"), None)],
        previous=["v1", "latest"],
    )
    assert [planned.reusable for planned in plan.layers] == [False, True, True, False, True]
    assert plan.size_bytes - plan.reused_bytes < 6 * MIB
    assert {request.method for request in running.recorder.requests} == {"GET"}
    assert source.opened == []


def test_a_model_of_too_many_files_is_refused_before_anything_moves(running: Running) -> None:
    files = tuple(ModelFile(f"{number:0200}.json", 1) for number in range(13_000))
    snapshot = ModelSnapshot("memory:///model", None, None, files)
    with pytest.raises(DistributionError, match=r"the manifest has \d{7} bytes, and registries take 4194304"):
        make_plan(
            snapshot, running.repository(), platforms=[PlatformBase(Platform("linux", "amd64"), None)], previous=["v1"]
        )


@pytest.mark.real
def test_a_real_registry_is_sent_nothing_twice(real_repository: Repository, push_files: PushFiles) -> None:
    first = push_files(Files(model()), real_repository, tags=("v1", "lasting"))
    again = push_files(Files(model()), real_repository, tags=("v1", "lasting"))
    assert (again.digest, again.bytes_uploaded, again.bytes_read) == (first.digest, 0, 0)
