"""Models of one enormous file, and of very many small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from image_checks import UnpackedImage
from model_files import Files, no_check
from modelcar.distribution.destination import MAX_MANIFEST_BYTES, Destination
from modelcar.distribution.repository import Repository
from modelcar.image.layer import LayerPlan, LayerStream
from modelcar.push import PushedImage
from modelcar.sources.content import ModelCheck
from modelcar.sources.open import open_source
from registry_service import Running

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
GIB = 1 << 30
HEADER_BYTES = 256
PUSH = r"""
import json, re, sys
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.reference import ImageReference, Platform
source, registry = sys.argv[1:]
request = BuildRequest(source, ImageReference(registry, "team/model", "v1"), None, (Platform("linux", "amd64"),))
pushed = execute(prepare(request, Access()))
peak_kib = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps({"digest": str(pushed.digest), "sent": pushed.bytes_uploaded, "peak_mib": peak_kib >> 10}))
"""


def write_sparse_shard(path: Path, size_bytes: int) -> None:
    """A sound safetensors file of zeros, which take no room on the disk."""
    data_bytes = size_bytes - HEADER_BYTES
    header = {"weight": {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}}
    text = json.dumps(header).ljust(HEADER_BYTES - 8).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(size_bytes)


# --- one file above 8 GiB, where a plain tar header's size ends


@pytest.fixture
def giant(tmp_path: Path) -> Path:
    (tmp_path / "giant").mkdir()
    write_sparse_shard(tmp_path / "giant" / "model.safetensors", 9 * GIB)
    return tmp_path / "giant"


def test_a_file_of_nine_gibibytes_is_checked_by_its_header_and_its_layers_size_is_exact(giant: Path) -> None:
    source = open_source(giant.as_uri())
    snapshot = source.snapshot()
    check = ModelCheck(snapshot)
    check.look(snapshot.files[0], source)
    check.finish()
    assert LayerPlan(snapshot.files).size_bytes == 512 + 9 * GIB + 1024


@pytest.mark.long
def test_a_file_of_nine_gibibytes_moves_whole_as_gnu_tar_reads_it(giant: Path) -> None:
    source = open_source(giant.as_uri())
    stream = LayerStream(LayerPlan(source.snapshot().files), source.open, no_check)
    with subprocess.Popen(["tar", "-tv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as tar:
        assert tar.stdin is not None
        assert tar.stdout is not None
        with tar.stdin:
            for block in stream:
                tar.stdin.write(block)
        told = tar.stdout.read().decode().split()
    assert (tar.returncode, told[2], told[-1]) == (0, str(9 * GIB), "models/model.safetensors")
    assert stream.bytes_read == 9 * GIB


# --- ten thousand files

MANY = {f"data/part-{number:05d}.json": b'{"n": %d}' % number for number in range(10_000)}
MANY_DIGEST = "sha256:e4e946d04c30081ea21fb76d37b7fb19dc55151076a9ea99194c44db154f43bd"


def check_many(destination: Destination, push_files: PushFiles, pull: Pull) -> None:
    pushed = push_files(Files(MANY), destination)
    assert (str(pushed.digest), len(pushed.layers)) == (MANY_DIGEST, 2)
    stored = destination.find_manifest("v1")
    assert stored is not None
    assert len(stored.content) < MAX_MANIFEST_BYTES // 2
    assert pull(destination, "v1").model == MANY
    again = push_files(Files(MANY), destination)
    assert (again.bytes_read, again.bytes_uploaded) == (0, 0)


def test_ten_thousand_small_files_are_two_layers_and_a_manifest_that_registries_take(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    check_many(running.repository(), push_files, pull)


@pytest.mark.real
def test_a_real_registry_takes_ten_thousand_small_files(
    real_repository: Repository, push_files: PushFiles, pull: Pull
) -> None:
    check_many(real_repository, push_files, pull)


def test_ten_thousand_small_files_take_little_memory(running: Running, tmp_path: Path) -> None:
    directory = tmp_path / "many"
    (directory / "data").mkdir(parents=True)
    for path, content in MANY.items():
        (directory / path).write_bytes(content)
    ran = subprocess.run(
        [sys.executable, "-c", PUSH, directory.as_uri(), running.address], capture_output=True, text=True, check=True
    )
    told = json.loads(ran.stdout)
    assert told["digest"] == MANY_DIGEST
    assert told["peak_mib"] < 160
