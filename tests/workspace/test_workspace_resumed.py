"""Killed half way and run again, a download asks a Hub for the rest only: its requests are counted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model_files import shard
from modelcar.errors import ContentMismatch, UnsafeContent
from modelcar.sources.open import open_source
from modelcar.workspace.download import Downloaded, download
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

MIB = 1 << 20
FIRST, SECOND = shard(12 * MIB, seed=1, tensor="a"), shard(9 * MIB, seed=2, tensor="b")
INDEX = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
NAME = "model.safetensors.index.json"
MODEL: dict[str, bytes | Path] = {
    "config.json": b"{}",
    "model-1.safetensors": FIRST,
    "model-2.safetensors": SECOND,
    NAME: json.dumps(INDEX).encode(),
}
DOWNLOAD = """
import os, signal, sys
from pathlib import Path
from modelcar.progress import Silence
from modelcar.sources.open import open_source
from modelcar.workspace.download import download

class Killer(Silence):
    left_bytes = int(sys.argv[3])

    def bytes_moved(self, key, count):
        self.left_bytes -= count
        if self.left_bytes <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

source = open_source("hf://org/model")
download(source.snapshot(), source, Path(sys.argv[1]), concurrency=int(sys.argv[2]), progress=Killer())
"""


class Served:
    """A Hub, and what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.hub = Hub(directory)
        self.faults = Faults(create_app(directory))
        self.recorder = Recorder(self.faults)

    def download(self, directory: Path, **options: Any) -> Downloaded:
        source = open_source("hf://org/model")
        return download(source.snapshot(), source, directory, **options)

    def kill_after(self, moved_bytes: int, directory: Path, *, concurrency: int = 1) -> None:
        """Download in a process that is killed when so many bytes were written."""
        command = [sys.executable, "-c", DOWNLOAD, str(directory), str(concurrency), str(moved_bytes)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        self.recorder.clear()

    def asked(self) -> dict[str, str]:
        """The ranges that were asked for since the last call, by file; empty for a whole file."""
        asked = {}
        for request in self.recorder.seen("GET", "/resolve/"):
            asked[request.path.rpartition("/")[2]] = request.headers.get("range", "")
        self.recorder.clear()
        return asked


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)
    served = Served(tmp_path / "hub")
    served.hub.publish("org/model", MODEL)
    with Service(served.recorder) as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield served


def parts(directory: Path) -> list[Path]:
    return sorted((directory / ".modelcar" / "parts").iterdir())


def holds(directory: Path, model: dict[str, bytes | Path]) -> bool:
    found = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    return found == model


@pytest.mark.parametrize("moved_mib", [2, 7, 13, 20])
def test_killed_and_run_again_it_asks_for_the_byte_where_it_stopped(
    served: Served, tmp_path: Path, moved_mib: int
) -> None:
    served.kill_after(moved_mib * MIB, tmp_path / "model")
    [part] = parts(tmp_path / "model")
    got_bytes = part.stat().st_size
    assert 0 < got_bytes < len(FIRST)
    size_bytes = sum(len(content) for content in MODEL.values() if isinstance(content, bytes))

    downloaded = served.download(tmp_path / "model")

    under_way = "model-1.safetensors" if moved_mib < 12 else "model-2.safetensors"
    rest = {"model-1.safetensors": "", "model-2.safetensors": "", NAME: ""}
    if moved_mib >= 12:
        del rest["model-1.safetensors"]
    assert served.asked() == rest | {under_way: f"bytes={got_bytes}-"}
    there_bytes = got_bytes + len(b"{}") + (len(FIRST) if moved_mib >= 12 else 0)
    assert (downloaded.bytes_read, downloaded.bytes_reused) == (size_bytes - there_bytes, there_bytes)
    assert holds(tmp_path / "model", MODEL)


def test_killed_while_several_files_were_under_way_each_goes_on_where_it_stopped(
    served: Served, tmp_path: Path
) -> None:
    served.kill_after(8 * MIB, tmp_path / "model", concurrency=4)
    got_bytes = sum(part.stat().st_size for part in parts(tmp_path / "model"))
    assert got_bytes > 0

    downloaded = served.download(tmp_path / "model")

    assert downloaded.bytes_reused >= got_bytes
    assert holds(tmp_path / "model", MODEL)
    served.recorder.clear()
    assert served.download(tmp_path / "model").bytes_read == 0
    assert served.asked() == {}


