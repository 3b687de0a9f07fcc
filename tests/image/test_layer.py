from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_files import Files, git_blob_id, model_file, no_check, shard
from modelcar.image.content import MAX_GIT_BLOB_BYTES, FileContent
from modelcar.image.layer import LayerPlan, LayerStream, directory_header, file_header
from modelcar.image.packing import directories_of
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile

NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=150).filter(
    lambda name: name not in (".", "..")
)
PATH = st.lists(NAME, min_size=1, max_size=3).map("/".join)


def stream_of(source: Files, cancelled: threading.Event | None = None) -> LayerStream:
    plan = LayerPlan(files=source.files, directories=directories_of(source.contents))
    return LayerStream(plan, source.open, no_check, cancelled=cancelled)


def members(tar: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        return archive.getmembers()


def test_a_layer_is_a_tar_of_the_files_below_models() -> None:
    contents = {"a.json": b"{}", "sub/b.txt": b"b" * 513, "sub/empty": b""}
    tar = b"".join(stream_of(Files(contents)))
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        read = {m.name: f.read() for m in archive if m.isfile() and (f := archive.extractfile(m)) is not None}
    assert read == {f"models/{path}": content for path, content in contents.items()}


def test_a_file_belongs_to_root_its_group_may_write_and_it_has_no_time() -> None:
    (info,) = members(file_header("config.json", 7) + bytes(512 + 1024))
    told = (info.name, info.size, info.type, info.mode, info.uid, info.gid, info.uname, info.gname, info.mtime)
    assert told == ("models/config.json", 7, tarfile.REGTYPE, 0o664, 0, 0, "", "", 0)


def test_a_directory_belongs_to_root_and_its_group_may_write() -> None:
    infos = members(directory_header("") + directory_header("a/b") + bytes(1024))
    assert [(i.name, i.type, i.mode, i.uid, i.gid, i.uname, i.gname, i.mtime) for i in infos] == [
        ("models", tarfile.DIRTYPE, 0o775, 0, 0, "", "", 0),
        ("models/a/b", tarfile.DIRTYPE, 0o775, 0, 0, "", "", 0),
    ]


@pytest.mark.parametrize("size_bytes", [8 << 30, (8 << 30) - 1, 46 << 30, 1 << 44])
def test_a_header_of_512_bytes_states_any_size(size_bytes: int) -> None:
    header = file_header("model.safetensors", size_bytes)
    info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (len(header), info.size) == (512, size_bytes)


def test_8_gib_and_more_is_written_in_base_256_and_not_in_a_pax_header() -> None:
    header = file_header("model.safetensors", 8 << 30)
    assert header[124:136] == b"\x80" + (8 << 30).to_bytes(11, "big")
    assert header[257:265] == b"ustar  \0"


@pytest.mark.parametrize(("length", "header_bytes"), [(93, 512), (94, 1536), (300, 1536)])
def test_a_name_over_100_bytes_takes_two_more_blocks(length: int, header_bytes: int) -> None:
    header = file_header("n" * length, 0)
    assert len(header) == header_bytes
    assert [m.name for m in members(header + bytes(1024))] == ["models/" + "n" * length]


def test_a_name_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        file_header("caf\udce9", 1)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATH, st.binary(max_size=1500), min_size=1, max_size=6))
def test_a_layer_has_exactly_the_size_that_its_plan_says(contents: dict[str, bytes]) -> None:
    stream = stream_of(Files(contents))
    assert len(stream) == stream.plan.size_bytes == sum(map(len, stream))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATH, st.binary(max_size=1500), min_size=1, max_size=6))
def test_whatever_the_names_tar_reads_back_what_went_in(contents: dict[str, bytes]) -> None:
    source = Files(contents)
    stream = LayerStream(LayerPlan(files=source.files), source.open, no_check)
    tar = b"".join(stream)
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", encoding="utf-8") as archive:
        read = [(m.name, f.read()) for m in archive if (f := archive.extractfile(m)) is not None]
    assert read == [(f"models/{path}", content) for path, content in source.contents.items()]
    assert stream.digest == Digest.of(tar)


def test_two_passes_give_one_digest() -> None:
    stream = stream_of(Files({"a": b"a" * 1000, "b": b"b"}))
    first = stream.drain()
    assert stream.drain() == first
    assert stream.bytes_read == 2002


