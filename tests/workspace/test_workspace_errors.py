"""What a download refuses and how it fails: one sentence, a way out, and an exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_files import Files, model_file, shard
from modelcar.errors import ContentMismatch, InvalidInput, PromotionError, UnsafeContent, WorkspaceError
from modelcar.snapshot import ModelFile
from modelcar.workspace.download import download

MODEL = {"config.json": b"{}", "model.safetensors": shard(100_000)}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A download that must fail.

    Attributes:
        prepare: Given the directory, which is not there yet; makes it so that the download fails.
        sentence: What is wrong; `{at}` is the directory.
        hint: The way out.
        kind: Of the error.
        source: What is downloaded.
    """

    prepare: Callable[[Path], object]
    sentence: str
    hint: str
    kind: type[PromotionError] = InvalidInput
    source: Files | None = None


def nothing(_: Path) -> None:
    """The directory is not there, and that is fine."""


def write(path: Path, text: str = "mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def downloaded(path: Path) -> Path:
    source = Files(MODEL)
    download(source.snapshot(), source, path)
    return path


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def huge() -> Files:
    """A model that fits on no disk."""
    source = Files(MODEL)
    source.files = (*source.files, ModelFile("z.safetensors", 1 << 62, git_blob_id="0" * 40))
    return source


def lying() -> Files:
    """A source that delivers other bytes than it published."""
    source = Files(MODEL)
    source.contents["config.json"] = b"[]"
    return source


NOT_EMPTY = "Name an empty directory, or one that is not there yet."
MOVE = "Move it elsewhere, or name another directory."
PICKLE = (
    "Convert the weights to safetensors, leave the files out (ignore), "
    "or name them with --allow-pickle (allowPickle in a spec) if you trust who made them."
)
CASES = {
    "a file": Wrong(write, "{at} is not a directory", "Name a directory, or one that is not there yet."),
    "below a file": Wrong(
        lambda at: write(at.parent), "{at} is not a directory", "Name a directory, or one that is not there yet."
    ),
    "somebody's directory": Wrong(
        lambda at: write(at / "notes.txt"), "{at} is not empty, and was not made by a download", NOT_EMPTY
    ),
    "a file in place of the state": Wrong(
        lambda at: write(at / ".modelcar"), "{at} is not empty, and was not made by a download", NOT_EMPTY
    ),
    "a link in place of the state": Wrong(
        lambda at: link(at / ".modelcar", "/tmp"),  # noqa: S108
        "{at} is not empty, and was not made by a download",
        NOT_EMPTY,
    ),
    "a stranger": Wrong(
        lambda at: write(downloaded(at) / "no\ntes.txt"),
        "{at} has 'no\\ntes.txt' in it, which no download put there",
        MOVE,
    ),
    "a link": Wrong(
        lambda at: link(downloaded(at) / "a" / "link", "b"), "{at} has a/link in it, which no download put there", MOVE
    ),
    "no room": Wrong(
        nothing,
        "{at} has not enough room: {needed} bytes are still to come, and {free} are free",
        "Make room or take a larger volume, and run it again; it goes on where it stopped.",
        WorkspaceError,
        huge(),
    ),
    "a file where the state is": Wrong(
        nothing,
        ".modelcar/a cannot be downloaded: what is there belongs to the directory, not to the model",
        "Leave it out (ignore).",
        UnsafeContent,
        Files({".modelcar/a": b"a"}),
    ),
    "a file where a volume has its own": Wrong(
        nothing,
        "lost+found/a cannot be downloaded: what is there belongs to the directory, not to the model",
        "Leave it out (ignore).",
        UnsafeContent,
        Files({"lost+found/a": b"a"}),
    ),
    "a pickle": Wrong(
        nothing,
        "state.dat is a pickle, whatever its name says; loading it can run any code",
        PICKLE,
        UnsafeContent,
        Files({"state.dat": b"\x80\x04N."}),
    ),
    "a broken shard": Wrong(
        nothing,
        "a.safetensors is not a sound safetensors file: its header claims 7234314199460179812 bytes",
        "Publish the file again; a download that broke off looks like this, too.",
        UnsafeContent,
        Files({"a.safetensors": b"doctored" * 10}),
    ),
    "other bytes": Wrong(
        nothing,
        "config.json arrived as git blob 0637a088a01e8ddab3bf3fa98dbe804cbde1a0dc, "
        "but the source published git blob 9e26dfeeb6e641a33dae4961196235bdb965b21b",
        "Nothing was published. Run it again; if it stays so, the source or a proxy before it is damaged.",
        ContentMismatch,
        lying(),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_failure_is_one_sentence_with_a_way_out(case: Wrong, tmp_path: Path) -> None:
    directory = tmp_path / "parent" / "model"
    case.prepare(directory)
    source = case.source or Files(MODEL)
    with pytest.raises(PromotionError) as caught:
        download(source.snapshot(), source, directory)

    error = caught.value
    free = str(error).split()[-3]
    expected = case.sentence.format(at=directory, needed=(1 << 62) + source.size_bytes, free=free)
    assert (type(error), str(error), error.hint) == (case.kind, expected, case.hint)
    assert error.exit_code == (2 if case.kind in (InvalidInput, UnsafeContent) else 1)
    assert not error.retryable


def test_two_downloads_into_one_directory_do_not_run_at_once(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()
    source = Files(MODEL)

    def hold(_path: str, _offset: int) -> None:
        started.set()
        go_on.wait(30)

    source.on_block = hold
    first = threading.Thread(target=download, args=(source.snapshot(), source, tmp_path / "model"))
    first.start()
    assert started.wait(30)
    other = Files(MODEL)
    try:
        with pytest.raises(WorkspaceError) as caught:
            download(other.snapshot(), other, tmp_path / "model")
    finally:
        go_on.set()
        first.join()

    assert str(caught.value) == f"another download into {tmp_path}/model is at work"
    assert caught.value.hint == "Wait until it has ended, or stop it."
    assert other.opened == []
    assert download(other.snapshot(), other, tmp_path / "model").bytes_read == 0


def test_room_is_counted_without_what_is_there(tmp_path: Path) -> None:
    downloaded(tmp_path / "model")
    source = huge()
    with pytest.raises(WorkspaceError, match=rf"has not enough room: {1 << 62} bytes are still to come"):
        download(source.snapshot(), source, tmp_path / "model")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(directory)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def test_a_disk_that_fills_up_meanwhile_is_told_and_gone_on_with_later(small_disk: Path) -> None:
    model = {"config.json": b"{}", "model.safetensors": shard(3 << 20)}
    source = Files(model)
    source.on_block = lambda path, offset: (
        fill(small_disk) if (path, offset >= 1 << 20) == ("model.safetensors", True) else None
    )
    with pytest.raises(WorkspaceError) as caught:
        download(source.snapshot(), source, small_disk / "model")

    assert str(caught.value) == (
        f"{small_disk}/model has not enough room: {2 << 20} bytes are still to come, and 0 are free"
    )
    (small_disk / "filler").unlink()
    again = Files(model)
    assert download(again.snapshot(), again, small_disk / "model").bytes_read == 2 << 20


def test_a_new_version_fits_where_the_old_one_makes_room_for_it(small_disk: Path) -> None:
    for seed in (1, 2):
        source = Files({"model.safetensors": shard(3 << 20, seed=seed)})
        assert download(source.snapshot(), source, small_disk / "model").bytes_read == 3 << 20


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def test_a_directory_that_may_not_be_written_is_the_callers_fault(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    source = Files(MODEL)
    with pytest.raises(InvalidInput) as caught:
        download(source.snapshot(), source, small_disk / "model")

    assert str(caught.value) == f"{small_disk}/model cannot be written: {os.strerror(errno.EROFS)}"
    assert caught.value.hint == f"Let user {os.geteuid()} write there, or name another directory."


def test_a_name_that_is_too_long_for_the_file_system_is_one_sentence(tmp_path: Path) -> None:
    source = Files({"/".join(["n" * 250] * 15): b"deep"})
    deep = tmp_path / "/".join(["d" * 200] * 3)
    with pytest.raises(WorkspaceError) as caught:
        download(source.snapshot(), source, deep)

    assert str(caught.value) == f"{deep} cannot be used: File name too long"


def test_a_file_is_never_under_way_twice(tmp_path: Path) -> None:
    source = Files({"a": b"same", "b": b"same"})
    source.files = (model_file("a", b"same"), model_file("b", b"same"))

    assert download(source.snapshot(), source, tmp_path / "model").bytes_read == 8