def test_a_complete_part_is_put_in_place_without_asking_for_its_file(served: Served, tmp_path: Path) -> None:
    served.kill_after(7 * MIB, tmp_path / "model")
    [part] = parts(tmp_path / "model")
    part.write_bytes(FIRST)
    served.recorder.clear()
    served.download(tmp_path / "model")

    assert set(served.asked()) == {"model-2.safetensors", NAME}
    assert holds(tmp_path / "model", MODEL)


@pytest.mark.parametrize("damage", ["a changed byte", "a hole", "too much"])
def test_a_damaged_part_is_found_out_and_its_file_read_anew(served: Served, tmp_path: Path, damage: str) -> None:
    served.kill_after(7 * MIB, tmp_path / "model")
    [part] = parts(tmp_path / "model")
    got_bytes = part.stat().st_size
    if damage == "a changed byte":
        with part.open("r+b") as file:
            file.seek(MIB)
            file.write(random.Random(3).randbytes(1))
    else:
        os.truncate(part, got_bytes + MIB if damage == "a hole" else len(FIRST) + 1)
    served.recorder.clear()
    served.download(tmp_path / "model")

    ranges = [r.headers.get("range", "") for r in served.recorder.seen("GET", r"/resolve/.*/model-1")]
    assert ranges[-1] == ""
    assert holds(tmp_path / "model", MODEL)


def test_a_part_of_another_version_is_not_gone_on_with(served: Served, tmp_path: Path) -> None:
    served.kill_after(7 * MIB, tmp_path / "model")
    other = MODEL | {"model-1.safetensors": shard(len(FIRST), seed=9, tensor="a")}
    served.hub.publish("org/model", other)
    served.recorder.clear()
    served.download(tmp_path / "model")

    assert served.asked()["model-1.safetensors"] == ""
    assert parts(tmp_path / "model") == []
    assert holds(tmp_path / "model", other)


def test_the_next_commit_moves_only_the_files_that_changed(served: Served, tmp_path: Path) -> None:
    served.download(tmp_path / "model")
    other = MODEL | {"config.json": b'{"a": 1}'}
    served.hub.publish("org/model", other)
    served.recorder.clear()

    assert served.download(tmp_path / "model").bytes_read == 8
    assert served.asked() == {"config.json": ""}
    assert holds(tmp_path / "model", other)


def test_a_connection_that_breaks_is_opened_again_where_it_broke(served: Served, tmp_path: Path) -> None:
    served.faults.add(Fault.cut_answer("GET", "^/cdn/", 3 * MIB, times=2))
    downloaded = served.download(tmp_path / "model", concurrency=1)

    ranges = [r.headers.get("range") for r in served.recorder.seen("GET", r"/resolve/.*/model-1")]
    assert ranges == [None, f"bytes={3 * MIB}-", f"bytes={6 * MIB}-"]
    assert downloaded.bytes_reused == 0
    assert holds(tmp_path / "model", MODEL)


def test_what_arrives_otherwise_than_published_is_not_kept(served: Served, tmp_path: Path) -> None:
    for times in (1, 2):
        served.faults.add(
            Fault.answer("GET", r"/resolve/.*/config\.json$", 200, body=b"[]", headers={"Content-Length": "2"})
        )
        with pytest.raises(ContentMismatch, match=r"^config.json arrived as git blob "):
            served.download(tmp_path / "model")
        assert served.faults.fired == times
        assert not (tmp_path / "model" / "config.json").exists()
    served.download(tmp_path / "model")

    assert holds(tmp_path / "model", MODEL)


def test_shards_of_an_earlier_run_are_held_against_the_index_too(served: Served, tmp_path: Path) -> None:
    served.kill_after(13 * MIB, tmp_path / "model")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}
    served.hub.publish("org/model", MODEL | {NAME: json.dumps(index).encode()})

    message = f"^{NAME} says that model-1.safetensors holds the tensor 'c', but it does not$"
    for _ in range(2):  # with shards that were just read, and with all files there
        with pytest.raises(UnsafeContent, match=message):
            served.download(tmp_path / "model")


def test_a_pickle_that_was_allowed_once_is_refused_when_it_is_not_allowed(served: Served, tmp_path: Path) -> None:
    served.hub.publish("org/model", MODEL | {"state.dat": b"\x80\x04N."})
    served.download(tmp_path / "model", allow_pickle=["state.dat"])

    with pytest.raises(UnsafeContent, match=r"^state.dat is a pickle"):
        served.download(tmp_path / "model")
