from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.build import Build, BuildRequest, execute
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.errors import ContentMismatch, DistributionError, SourceError, UnsafeContent
from modelcar.image.packing import SMALL_FILE_BYTES
from modelcar.journal import EMPTY_CONFIG, Journal
from modelcar.mover import Mover
from modelcar.plan import PlatformBase, make_plan
from modelcar.progress import Silence
from modelcar.push import PushedImage
from modelcar.reference import Digest, LayoutReference, Platform
from modelcar.sources.content import ModelCheck
from registry_service import Running
from wsgi_faults import Fault

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
AMD64 = Platform("linux", "amd64")
MIB = 1 << 20
IMAGES = "/manifests/(?!modelcar-journal)"


def model() -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type":"llama"}',
        "model-00001-of-00002.safetensors": shard(4 * MIB, seed=1),
        "model-00002-of-00002.safetensors": shard(5 * MIB, seed=2),
        "sub/deeper/a.txt": b"a",
        "sub/vocabulary-ä.txt": "ä\n".encode(),
    }


def test_an_image_holds_the_models_files_below_models(
    destination: Destination, push_files: PushFiles, pull: Pull
) -> None:
    pushed = push_files(Files(model()), destination)
    image = pull(destination, "v1")
    assert image.model == model()
    assert image.directories == ["models", "models/sub", "models/sub/deeper"]
    assert pull(destination, str(pushed.digest)).manifest == image.manifest


def test_every_place_gives_the_same_digest(destination: Destination, push_files: PushFiles, tmp_path: Path) -> None:
    here = push_files(Files(model()), destination)
    there = push_files(Files(model(), published=False), Layout(tmp_path / "other"))
    assert (here.digest, here.content_key) == (there.digest, there.content_key)


def test_the_order_and_number_of_uploads_do_not_count(running: Running, push_files: PushFiles) -> None:
    digests = {push_files(Files(model()), running.repository(f"team/{n}"), concurrency=n).digest for n in (1, 2, 8)}
    assert len(digests) == 1


def test_a_push_tells_what_it_left_behind(running: Running, push_files: PushFiles) -> None:
    source = Files(model())
    pushed = push_files(source, running.repository(), tags=("v1", "stable"))
    assert pushed.image == f"{running.address}/team/model@{pushed.digest}"
    assert pushed.tags == ("v1", "stable")
    assert [layer.files for layer in pushed.layers] == [
        (),
        ("config.json", "sub/deeper/a.txt", "sub/vocabulary-ä.txt"),
        ("model-00001-of-00002.safetensors",),
        ("model-00002-of-00002.safetensors",),
    ]
    assert not any(layer.reused for layer in pushed.layers)
    assert pushed.size_bytes == sum(layer.size_bytes for layer in pushed.layers)
    assert pushed.bytes_read == source.size_bytes == source.bytes_read
    assert pushed.bytes_reused == 0
    assert pushed.snapshot == source.snapshot()


def test_every_tag_names_the_image(destination: Destination, push_files: PushFiles) -> None:
    pushed = push_files(Files(model()), destination, tags=("v1", f"modelcar-{'0' * 64}"))
    for tag in pushed.tags:
        stored = destination.find_manifest(tag)
        assert stored is not None
        assert stored.digest == pushed.digest


def test_an_image_may_go_without_a_tag(destination: Destination, push_files: PushFiles, pull: Pull) -> None:
    pushed = push_files(Files(model()), destination, tags=())
    assert pull(destination, str(pushed.digest)).model == model()


def test_what_is_counted_as_uploaded_is_what_the_registry_received(running: Running, push_files: PushFiles) -> None:
    pushed = push_files(Files(model()), running.repository())
    journal = [Digest.of(EMPTY_CONFIG).hex, "modelcar-journal-"]
    requests = [r for r in running.recorder.requests if not any(part in r.path + r.query for part in journal)]
    assert pushed.bytes_uploaded == sum(request.bytes_received for request in requests)


