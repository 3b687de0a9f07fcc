"""A push that is killed goes on where it was: what had arrived is neither read nor sent again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.wsgi import ClosingIterator

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.build import BuildRequest, prepare
from modelcar.distribution.client import Access
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.journal import journal_tag
from modelcar.push import PushedImage
from modelcar.reference import ImageReference, Platform
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.hub import create_app as create_hub
from modelcar_sandbox.oci_registry import create_app as create_registry
from modelcar_sandbox.service import Service
from registry_service import Running
from wsgi_faults import Fault, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
SHARD_BYTES = 4 * MIB
LAYER_BYTES = SHARD_BYTES + 512 + 1024
PUSH = [sys.executable, "-c", "from modelcar.cli import main; main()", "push"]
JOURNAL = "/manifests/modelcar-journal-"
SIXTEEN = {f"model-{n:02}.safetensors": shard(SHARD_BYTES, seed=n) for n in range(16)}


class Executioner:
    """Kills a process with SIGKILL when its journal names enough shards; the registry has answered by then."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app, self._lock = app, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._shards = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "PUT" or JOURNAL not in environ["PATH_INFO"]:
            return self._app(environ, start_response)
        body = _Copy(environ["wsgi.input"])
        environ["wsgi.input"] = body
        return ClosingIterator(self._app(environ, start_response), partial(self._read, body.content))

    def _read(self, journal: bytearray) -> None:
        names = re.findall(rb"model-\d\d.safetensors", journal)
        with self._lock:
            if self._process is not None and len(names) >= self._shards:
                self._process.kill()

    def run(self, arguments: Sequence[str], shards: int) -> int:
        """Start a push, and kill it when so many shards are there; returns its exit code."""
        with subprocess.Popen([*PUSH, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with self._lock:
                self._process, self._shards = process, shards
            process.wait()
        with self._lock:
            self._process = None
        return process.returncode


class _Copy:
    def __init__(self, stream: object) -> None:
        self.rfile, self.content = stream, bytearray()

    def __getattr__(self, name: str) -> object:
        return getattr(self.rfile, name)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.rfile.read(size)  # type: ignore[attr-defined]
        self.content += data
        return data


class Stage:
    """A Hub with a model of sixteen equal shards, and a registry; both are counted."""

    def __init__(self, hub: str, registry: str, sources: Recorder, blobs: Recorder, killer: Executioner) -> None:
        self.hub, self.registry, self._sources, self._blobs, self.killer = hub, registry, sources, blobs, killer

    @property
    def arguments(self) -> list[str]:
        return ["hf://org/sixteen", f"{self.registry}/team/model:v1", "--base-image", "scratch", "--json"]

    def moved(self) -> tuple[int, int]:
        """Bytes of weights that the Hub sent, and bytes of blobs that the registry took, since the last call."""
        read = sum(request.bytes_sent for request in self._sources.seen("GET", "^/cdn/"))
        sent = sum(request.bytes_received for request in self._blobs.seen("PATCH") + self._blobs.seen("PUT", "/blobs/"))
        self._sources.clear()
        self._blobs.clear()
        return read, sent


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    Hub(tmp_path / "hub").publish("org/sixteen", SIXTEEN)
    sources = Recorder(create_hub(tmp_path / "hub"))
    blobs = Recorder(create_registry(tmp_path / "registry"))
    killer = Executioner(blobs)
    with Service(sources) as hub, Service(killer) as registry:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield Stage(hub.url, registry.address, sources, blobs, killer)


def push_to_the_end(stage: Stage) -> dict[str, object]:
    run = subprocess.run([*PUSH, *stage.arguments], capture_output=True, text=True, check=True)
    told: dict[str, object] = json.loads(run.stdout)
    return told


def test_a_push_that_is_killed_twice_moves_only_what_both_left(stage: Stage) -> None:
    assert stage.killer.run(stage.arguments, shards=8) == -signal.SIGKILL
    stage.moved()
    assert stage.killer.run(stage.arguments, shards=12) == -signal.SIGKILL
    read, _ = stage.moved()
    assert read <= 8 * SHARD_BYTES
    told = push_to_the_end(stage)
    read, sent = stage.moved()
    assert read <= 4 * SHARD_BYTES
    assert sent <= 4 * LAYER_BYTES + 8192  # and the config
    assert told["bytes_read"] == read


def test_a_push_that_is_killed_halfway_reads_and_sends_half_of_it_the_second_time(stage: Stage) -> None:
    assert stage.killer.run(stage.arguments, shards=8) == -signal.SIGKILL
    stage.moved()
    told = push_to_the_end(stage)
    read, sent = stage.moved()
    assert read <= 8 * SHARD_BYTES
    assert sent <= 8 * LAYER_BYTES + 8192
    again = push_to_the_end(stage)
    assert (again["digest"], again["bytes_read"], again["bytes_uploaded"]) == (told["digest"], 0, 0)


MODEL = {f"model-{n}.safetensors": shard(4 * MIB, seed=n) for n in range(3)}
BROKEN = Fault.answer("PATCH", "/uploads/", 400, nth=3)


def tag_of(files: Files) -> str:
    return journal_tag(files.snapshot())


def fail_halfway(running: Running, push_files: PushFiles) -> None:
    """Push two of the three shards, then fail."""
    running.faults.add(BROKEN)
    with pytest.raises(Exception, match="HTTP 400"):
        push_files(Files(MODEL), running.repository(), concurrency=1)


def test_the_journal_names_what_is_there_and_is_taken_away_at_the_end(running: Running, push_files: PushFiles) -> None:
    fail_halfway(running, push_files)
    repository, tag = running.repository(), tag_of(Files(MODEL))
    journal = repository.find_manifest(tag)
    assert journal is not None
    names = [
        json.loads(layer["annotations"]["dev.modelcar.layer.files"]) for layer in json.loads(journal.content)["layers"]
    ]
    assert [[row[0] for row in rows] for rows in names] == [[], ["model-0.safetensors"], ["model-1.safetensors"]]
    source = Files(MODEL)
    push_files(source, repository, previous=("v1", tag))
    assert source.opened == [("model-2.safetensors", 0)]
    assert repository.find_manifest(tag) is None
    assert repository.find_manifest(str(journal.digest)) is None


def test_a_directory_is_read_again_but_what_arrived_is_not_sent_again(running: Running, push_files: PushFiles) -> None:
    running.faults.add(BROKEN)
    with pytest.raises(Exception, match="HTTP 400"):
        push_files(Files(MODEL, published=False), running.repository(), concurrency=1)
    source = Files(MODEL, published=False)
    again = push_files(source, running.repository(), previous=("v1", tag_of(source)))
    assert [layer.reused for layer in again.layers] == [True, True, True, False]
    assert again.bytes_read == source.size_bytes


def test_a_layout_keeps_a_journal_too_and_nothing_of_it_stays(
    tmp_path: Path, push_files: PushFiles, pull: Pull
) -> None:
    layout, source = Layout(tmp_path / "layout"), Files(MODEL)
    source.contents["model-2.safetensors"] = b"{" * (4 * MIB)
    with pytest.raises(Exception, match="safetensors"):
        push_files(source, layout, concurrency=1)
    again = push_files(Files(MODEL), layout, previous=("v1", tag_of(Files(MODEL))))
    assert [layer.reused for layer in again.layers] == [True, True, True, False]
    assert pull(layout, "v1").model == MODEL
    blobs = {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    stored = layout.find_manifest("v1")
    assert stored is not None
    config = json.loads(stored.content)["config"]["digest"].removeprefix("sha256:")
    assert blobs - {empty} == {stored.digest.hex, config, *(layer.digest.hex for layer in again.layers)}


@pytest.mark.parametrize("status", [400, 401, 403, 405])
def test_where_nobody_may_delete_the_journals_tag_names_the_image(
    running: Running, push_files: PushFiles, status: int
) -> None:
    running.faults.add(Fault.answer("DELETE", "/manifests/", status, times=999))
    pushed = push_files(Files(MODEL), running.repository(), concurrency=1)
    stored = running.repository().find_manifest(tag_of(Files(MODEL)))
    assert stored is not None
    assert stored.digest == pushed.digest


def test_a_registry_that_takes_no_journal_gets_the_image_all_the_same(running: Running, push_files: PushFiles) -> None:
    running.faults.add(Fault.answer("PUT", JOURNAL, 400, times=999))
    pushed = push_files(Files(MODEL), running.repository(), concurrency=1)
    assert len(running.recorder.seen("PUT", JOURNAL)) == 1
    assert pushed.digest == push_files(Files(MODEL), running.repository("team/other")).digest


def test_a_registry_that_has_no_time_for_a_journal_is_not_waited_for(running: Running, push_files: PushFiles) -> None:
    running.faults.add(Fault.answer("PUT", JOURNAL, 503, times=999, headers={"Retry-After": "300"}))
    pushed = push_files(Files(MODEL), running.repository(), concurrency=1)
    assert [request.status for request in running.recorder.seen("PUT", JOURNAL)] == [503, 503]
    assert pushed.digest == push_files(Files(MODEL), running.repository("team/other")).digest


def test_a_journal_that_cannot_be_removed_just_now_is_no_journal_that_is_not_taken(
    running: Running, push_files: PushFiles
) -> None:
    four = {**MODEL, "model-3.safetensors": shard(4 * MIB, seed=3)}
    running.faults.add(Fault.answer("DELETE", "/manifests/", 503, times=999, headers={"Retry-After": "300"}))
    pushed = push_files(Files(four), running.repository(), concurrency=1)
    written = [request for request in running.recorder.seen("PUT", JOURNAL) if request.status == 201]
    assert len(written) == 4  # after each of three shards, and the image at the end
    stored = running.repository().find_manifest(tag_of(Files(four)))
    assert stored is not None
    assert stored.digest == pushed.digest


def test_what_a_journal_only_believes_is_left_out_when_the_registry_denies_it(
    running: Running, push_files: PushFiles
) -> None:
    first = push_files(Files(MODEL), running.repository())
    (lost,) = [layer for layer in first.layers if layer.files == ("model-2.safetensors",)]
    for file in running.directory.rglob(f"*{lost.digest.hex}*"):
        file.unlink()
    running.recorder.clear()
    changed = {**MODEL, **{f"model-{n}.safetensors": shard(4 * MIB, seed=9) for n in range(2)}}
    again = push_files(Files(changed), running.repository(), concurrency=1)
    assert [request.status for request in running.recorder.seen("PUT", JOURNAL)] == [400, 201]
    assert [layer.reused for layer in again.layers] == [True, False, False, False]


def test_a_model_of_one_big_file_needs_no_journal(running: Running, push_files: PushFiles) -> None:
    push_files(Files({"config.json": b"{}", "model.safetensors": shard(4 * MIB)}), running.repository(), concurrency=1)
    assert running.recorder.seen("PUT", JOURNAL) == []


def test_two_pushes_of_one_model_at_once_share_the_journal_and_both_end_well(
    running: Running, push_files: PushFiles
) -> None:
    digests: list[object] = []
    threads = [
        threading.Thread(target=lambda: digests.append(push_files(Files(MODEL), running.repository()).digest))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 4
    assert len(set(digests)) == 1


def test_without_reuse_a_journal_is_not_read(running: Running, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name, content in MODEL.items():
        (model / name).write_bytes(content)
    destination = ImageReference(running.address, "team/model", "v1")
    for reuse, asked in ((True, 1), (False, 0)):
        running.recorder.clear()
        prepare(BuildRequest(model.as_uri(), destination, None, (Platform("linux", "amd64"),), reuse=reuse), Access())
        assert len(running.recorder.seen("GET", JOURNAL)) == asked


def test_the_journal_of_the_same_files_is_found_wherever_they_are(tmp_path: Path) -> None:
    assert tag_of(Files(MODEL)) == tag_of(Files(dict(reversed(MODEL.items()))))
    assert tag_of(Files(MODEL)) != tag_of(Files({**MODEL, "model-0.safetensors": shard(4 * MIB, seed=9)}))
    assert len(tag_of(Files(MODEL))) <= 128
    assert os.sep not in tag_of(Files(MODEL))