def test_a_pass_tells_what_each_file_holds() -> None:
    small, large = b"{}", b"x" * (MAX_GIT_BLOB_BYTES + 1)
    stream = stream_of(Files({"a.json": small, "b.safetensors": large}))
    stream.drain()
    assert stream.contents == (
        FileContent("a.json", 2, Digest.of(small), git_blob_id(small)),
        FileContent("b.safetensors", len(large), Digest.of(large), None),
    )


def test_what_a_source_does_not_publish_changes_nothing() -> None:
    contents = {"a.json": b"{}", "b.safetensors": shard(5000)}
    told, untold = stream_of(Files(contents)), stream_of(Files(contents, published=False))
    assert (told.drain(), told.contents) == (untold.drain(), untold.contents)


def test_an_unfinished_pass_has_no_digest() -> None:
    stream = stream_of(Files({"a": b"a" * 1000}))
    stream.drain()
    next(iter(stream))
    assert stream.digest is None
    assert stream.contents == ()


class Directory:
    """Files on a disk, read in the order of the plan."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plan(self) -> LayerPlan:
        paths = [p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()]
        files = [ModelFile(path, (self.root / path).stat().st_size) for path in sorted(paths, key=str.encode)]
        return LayerPlan(files=tuple(files), directories=directories_of(paths))

    def digest(self) -> Digest:
        def open_file(file: ModelFile, offset: int) -> nullcontext[Iterator[bytes]]:
            return nullcontext(iter([(self.root / file.path).read_bytes()[offset:]]))

        return LayerStream(self.plan(), open_file, no_check).drain()


def test_a_digest_does_not_depend_on_times_modes_and_the_order_of_writing(tmp_path: Path) -> None:
    contents = {"b.json": b"1", "a/ä.txt": b"2", "Z.txt": b"3"}
    for directory, paths in (("one", list(contents)), ("two", list(reversed(contents)))):
        for number, path in enumerate(paths):
            file = tmp_path / directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(contents[path])
            file.chmod(0o600 if directory == "one" else 0o444)
            os.utime(file, (number, 10**9 * (number + 1)))
    assert Directory(tmp_path / "one").digest() == Directory(tmp_path / "two").digest()


SCRIPT = """
from modelcar.image.layer import directory_header, file_header
from modelcar.image.packing import directories_of
import hashlib
paths = ["z/\\xe9", "a/b", "Z", "\\u65e5\\u672c/\\u30e2"]
blocks = [directory_header(d) for d in directories_of(paths)] + [file_header(p, 9 << 30) for p in paths]
print(hashlib.sha256(b"".join(blocks)).hexdigest())
"""


def test_a_digest_does_not_depend_on_the_locale_the_time_zone_or_the_umask() -> None:
    digests = set()
    for settings_of_machine in (
        {"LC_ALL": "C", "TZ": "UTC", "PYTHONUTF8": "0"},
        {"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo"},
    ):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=settings_of_machine, umask=0o077, capture_output=True, check=True
        )
        digests.add(run.stdout)
    assert len(digests) == 1


def test_the_bytes_of_layer_format_1_never_change() -> None:
    plan = LayerPlan(directories=("", "sub"), files=(ModelFile("config.json", 2), ModelFile("sub/" + "n" * 120, 3)))
    source = Files({"config.json": b"{}", "sub/" + "n" * 120: b"abc"})
    digest = LayerStream(plan, source.open, no_check).drain()
    assert str(digest) == "sha256:6947b34d9c6b9dc9037c0fae9c52468e4825b8f8997dfeaa03ce8d4609ba5f48"
    huge = hashlib.sha256(file_header("model.safetensors", 9 << 30)).hexdigest()
    assert huge == "111e585754ad873251f5156d3fd5ba111c5ad203c605c90d99491f880f073f6c"


def test_a_layer_is_called_after_its_files() -> None:
    files = tuple(model_file(name, b"x") for name in ("a", "b", "c"))
    titles = [LayerPlan(directories=("",)).title, LayerPlan(files[:1]).title, LayerPlan(files).title]
    assert titles == ["directories", "a", "a and 2 more"]
