from __future__ import annotations

import pytest

from modelcar.errors import UnsafeContent
from modelcar.sources.names import check_names


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("../x", "does not stay below"),
        ("a/./b", "does not stay below"),
        ("/etc/passwd", "does not stay below"),
        ("a//b", "does not stay below"),
        ("", "does not stay below"),
        ("a/.wh.b", "deletes files"),
        (".wh..wh..opq/x", "deletes files"),
        ("caf\udce9", "is not UTF-8"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\\b", "backslash"),
        ("\u00e9" * 128, "too long"),
        ("/".join(["x" * 200] * 20), "too long"),
    ],
)
def test_a_name_that_no_image_can_hold_is_refused(path: str, fault: str) -> None:
    with pytest.raises(UnsafeContent, match=fault):
        check_names(["config.json", path])


def test_ordinary_names_pass() -> None:
    check_names(["a b.txt", "\u6a21\u578b/config.json", "..data", ".whatever", "x" * 255, "sub/.hidden"])


def test_a_file_cannot_be_a_directory_too() -> None:
    with pytest.raises(UnsafeContent, match=r"^'a/b' is a file, and 'a/b/c' needs a directory of that name$"):
        check_names(["a/b", "a/b/c"])


def test_a_path_cannot_be_there_twice() -> None:
    with pytest.raises(UnsafeContent, match=r"'a' is listed twice"):
        check_names(["a", "a"])
