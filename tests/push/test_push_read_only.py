"""A pod without a volume: every file system is read-only but for a mebibyte in memory, and a push writes nothing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from model_files import shard
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
from mount_namespace import run_read_only
from object_store_service import serve_store
from registry_service import Running
from wsgi_faults import Recorder

MIB = 1 << 20
MODELCAR = [sys.executable, "-c", "from modelcar.cli import main; main()"]
MODEL = {
    "config.json": b"{}",
    "model-1.safetensors": shard(20 * MIB, seed=1),
    "model-2.safetensors": shard(12 * MIB, seed=2),
}
DIGEST = "sha256:502db5f0f90709412c256dcbb536b51644e8a25065bf57a4ad6aff2c58dea590"


@dataclass(frozen=True, slots=True)
class Served:
    """Where the model is.

    Attributes:
        uri: Of the source.
        environment: What a user sets to reach it.
        paths: Of the requests so far.
    """

    uri: str
    environment: Mapping[str, str]
    paths: Callable[[], list[str]] = field(default=list)


def serve_hub(running: ExitStack, directory: Path) -> Served:
    """A Hub that answers everything which huggingface_hub could ask, and is asked by a user who wants telemetry."""
    Hub(directory).publish("org/model", {**MODEL})
    recorder = Recorder(create_app(directory))
    service = running.enter_context(Service(recorder))
    environment = {"HF_ENDPOINT": service.url, "HF_HUB_DISABLE_TELEMETRY": "0"}
    return Served("hf://org/model", environment, lambda: [request.path for request in recorder.requests])


def serve_bucket(running: ExitStack, _: Path) -> Served:
    store = running.enter_context(serve_store())
    store.put(MODEL, "llama/")
    return Served(f"s3://{store.bucket}/llama", store.environment)


def serve_directory(_: ExitStack, directory: Path) -> Served:
    directory.mkdir()
    for path, content in MODEL.items():
        (directory / path).write_bytes(content)
    return Served(directory.as_uri(), {})


SOURCES: Mapping[str, Callable[[ExitStack, Path], Served]] = {
    "hf": serve_hub,
    "s3": serve_bucket,
    "file": serve_directory,
}


@pytest.fixture(params=SOURCES)
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as running:
        yield SOURCES[request.param](running, tmp_path / "source")


def environment_of(room: Path, more: Mapping[str, str]) -> dict[str, str]:
    """All that the command is told: everything that it could keep goes where there is a mebibyte."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SSL_CERT_FILE") if name in os.environ}
    places = {"HOME": str(room), "TMPDIR": str(room), "HF_HOME": str(room / "hf"), "XDG_CACHE_HOME": str(room)}
    return {**kept, **places, **more}


def test_a_push_needs_no_room_on_any_disk(tmp_path: Path, running: Running, served: Served) -> None:
    room = tmp_path / "room"
    room.mkdir()
    command = [*MODELCAR, "push", served.uri, f"{running.address}/team/model:v1", "--base-image", "scratch", "--json"]
    ended = run_read_only(command, room, environment=environment_of(room, served.environment))
    assert ended.code == 0, ended.stderr
    stored = running.repository().find_manifest("v1")
    assert stored is not None
    assert json.loads(ended.stdout)["digest"] == str(stored.digest)
    assert str(stored.digest) == DIGEST
    assert (ended.disk_bytes, ended.left) == (0, {})
    assert {path.split("/")[1] for path in served.paths()} <= {"api", "org", "cdn"}
    assert not [path for path in served.paths() if path.startswith("/api/") and "/org/model/" not in path]


def test_nothing_can_be_written_there_but_to_the_room(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    script = f"echo kept > {room}/kept; echo lost > {tmp_path}/lost; head -c 2000000 /dev/zero > {room}/full"
    ended = run_read_only(["sh", "-c", script], room, environment=environment_of(room, {}))
    assert "Read-only file system" in ended.stderr
    assert "No space left on device" in ended.stderr
    assert ended.left["kept"] == len("kept\n")
    assert not (tmp_path / "lost").exists()
    assert list(room.iterdir()) == []
