"""An image of another registry whose annotations say otherwise than its layers."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from copying_checks import at, read_whole
from model_files import git_blob_id
from modelcar.distribution.layout import Layout
from modelcar.distribution.upload import Content
from modelcar.errors import ContentMismatch, UnsafeContent
from modelcar.image.manifest import FILES_ANNOTATION, MANIFEST_TYPE, format_document
from modelcar.push import PushedImage
from modelcar.reference import Digest, LayoutReference
from registry_service import Running

Copy = Callable[..., PushedImage]
SHARD = "model-00001-of-00002.safetensors"


def layer_of(running: Running, path: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The manifest of an image, the descriptor of the layer that has a file, and that layer."""
    stored = running.repository().find_manifest("1")
    assert stored is not None
    manifest = json.loads(stored.content)
    [found] = [one for one in manifest["layers"] if f'"{path}"' in one["annotations"][FILES_ANNOTATION]]
    return manifest, found, read_whole(running.repository(), Digest.parse(found["digest"]))


def lie(running: Running, path: str, change: Callable[[bytes], bytes], digests: Sequence[str] = ()) -> None:
    """Let the tag name an image in which the layer with this file is another, with the annotation of the right one.

    Where the file's digests are given, sha256 and git blob id, the annotation is right for the other layer.
    """
    manifest, descriptor, content = layer_of(running, path)
    changed = change(content)
    running.repository().write_blob(Content(changed), Digest.of(changed))
    descriptor |= {"digest": str(Digest.of(changed)), "size": len(changed)}
    files = json.loads(descriptor["annotations"][FILES_ANNOTATION])
    if digests:
        next(row for row in files if row[0] == path)[2:4] = digests
    descriptor["annotations"][FILES_ANNOTATION] = format_document(files).decode()
    running.repository().write_manifest(json.dumps(manifest).encode(), MANIFEST_TYPE, ["1"])


def header(**changes: Any) -> Callable[[bytes], bytes]:
    """Another first header of the same length."""

    def change(layer: bytes) -> bytes:
        info = tarfile.TarInfo.frombuf(layer[:512], "utf-8", "strict")
        for name, value in changes.items():
            setattr(info, name, value)
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict") + layer[512:]

    return change


def put(offset: int, content: bytes) -> Callable[[bytes], bytes]:
    """Other bytes in place of some; behind the end where the offset is negative."""
    return lambda layer: layer[: offset % len(layer)] + content + layer[offset % len(layer) + len(content) :]


def second_file(layer: bytes) -> bytes:
    """One more file, where the end of the tar should be, and its content left out."""
    info = tarfile.TarInfo("models/more.py")
    return layer[:-1024] + info.tobuf(tarfile.GNU_FORMAT) + bytes(512)


LIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a link": (header(type=tarfile.SYMTYPE, linkname="/etc/passwd"), f"another header than that of {SHARD}"),
    "a way out": (header(name="models/../etc/passwd"), f"another header than that of {SHARD}"),
    "a whiteout": (header(name="models/.wh.config.json"), f"another header than that of {SHARD}"),
    "a set-uid file": (header(mode=0o4755), f"another header than that of {SHARD}"),
    "other weights": (put(3 << 20, b"other"), f"other content in {SHARD}"),
    "one more file": (second_file, "more than its files"),
    "something at the end": (put(-1, b"x"), "more than its files"),
}


@pytest.mark.parametrize("single_put_bytes", [1 << 20, 16 << 20])  # shards are larger than the one
@pytest.mark.parametrize("name", sorted(LIES))
def test_a_layer_that_is_copied_is_held_against_its_annotation_and_never_named_where_it_differs(
    running: Running,
    elsewhere: Running,
    model: Path,
    push: Copy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    single_put_bytes: int,
) -> None:
    monkeypatch.setattr("modelcar.distribution.ladder.SINGLE_PUT_BYTES", single_put_bytes)
    change, found = LIES[name]
    push(model, at(elsewhere, "team/model"))
    lie(elsewhere, SHARD, change)
    with pytest.raises(ContentMismatch) as caught:
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert str(caught.value) == (
        f"a layer of image {elsewhere.address}/team/model:1 is not what its annotation says: it has {found}"
    )
    _, descriptor, _ = layer_of(elsewhere, SHARD)
    assert running.repository("team/copy").find_manifest("1") is None
    assert not running.repository("team/copy").has_blob(Digest.parse(descriptor["digest"]))
    assert running.sessions_left == 0


def test_a_layer_that_is_copied_to_a_layout_directory_is_held_against_its_annotation_too(
    running: Running, model: Path, push: Copy, tmp_path: Path
) -> None:
    push(model, at(running, "team/model"))
    lie(running, SHARD, LIES["a link"][0])
    with pytest.raises(ContentMismatch, match="is not what its annotation says"):
        push(f"oci://{at(running, 'team/model')}", LayoutReference(tmp_path / "layout", "1"))
    assert Layout(tmp_path / "layout").find_manifest("1") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(["loads", "code"]), r"notes/é.txt .*pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"notes/é.txt is a Git LFS pointer"),
    ],
)
def test_what_no_push_would_take_is_not_copied_either_though_its_annotation_is_right(
    running: Running, elsewhere: Running, model: Path, push: Copy, content: bytes, message: str
) -> None:
    harmless = b"@" * len(content)
    (model / "notes" / "é.txt").write_bytes(harmless)
    push(model, at(elsewhere, "team/model"))
    lie(
        elsewhere,
        "notes/é.txt",
        lambda layer: layer.replace(harmless, content),
        digests=[Digest.of(content).hex, git_blob_id(content)],
    )
    with pytest.raises(UnsafeContent, match=message):
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert running.repository("team/copy").find_manifest("1") is None


def test_a_shard_whose_header_lies_is_not_copied_though_its_annotation_is_right(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    push(model, at(elsewhere, "team/model"))
    lying = b"\xff" * 8 + (model / SHARD).read_bytes()[8:]
    lie(elsewhere, SHARD, put(512, b"\xff" * 8), digests=[Digest.of(lying).hex, git_blob_id(lying)])
    with pytest.raises(UnsafeContent, match=SHARD):
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert running.repository("team/copy").find_manifest("1") is None


def test_within_a_registry_nothing_passes_and_without_reuse_everything_is_read(
    running: Running, model: Path, push: Copy
) -> None:
    push(model, at(running, "team/model"))
    lie(running, SHARD, put(3 << 20, b"other"))
    source = f"oci://{at(running, 'team/model')}"
    assert push(source, at(running, "team/copy")).bytes_read == 0
    with pytest.raises(ContentMismatch, match=f"{SHARD} arrived as "):
        push(source, at(running, "team/read"), reuse=False)
    assert running.repository("team/read").find_manifest("1") is None
