"""The headers of tars that others have written."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreign_images import link, make_tar
from modelcar.errors import DistributionError
from modelcar.forward import ForwardReader
from modelcar.image.archive import DIRECTORY, FILE, Member, walk
from modelcar.image.gunzip import Gunzip

FORMATS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "models/" + "directory/" * 20 + "ü" * 80 + ".safetensors"


class Blocks(ForwardReader):
    """A tar in memory, in blocks of a size that fits nothing."""

    def __init__(self, content: bytes, block_bytes: int = 333) -> None:
        super().__init__()
        self._content, self._block_bytes = content, block_bytes
        self._given = 0

    def _next(self) -> bytes:
        block = self._content[self._given : self._given + self._block_bytes]
        self._given += len(block)
        return block


def listed(content: bytes) -> list[Member]:
    return list(walk(Blocks(content), "the layer"))


paths = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60)
names = st.lists(paths, min_size=1, max_size=6).map("/".join)


@given(
    entries=st.dictionaries(names, st.one_of(st.none(), st.binary(max_size=1500)), max_size=8),
    tar_format=st.sampled_from(FORMATS),
)
def test_what_tarfile_writes_is_listed_as_tarfile_lists_it(entries: dict[str, bytes | None], tar_format: int) -> None:
    tar = make_tar(entries, tar_format=tar_format)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        theirs = [(m.name.strip("/"), m.size, m.offset_data, m.isdir()) for m in archive]
    assert [(m.name.strip("/"), m.size_bytes, m.offset, m.kind == DIRECTORY) for m in listed(tar)] == theirs


@pytest.mark.parametrize("tar_format", FORMATS)
def test_long_names_and_names_that_are_not_ascii_are_whole(tar_format: int) -> None:
    assert [member.name for member in listed(make_tar({LONG: b"x", "models/é": b"y"}, tar_format=tar_format))] == [
        LONG,
        "models/é",
    ]


@pytest.mark.parametrize("tar_format", FORMATS)
def test_a_file_of_more_than_8_gib_has_its_size(tar_format: Literal[1, 2]) -> None:
    info = tarfile.TarInfo("models/big")
    info.size = 9 << 30
    header = info.tobuf(tar_format)
    members = walk(Blocks(header), "the layer")
    assert next(members) == Member("models/big", FILE, len(header), 9 << 30)


def test_links_devices_pipes_and_sparse_files_are_named() -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    tar = make_tar({f"models/{number}": link(kind) for number, kind in enumerate(kinds)})
    assert [member.kind for member in listed(tar)] == [
        "a symbolic link",
        "a hard link",
        "a device",
        "a device",
        "a pipe",
    ]
    sparse = tarfile.TarInfo("models/sparse")
    sparse.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    assert next(walk(Blocks(sparse.tobuf(tarfile.PAX_FORMAT)), "the layer")).kind == "a sparse file"


@pytest.mark.parametrize("pieces", [4, 5, 25, 26, 60])
def test_what_stands_behind_a_sparse_file_is_listed(tmp_path: Path, pieces: int) -> None:
    with (tmp_path / "sparse").open("wb") as sparse_file:
        for number in range(pieces):
            sparse_file.seek(number * 65536)
            sparse_file.write(b"x" * 4096)
    (tmp_path / "last").write_bytes(b"last")
    tar = ["tar", "--create", "--format=gnu", "--sparse", "--hole-detection=raw", "sparse", "last"]
    written = subprocess.run(tar, cwd=tmp_path, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        last = archive.getmember("last").offset_data
    sparse = Member("sparse", "a sparse file", last - 512 - 4096 * pieces, 4096 * pieces)
    assert listed(written) == [sparse, Member("last", FILE, last, 4)]


def test_a_sparse_file_whose_pieces_have_no_end_is_told() -> None:
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1
    header[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(header))[0]  # type: ignore[attr-defined]
    with pytest.raises(DistributionError, match=r"^the layer is a damaged tar$"):
        listed(bytes(header) + (bytes(504) + b"\1" + bytes(7)) * 3)


def records(*sizes_bytes: int, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header of PAX records with values of these sizes, as far as they have keys of their own."""
    info = tarfile.TarInfo("records")
    content = b""
    for number, size_bytes in enumerate(sizes_bytes):
        rest = b" key%06d=" % number + b"x" * size_bytes + b"\n"
        length = next(n for n in range(len(rest), len(rest) + 9) if n == len(rest) + len(str(n)))
        content += str(length).encode() + rest
    info.type, info.size = kind, len(content)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def test_records_of_at_most_64_kib_are_read() -> None:
    one_file = tarfile.TarInfo("models/a").tobuf(tarfile.GNU_FORMAT)
    most = 64 * 1024 - 17
    assert [member.name for member in listed(records(most) + one_file)] == ["models/a"]
    assert [member.name for member in listed(records(*[0] * 4000) + one_file)] == ["models/a"]
    with pytest.raises(DistributionError, match=r"^the layer is a damaged tar$"):
        listed(records(most + 1) + one_file)