FILES = st.dictionaries(
    st.sampled_from(["a.json", "b/c.txt", "d.safetensors", "e.safetensors", "f/g.safetensors", "h.md"]),
    st.sampled_from([100, 1000, SMALL_FILE_BYTES - 1, SMALL_FILE_BYTES, SMALL_FILE_BYTES + 777]),
    min_size=1,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=FILES, concurrency=st.integers(1, 5))
def test_every_byte_is_read_once_and_every_blob_sent_once(
    running: Running, push_files: PushFiles, pull: Pull, sizes: dict[str, int], concurrency: int
) -> None:
    contents = {
        path: shard(size, seed=size) if path.endswith(".safetensors") else b"{" * size for path, size in sizes.items()
    }
    source = Files(contents)
    repository = running.repository(f"team/{os.urandom(8).hex()}")
    running.recorder.clear()
    pushed = push_files(source, repository, concurrency=concurrency)
    assert pushed.bytes_read == source.bytes_read == source.size_bytes
    assert len(source.opened) == len(contents)
    blobs = [request for request in running.recorder.seen("PUT", "/uploads/") if request.status == 201]
    journal = [request for request in blobs if Digest.of(EMPTY_CONFIG).hex in request.query]
    assert len(blobs) - len(journal) == len(pushed.layers) + 1  # and the config
    assert len(journal) <= 1
    assert pull(repository, "v1").model == contents


class Watcher(Silence):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bytes: dict[int, int] = {}
        self.finished: dict[int, tuple[str, int, bool]] = {}

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:  # noqa: ARG002 - the protocol's
        with self.lock:
            self.bytes[key] = 0

    def bytes_moved(self, key: int, count: int) -> None:
        with self.lock:
            self.bytes[key] += count

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:
        with self.lock:
            self.finished[key] = (title, size_bytes, reused)


def test_a_watcher_is_told_of_every_byte_of_every_layer(running: Running, push_files: PushFiles) -> None:
    watcher = Watcher()
    pushed = push_files(Files(model()), running.repository(), progress=watcher)
    assert watcher.bytes == {key: layer.size_bytes for key, layer in enumerate(pushed.layers)}
    assert [watcher.finished[key][1:] for key in range(4)] == [(layer.size_bytes, False) for layer in pushed.layers]


def test_bytes_that_differ_from_the_published_ones_are_never_named(running: Running, push_files: PushFiles) -> None:
    source = Files(model())
    source.contents["model-00002-of-00002.safetensors"] = shard(5 * MIB, seed=3)
    with pytest.raises(ContentMismatch, match=r"model-00002-of-00002\.safetensors arrived as sha256:"):
        push_files(source, running.repository())
    assert running.recorder.seen("PUT", IMAGES) == []
    assert running.sessions_left == 0


def test_a_pickle_is_refused_before_the_image_is_named(running: Running, push_files: PushFiles) -> None:
    source = Files({"config.json": b"{}", "training.bin": b"\x80\x04\x95" + b"x" * 100})
    with pytest.raises(UnsafeContent, match=r"training\.bin"):
        push_files(source, running.repository())
    assert running.recorder.seen("PUT", "/manifests/") == []


def test_a_source_that_breaks_off_is_read_on_and_nothing_is_sent_twice(running: Running, push_files: PushFiles) -> None:
    source = Files(model())
    source.break_off("model-00001-of-00002.safetensors", 3 * MIB)
    source.break_off("config.json", 5)
    pushed = push_files(source, running.repository())
    assert pushed.digest == push_files(Files(model()), running.repository("team/other")).digest
    assert pushed.bytes_read == source.size_bytes


def test_a_source_that_is_down_is_told_as_itself_after_eight_attempts(running: Running, push_files: PushFiles) -> None:
    source = Files(model())
    for _ in range(30):
        source.break_off("config.json", 5)
    with pytest.raises(SourceError, match=r"config\.json broke off"):
        push_files(source, running.repository(), concurrency=1)
    assert source.opened == [("config.json", 0), *[("config.json", 5)] * 7]
    assert running.sessions_left == 0


