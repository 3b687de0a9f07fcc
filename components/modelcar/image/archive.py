"""What stands in a tar that somebody else has written: names, kinds, sizes, and where each content begins.

Only headers are looked at, so a reader that can leap need not read the contents. GNU long names and base-256 sizes, PAX
names and sizes, and ustar prefixes are understood.

Source: https://www.gnu.org/software/tar/manual/html_node/Standard.html,
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13 (PAX records).
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from modelcar.errors import DistributionError
from modelcar.image.layer import padded

_BLOCK = 512
_NUMBER = re.compile("[0-9]{1,18}")
_MAX_EXTENSION_BYTES = 1 << 16
"""Of a long name or of PAX records, which are held in memory, and of the global ones in all."""
_LONGEST_LENGTH = 19
"""Of a PAX record's length and the space behind it."""
_IS_EXTENDED, _IS_EXTENDED_FURTHER = 482, 504
"""Where a header, and a block that extends it, says that another block with pieces of a sparse file follows."""

FILE, DIRECTORY = "a file", "a directory"
_KINDS: Mapping[bytes, str] = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.DIRTYPE: DIRECTORY,
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_WITHOUT_CONTENT = frozenset({DIRECTORY, "a symbolic link", "a hard link", "a device", "a pipe"})


class Tar(Protocol):
    """A tar that is read forward."""

    @property
    def position(self) -> int:
        """Of the next byte."""
        ...

    def read(self, size_bytes: int, /) -> bytes:
        """Exactly so many bytes, fewer only at the end."""
        ...

    def skip_to(self, offset: int, /) -> None:
        """Go on further behind."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a tar.

    Attributes:
        name: As written; not UTF-8 where it has surrogates.
        kind: `FILE`, `DIRECTORY`, or a few words for what is neither.
        offset: Where its content begins.
        size_bytes: Of its content.
    """

    name: str
    kind: str
    offset: int
    size_bytes: int


def walk(tar: Tar, what: str) -> Iterator[Member]:
    """List a tar, up to its first block of zeros or its end.

    Args:
        tar: At its start. Between two members it may be read, but not further than the content of the last one.
        what: The tar, for messages.

    Raises:
        DistributionError: It is no tar, or is damaged.
    """
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    while header := tar.read(_BLOCK):
        if not any(header):
            return
        info = _parse(header, what)
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            own |= _records(_extension(tar, info, what), what)
        elif info.type == tarfile.XGLTYPE:
            shared = _bounded({**shared, **_records(_extension(tar, info, what), what)}, what)
        elif info.type == tarfile.GNUTYPE_LONGNAME:
            own["path"] = _text(_extension(tar, info, what).split(b"\0", 1)[0])
        elif info.type == tarfile.GNUTYPE_LONGLINK:
            _extension(tar, info, what)
        else:
            if info.type == tarfile.GNUTYPE_SPARSE:
                _skip_pieces(tar, header, what)
            member = _member(info, {**shared, **own}, tar.position, what)
            own = {}
            yield member
            tar.skip_to(member.offset + padded(member.size_bytes))


def _parse(header: bytes, what: str) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise DistributionError(f"{what} is no tar, or is damaged: {error}") from error
    if info.size < 0:
        raise _damaged(what)
    return info


def _member(info: tarfile.TarInfo, records: Mapping[str, str], offset: int, what: str) -> Member:
    kind = _KINDS.get(info.type, f"of the unknown type {info.type!r}")
    if any(key.startswith("GNU.sparse.") for key in records):
        kind = "a sparse file"
    size = records.get("size", str(info.size))
    if not _NUMBER.fullmatch(size):
        raise _damaged(what)
    return Member(records.get("path", info.name), kind, offset, 0 if kind in _WITHOUT_CONTENT else int(size))


def _extension(tar: Tar, info: tarfile.TarInfo, what: str) -> bytes:
    """The content of an entry that only says something of the next one."""
    if info.size > _MAX_EXTENSION_BYTES:
        raise _damaged(what)
    content = tar.read(padded(info.size))
    if len(content) < info.size:
        raise _damaged(what)
    return content[: info.size]


def _skip_pieces(tar: Tar, header: bytes, what: str) -> None:
    """Pass the blocks that say where the pieces of a sparse file belong; its content begins behind them."""
    follows = header[_IS_EXTENDED]
    while follows:
        block = tar.read(_BLOCK)
        if len(block) < _BLOCK:
            raise _damaged(what)
        follows = block[_IS_EXTENDED_FURTHER]


def _records(content: bytes, what: str) -> dict[str, str]:
    """PAX records: their own length in decimal, a space, `key=value`, a newline."""
    records, start, stop = {}, 0, len(content.rstrip(b"\0"))
    while start < stop:
        length = content[start : content.find(b" ", start, start + _LONGEST_LENGTH)]
        end = start + (int(length) if _NUMBER.fullmatch(_text(length)) else 0)
        key, equals, value = content[start + len(length) + 1 : end - 1].partition(b"=")
        if end > len(content) or not equals or content[end - 1 : end] != b"\n":
            raise _damaged(what)
        records[_text(key)] = _text(value)
        start = end
    return records


def _bounded(records: dict[str, str], what: str) -> dict[str, str]:
    if sum(len(key) + len(value) for key, value in records.items()) > _MAX_EXTENSION_BYTES:
        raise _damaged(what)
    return records


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _damaged(what: str) -> DistributionError:
    return DistributionError(f"{what} is a damaged tar", hint="Push the image again, or name another one.")