def test_records_for_all_files_are_bounded_together() -> None:
    with pytest.raises(DistributionError, match=r"^the layer is a damaged tar$"):
        listed(records(0, 0, 30_000, kind=tarfile.XGLTYPE) + records(20_000, 20_000, kind=tarfile.XGLTYPE))


def test_records_for_all_files_count_until_a_file_has_its_own() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "é"}) as archive:
        archive.addfile(tarfile.TarInfo("models/a"))
    assert [member.name for member in listed(buffer.getvalue())] == ["models/a"]


def test_a_tar_may_end_without_blocks_of_zeros() -> None:
    tar = make_tar({"models/a": b"x"}, tar_format=tarfile.GNU_FORMAT)
    assert [member.name for member in listed(tar[:1024])] == ["models/a"]


@pytest.mark.parametrize(
    "tar",
    [
        b"x" * 512,
        b"x" * 100,
        make_tar({"models/a": b"x"})[:200],
        make_tar({"models/a": b"x"}, tar_format=tarfile.GNU_FORMAT).replace(b"ustar", b"USTAR"),
        make_tar({LONG: b"x"}, tar_format=tarfile.GNU_FORMAT)[:600],
        make_tar({LONG: b"x"}).replace(b" path=", b" path "),
        make_tar({LONG: b"x"}).replace(b" path=", b"9path="),
    ],
)
def test_what_is_no_tar_is_told(tar: bytes) -> None:
    with pytest.raises(DistributionError, match=r"^the layer is (no tar, or is damaged|a damaged tar)"):
        listed(tar)


def test_an_extension_that_would_fill_the_memory_is_refused() -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 5 << 30
    with pytest.raises(DistributionError, match=r"^the layer is a damaged tar$"):
        listed(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@given(st.binary(max_size=3000), st.integers(1, 700), st.integers(1, 5))
def test_a_gzip_stream_of_several_members_is_unpacked(content: bytes, block_bytes: int, members: int) -> None:
    size = -(-len(content) // members) or 1
    parts = [content[i : i + size] for i in range(0, len(content), size)] or [b""]
    stored = b"".join(gzip.compress(part) for part in parts) + bytes(block_bytes)
    packed = (stored[i : i + block_bytes] for i in range(0, len(stored), block_bytes))
    assert Gunzip(packed, "the layer").read(len(content) + 1) == content


def test_a_little_gzip_that_unpacks_to_much_is_given_in_pieces() -> None:
    tar = Gunzip(iter([gzip.compress(bytes(50 << 20))]), "the layer")
    assert max(map(len, iter(tar.read_block, b""))) <= 1 << 20
    assert tar.position == 50 << 20


def halves(content: bytes) -> Iterator[bytes]:
    yield content[: len(content) // 2]
    yield content[len(content) // 2 :]


@pytest.mark.parametrize(
    "stored",
    [b"no gzip at all", gzip.compress(b"x" * 99, mtime=0)[:-12] + b"x" * 12, zlib.compress(b"x")],
    ids=["text", "wrong end", "zlib"],
)
def test_a_damaged_gzip_stream_is_told(stored: bytes) -> None:
    with pytest.raises(DistributionError, match=r"^the layer is no gzip stream: "):
        Gunzip(halves(stored), "the layer").read(1 << 20)


def test_a_gzip_stream_that_ends_early_is_told() -> None:
    with pytest.raises(DistributionError, match=r"^the layer ends in the middle of a gzip stream$"):
        Gunzip(halves(gzip.compress(b"x" * 9999)[:-9]), "the layer").read(1 << 20)
