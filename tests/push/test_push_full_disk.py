"""A layout directory on a disk that is too small: one sentence, and what was there before is still good."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from model_files import shard
from mount_namespace import Ended, run_read_only

MIB = 1 << 20
PUSH = "from modelcar.cli import main; main()"
TWICE = f"""
import subprocess, sys
small, big, layout = sys.argv[1:]
def push(model, tag):
    to = [f"oci-layout:{{layout}}:{{tag}}", "--base-image", "scratch"]
    return subprocess.run([sys.executable, "-c", {PUSH!r}, "push", model, *to], capture_output=True, text=True)
print(push(small, "v1").returncode)
failed = push(big, "v2")
sys.stderr.write(failed.stderr)
print(push(small, "v3").returncode, open(layout + "/index.json").read().count("v2"))
sys.exit(failed.returncode)
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "config.json").write_bytes(b"{}")
    (directory / "model.safetensors").write_bytes(shard(4 * MIB))
    return directory


def run(room: Path, *arguments: str) -> Ended:
    environment = {**os.environ, "HOME": str(room), "TMPDIR": str(room)}
    return run_read_only([sys.executable, "-c", *arguments], room, environment=environment)


def test_a_full_disk_is_one_sentence_and_nothing_half_written(room: Path, model: Path) -> None:
    layout = room / "layout"
    ended = run(room, PUSH, "push", model.as_uri(), f"oci-layout:{layout}:v1", "--base-image", "scratch")
    assert ended.code == 1
    assert ended.stderr.splitlines()[-2:] == [
        f"Error: {layout} cannot be written to: No space left on device",
        "Make room there, or name another directory.",
    ]
    assert ended.stdout == ""
    assert "layout/index.json" not in ended.left
    assert [path for path in ended.left if ".incoming-" in path] == []


def test_what_was_there_before_the_disk_was_full_is_still_good(room: Path, model: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    (small / "config.json").write_bytes(b"{}")
    ended = run(room, TWICE, small.as_uri(), model.as_uri(), str(room / "layout"))
    assert (ended.code, ended.stdout) == (1, "0\n0 0\n"), ended.stderr
    assert [path for path in ended.left if ".incoming-" in path] == []


def test_a_disk_that_nobody_may_write_to_is_told_before_anything_is_read(room: Path, model: Path) -> None:
    layout = model.parent / "layout"
    ended = run(room, PUSH, "push", model.as_uri(), f"oci-layout:{layout}:v1", "--base-image", "scratch")
    assert (ended.code, ended.stderr) == (
        1,
        f"Error: {layout} cannot be written to: Read-only file system\nName another directory.\n",
    )
