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


@pytest.mark.parametrize(
    ("composed", "decomposed"),
    [
        ("caf\u00e9.json", "cafe\u0301.json"),
        ("\u00e9t\u00e9/a.json", "e\u0301t\u00e9/b.json"),
        ("\uac00", "\u1100\u1161"),
        ("\u212b", "\u00c5"),
    ],
)
def test_two_names_that_are_one_when_composed_are_refused(composed: str, decomposed: str) -> None:
    check_names([composed])
    check_names([decomposed])
    with pytest.raises(UnsafeContent, match="differ only in how their characters are composed"):
        check_names(["config.json", composed, decomposed])


def test_names_that_look_alike_or_differ_in_case_pass() -> None:
    check_names(["README.md", "readme.md", "a.txt", "\u0430.txt", "\ufb01.txt", "fi.txt", "e\u0301/a", "e\u0301/b"])
