from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcar.errors import InvalidReference, UnsafeContent
from modelcar.snapshot import LeftOut, ModelFile, Source
from modelcar.sources.open import open_source


def source(directory: Path, *ignore: str, allow: tuple[str, ...] = ()) -> Source:
    return open_source(f"file://{directory}", ignore=ignore, allow=allow)


def paths(directory: Path, *ignore: str) -> list[str]:
    return [file.path for file in source(directory, *ignore).snapshot().files]


def read(source: Source, file: ModelFile) -> bytes:
    with source.open(file) as blocks:
        return b"".join(blocks)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "sub").mkdir(parents=True)
    (directory / "config.json").write_bytes(b"{}")
    (directory / "sub" / "vocab.json").write_bytes(b"{ }")
    return directory


def hub_cache(directory: Path) -> Path:
    """As huggingface_hub lays it out; returns the snapshot."""
    snapshot = directory / "models--org--name" / "snapshots" / ("c" * 40)
    blobs = directory / "models--org--name" / "blobs"
    (snapshot / "sub").mkdir(parents=True)
    blobs.mkdir()
    (blobs / "1111").write_bytes(b"{}")
    (blobs / "2222").write_bytes(b"weights")
    (snapshot / "config.json").symlink_to("../../blobs/1111")
    (snapshot / "sub" / "model.gguf").symlink_to("../../../blobs/2222")
    return snapshot


def test_the_links_of_a_hub_cache_are_followed(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path)
    local = source(snapshot)
    assert local.snapshot().files == (ModelFile("config.json", 2), ModelFile("sub/model.gguf", 7))
    assert read(local, ModelFile("sub/model.gguf", 7)) == b"weights"
    assert paths(snapshot / "sub") == ["model.gguf"]


def test_a_link_to_a_snapshot_is_as_good_as_the_snapshot(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(hub_cache(tmp_path))
    assert paths(tmp_path / "current") == ["config.json", "sub/model.gguf"]


def test_other_links_in_a_hub_cache_are_refused(tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path)
    (snapshot / "token").symlink_to("../../../token")
    (tmp_path / "token").write_bytes(b"hf_secret")
    with pytest.raises(UnsafeContent, match=r"^token is a symbolic link to '../../../token'; links are not followed$"):
        paths(snapshot)


def test_a_whole_hub_cache_is_not_a_model(tmp_path: Path) -> None:
    hub_cache(tmp_path)
    with pytest.raises(InvalidReference, match="is a Hub cache with all its snapshots"):
        paths(tmp_path / "models--org--name")


def kubernetes_volume(directory: Path) -> Path:
    """As the kubelet writes a ConfigMap with the keys `config.json` and `sub/vocab.json`."""
    data = directory / "volume" / "..2026_11_23_20_00_00.123456789"
    (data / "sub").mkdir(parents=True)
    (data / "config.json").write_bytes(b"{}")
    (data / "sub" / "vocab.json").write_bytes(b"{ }")
    (directory / "volume" / "..data").symlink_to(data.name)
    (directory / "volume" / "config.json").symlink_to("..data/config.json")
    (directory / "volume" / "sub").symlink_to("..data/sub")
    return directory / "volume"


def test_the_links_of_a_kubernetes_volume_are_followed(tmp_path: Path) -> None:
    volume = kubernetes_volume(tmp_path)
    local = source(volume)
    assert local.snapshot().files == (ModelFile("config.json", 2), ModelFile("sub/vocab.json", 3))
    assert read(local, ModelFile("sub/vocab.json", 3)) == b"{ }"


def test_a_link_out_of_a_kubernetes_volume_is_refused(tmp_path: Path) -> None:
    volume = kubernetes_volume(tmp_path)
    (volume / "passwd").symlink_to("..data/../../../../../../../etc/passwd")
    with pytest.raises(UnsafeContent, match=r"^passwd is a symbolic link"):
        paths(volume)


def test_data_without_a_link_is_an_ordinary_name(model: Path) -> None:
    (model / "..data").write_bytes(b"")
    assert "..data" in paths(model)


Plant = Callable[[Path], object]


def plant_socket(path: Path) -> None:
    # A socket's address has at most 108 bytes; pytest's directories are longer.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


PLANTED: dict[str, tuple[Plant, str]] = {
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a symbolic link to 'nowhere', which leads nowhere"),
    "itself": (lambda path: path.symlink_to(path.name), "is a symbolic link to 'itself', which leads nowhere"),
    "outside": (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link to '/etc/passwd'; links are not"),
    "inside": (lambda path: path.symlink_to("config.json"), "is a symbolic link to 'config.json'; links are not"),
    "loop": (lambda path: path.symlink_to(".."), r"is a symbolic link to '\.\.'; links are not followed"),
    "pipe": (os.mkfifo, "is a socket, a pipe or a device, not a file"),
    "socket": (plant_socket, "is a socket, a pipe or a device, not a file"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_no_file_is_refused_by_name_unless_it_is_ignored(model: Path, name: str) -> None:
    plant, message = PLANTED[name]
    plant(model / name)
    with pytest.raises(UnsafeContent, match=f"^{name} {message}"):
        paths(model)
    left_out = source(model, name).snapshot().left_out
    assert left_out == (LeftOut(name, 0, f"ignore pattern {name}"),)


def test_a_link_to_a_directory_is_ignored_by_a_pattern_for_what_is_below(model: Path) -> None:
    (model / "latest").symlink_to("sub")
    assert paths(model, "latest/") == ["config.json", "sub/vocab.json"]


def test_a_link_to_a_directory_is_not_covered_by_allow(model: Path) -> None:
    (model / "latest").symlink_to("sub")
    with pytest.raises(UnsafeContent, match=r"^latest is a symbolic link"):
        source(model, allow=("latest/*.json",)).snapshot()


def test_names_that_are_not_utf8_are_refused(model: Path) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/caf\xe9")).write_bytes(b"")
    with pytest.raises(UnsafeContent, match=r"^the file name 'caf\\udce9' is not UTF-8$"):
        paths(model)


def test_the_file_systems_own_directory_is_passed_over(model: Path) -> None:
    (model / "lost+found").mkdir()
    (model / "lost+found" / "#1").write_bytes(b"")
    assert "lost+found/#1" not in paths(model)
