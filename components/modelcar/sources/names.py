"""Names that an image can hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from unicodedata import normalize

from modelcar.errors import UnsafeContent

WHITEOUT = ".wh."
"""A name that begins so deletes another one when the layer is unpacked.

Source: https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
"""

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4000
"""Below Linux's 4096, so that there is room for the directory in which a node unpacks."""


def check_names(paths: Iterable[str]) -> None:
    """Hold the paths of a model against what an image can carry and a node can unpack.

    Args:
        paths: Relative, `/` between parts.

    Raises:
        UnsafeContent: A path leaves the model's directory, deletes other files, is not UTF-8, has control characters
            or a backslash, is too long, is there twice, or is a file where another path needs a directory; or two
            are one name for a file system that composes characters (NFC).
    """
    seen: set[str] = set()
    for path in paths:
        if fault := _fault(path) or ("is listed twice" if path in seen else None):
            raise UnsafeContent(f"the file name {path!a} {fault}", hint="Rename the file, or leave it out (ignore).")
        seen.add(path)
    for path in seen:
        for parent in PurePosixPath(path).parents:
            if str(parent) in seen:
                raise UnsafeContent(f"{str(parent)!a} is a file, and {path!a} needs a directory of that name")
    _check_composed(seen)


def _check_composed(paths: Iterable[str]) -> None:
    """No two files or directories may differ only in how their characters are composed.

    Linux keeps both, other file systems and tools one of them: the image would be another model there. Upper and lower
    case are left alone, because models have names that differ in nothing else, and nodes run Linux.

    Source: https://unicode.org/reports/tr15/
    """
    written: dict[str, str] = {}
    for path in sorted(path for path in paths if not path.isascii()):
        for name in (path, *(str(parent) for parent in PurePosixPath(path).parents)):
            other = written.setdefault(normalize("NFC", name), name)
            if other != name:
                raise UnsafeContent(
                    f"the names {other!a} and {name!a} differ only in how their characters are composed",
                    hint="Rename one of them, or leave it out (ignore).",
                )


def _fault(path: str) -> str | None:
    """What is wrong with one path, or None."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    parts = path.split("/")
    if any(ord(character) < 32 or character in "\\\x7f" for character in path):
        return "has a control character or a backslash"
    if any(part in ("", ".", "..") for part in parts):
        return "does not stay below the model's directory"
    if any(part.startswith(WHITEOUT) for part in parts):
        return f"begins with {WHITEOUT}, which deletes files when an image is unpacked"
    if len(encoded) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return "is too long for a file system"
    return None