def mover_of(running: Running, source: Files) -> Mover:
    destination = running.repository()
    plan = make_plan(source.snapshot(), destination, platforms=[PlatformBase(AMD64, None)], previous=())
    return Mover(
        plan, source, destination, ModelCheck(plan.snapshot), journal=Journal(destination, plan), progress=Silence()
    )


def test_the_first_failure_stops_the_other_layers_and_is_the_one_that_is_told(running: Running) -> None:
    source = Files({"a.safetensors": shard(8 * MIB, seed=1), "b.safetensors": shard(8 * MIB, seed=2)})
    mover, b_is_moving = mover_of(running, source), threading.Event()

    def on_block(path: str, offset: int) -> None:
        if path == "b.safetensors" and offset:
            b_is_moving.set()
            assert mover._cancelled.wait(30)
        elif path == "a.safetensors" and offset:
            assert b_is_moving.wait(30)
            raise SourceError("a.safetensors is gone")

    source.on_block = on_block
    with pytest.raises(SourceError, match=r"a\.safetensors is gone"):
        mover.run(4)
    assert source.bytes_read < 2 * MIB
    assert running.sessions_left == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("layer")]


@pytest.mark.parametrize("breaks", [False, True])
def test_the_source_is_closed_whether_it_was_read_to_its_end_or_not(tmp_path: Path, breaks: bool) -> None:
    source, destination = Files(model()), Layout(tmp_path / "layout")
    if breaks:
        source.break_off("config.json", 0, SourceError("config.json is gone"))
    platforms = [PlatformBase(AMD64, None)]
    plan = make_plan(source.snapshot(), destination, platforms=platforms, previous=[])
    request = BuildRequest("", LayoutReference(tmp_path / "layout", "v1"), None, (AMD64,))
    with pytest.raises(SourceError, match="is gone") if breaks else nullcontext():
        execute(Build(request, source, destination, plan))
    assert source.closed == 1


def test_a_keyboard_interrupt_stops_all_layers(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcar.jobs.PATIENCE_S", 60.0)
    source = Files({"a.safetensors": shard(8 * MIB, seed=1), "b.safetensors": shard(8 * MIB, seed=2)})
    mover = mover_of(running, source)

    def on_block(path: str, offset: int) -> None:
        if offset:
            if path == "a.safetensors":
                os.kill(os.getpid(), signal.SIGINT)
            assert mover._cancelled.wait(30)

    source.on_block = on_block
    # A shell that started the tests in the background has told them to ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            mover.run(4)
    finally:
        signal.signal(signal.SIGINT, before)
    assert source.bytes_read < 2 * MIB
    assert running.sessions_left == 0


def test_two_pushes_at_once_to_one_tag_both_end_well(running: Running, push_files: PushFiles, pull: Pull) -> None:
    models = [model(), {**model(), "config.json": b"{}"}]
    results: list[PushedImage] = []
    threads = [
        threading.Thread(target=lambda m=m: results.append(push_files(Files(m), running.repository()))) for m in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repository = running.repository()
    read = [pull(repository, str(pushed.digest)).model for pushed in results]
    assert sorted(read, key=str) == sorted(models, key=str)
    assert pull(repository, "v1").model in models


def test_a_registry_that_does_not_give_back_what_it_took_is_told(running: Running, push_files: PushFiles) -> None:
    running.faults.add(Fault.answer("PUT", IMAGES, 201))
    with pytest.raises(DistributionError, match="but does not give it back"):
        push_files(Files(model()), running.repository())


def test_the_image_of_a_layout_is_named_by_its_directory(tmp_path: Path, push_files: PushFiles) -> None:
    pushed = push_files(Files(model()), Layout(tmp_path / "layout"))
    assert pushed.image == f"oci-layout:{tmp_path}/layout@{pushed.digest}"
    assert Digest.parse(pushed.image.partition("@")[2]) == pushed.digest
