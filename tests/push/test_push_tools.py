"""Other people's tools read what was pushed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from model_files import Files, shard
from modelcar.distribution.layout import Layout
from modelcar.distribution.repository import Repository
from modelcar.push import PushedImage
from registry_service import Running

PushFiles = Callable[..., PushedImage]
MODEL = {
    "config.json": b"{}",
    "model.safetensors": shard(4 << 20),
    "onnx/deeper/" + "n" * 120: b"long",
    "tokenizer/vocabulary-ä.txt": "ä\n".encode(),
    "tokenizer/empty.txt": b"",
}


def run(*command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def unpack(layout: Path, tag: str, bundle: Path) -> dict[str, bytes]:
    """The files below /models, by path from there."""
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:{tag}", str(bundle))
    root = bundle / "rootfs" / "models"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_skopeo_inspects_an_image_by_digest(running: Running, push_files: PushFiles) -> None:
    pushed = push_files(Files(MODEL), running.repository())
    told = json.loads(run("skopeo", "inspect", "--tls-verify=false", f"docker://{pushed.image}"))
    assert (told["Digest"], told["Os"], told["Architecture"]) == (str(pushed.digest), "linux", "amd64")
    assert told["Layers"] == [str(layer.digest) for layer in pushed.layers]
    assert told["RepoTags"] == ["v1"]


def test_umoci_unpacks_a_layout_to_the_same_files(tmp_path: Path, push_files: PushFiles) -> None:
    push_files(Files(MODEL), Layout(tmp_path / "layout"))
    assert unpack(tmp_path / "layout", "v1", tmp_path / "bundle") == MODEL
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "bundle/rootfs/models").rglob("*")}
    assert (modes["tokenizer"], modes["empty.txt"]) == (0o775, 0o664)


@pytest.mark.real
def test_skopeo_copies_from_a_real_registry_what_umoci_unpacks_to_the_same_files(
    tmp_path: Path, real_repository: Repository, push_files: PushFiles
) -> None:
    pushed = push_files(Files(MODEL), real_repository)
    run(
        "skopeo",
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        f"docker://{pushed.image}",
        f"oci:{tmp_path}/layout:copied",
    )
    assert Layout(tmp_path / "layout").find_manifest(str(pushed.digest)) is not None
    assert unpack(tmp_path / "layout", "copied", tmp_path / "bundle") == MODEL


def test_skopeo_reads_a_layout(tmp_path: Path, push_files: PushFiles) -> None:
    pushed = push_files(Files(MODEL), Layout(tmp_path / "layout"))
    told = json.loads(run("skopeo", "inspect", f"oci:{tmp_path}/layout:v1"))
    assert told["Digest"] == str(pushed.digest)
