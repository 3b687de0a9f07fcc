from __future__ import annotations

import io
import pickle
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import UnsafeContent
from modelcar.sources.signatures import SignatureCheck


def look(content: bytes, block_bytes: int = 1 << 20, *, allow_pickle: bool = False) -> bool:
    check = SignatureCheck("tokenizer.model", allow_pickle=allow_pickle)
    for start in range(0, len(content), block_bytes):
        check.update(content[start : start + block_bytes])
    check.finish()
    return check.is_pickle


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", [None, [1, 2], {"state_dict": "x" * 1000}, 1.5])
def test_a_pickle_is_known_whatever_its_name_says(protocol: int, value: object) -> None:
    with pytest.raises(UnsafeContent, match=r"^tokenizer\.model is a pickle, whatever its name says"):
        look(pickle.dumps(value, protocol))


@pytest.mark.parametrize("block_bytes", [1, 3, 7, 1 << 20])
def test_a_zip_with_a_pickle_in_it_is_known_wherever_it_is(block_bytes: int) -> None:
    with pytest.raises(UnsafeContent, match="is a zip with a pickle in it"):
        look(zipped("archive/version", "archive/data/0", "archive/data.pkl"), block_bytes)


@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
def test_an_allowed_pickle_passes_and_is_known_as_one(block_bytes: int) -> None:
    assert look(pickle.dumps([1]), block_bytes, allow_pickle=True)
    assert look(zipped("archive/data.pkl"), block_bytes, allow_pickle=True)
    assert not look(b"{}", block_bytes, allow_pickle=True)


def test_a_zip_without_pickles_passes() -> None:
    assert not look(zipped("weights/a.npy", "b.txt"))


def test_a_git_lfs_pointer_is_not_the_file() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 4\n"
    for block_bytes in (1, 10, 1 << 20):
        with pytest.raises(UnsafeContent, match="is a Git LFS pointer, not the file itself"):
            look(pointer, block_bytes, allow_pickle=True)


@given(st.binary(max_size=100).filter(lambda content: content[:1] not in b"\x80v"), st.integers(1, 10))
def test_other_content_passes_however_it_is_cut(content: bytes, block_bytes: int) -> None:
    look(content, block_bytes)
