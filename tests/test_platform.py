from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import InvalidReference
from modelcar.reference import Platform

PART = st.from_regex(r"[a-z0-9][a-z0-9.]*", fullmatch=True)


def test_a_platform_has_an_os_an_architecture_and_no_variant() -> None:
    assert Platform.parse("linux/amd64") == Platform("linux", "amd64", None)


def test_a_platform_may_have_a_variant() -> None:
    assert Platform.parse("linux/arm64/v8") == Platform("linux", "arm64", "v8")


@settings(deadline=None)
@given(st.lists(PART, min_size=2, max_size=3).map(tuple))
def test_a_platform_is_written_as_it_was_read(parts: tuple[str, ...]) -> None:
    text = "/".join(parts)
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "linux", "linux/", "/amd64", "linux/amd64/", "linux/arm64/v8/x", "Linux/amd64", "linux /amd64", "a\n/b"],
)
def test_anything_else_is_not_a_platform(text: str) -> None:
    with pytest.raises(InvalidReference, match="is not a platform") as caught:
        Platform.parse(text)
    assert caught.value.hint == "Write os/architecture, for instance linux/amd64."


@pytest.mark.parametrize(("text", "meant"), [("linux/x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64")])
def test_the_kernels_name_of_an_architecture_is_answered_with_gos(text: str, meant: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Platform.parse(text)
    assert caught.value.hint == f"Write {meant}."
