"""Text is compared as the real server's database does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar_sandbox.collation import fold, number, resembles

LETTERS = st.text(alphabet="abAB%_\\ ", max_size=8)


@pytest.mark.parametrize(
    ("one", "two"),
    [("Qwen", "qwen"), ("é", "E"), ("name  ", "name"), ("Ångström", "angstrom"), ("Ω", "ω"), ("Й", "й")],
)
def test_case_accents_and_trailing_blanks_do_not_count(one: str, two: str) -> None:
    assert fold(one) == fold(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [(" name", "name"), ("name\t", "name"), ("straße", "strasse"), ("각", "가"), ("a-b", "a_b")],
)
def test_everything_else_counts(one: str, two: str) -> None:
    assert fold(one) != fold(two)


@pytest.mark.parametrize(
    ("text", "pattern", "holds"),
    [
        ("qwen-7b", "qwen%", True),
        ("qwen-7b", "QWEN-_B", True),
        ("qwen", "qwen ", False),
        ("qwen ", "qwen", False),
        ("50%", r"50\%", True),
        ("500", r"50\%", False),
        ("", "%", True),
        ("", "_", False),
        ("a\\", "a\\", True),
        ("aXbXc", "%x%x%", True),
    ],
)
def test_like_takes_wildcards_and_counts_trailing_blanks(text: str, pattern: str, holds: bool) -> None:
    assert resembles(text, pattern) is holds


@given(LETTERS, LETTERS)
def test_like_is_what_its_regular_expression_says(text: str, pattern: str) -> None:
    parts = re.findall(r"\\?.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    assert resembles(text, pattern) == bool(re.fullmatch(expression, text, re.DOTALL | re.IGNORECASE))


@given(st.text(max_size=30))
def test_a_fold_has_one_character_for_each_before_the_trailing_blanks(text: str) -> None:
    assert fold(text + "  ") == fold(text)
    assert len(fold(text)) == len(text.rstrip(" "))


@pytest.mark.parametrize(
    ("value", "found"), [("5", 5), ("5.5e1x", 55), (" -3", -3), ("abc", 0), ("", 0), (True, 1), (".5", 0.5)]
)
def test_a_text_is_worth_the_number_it_begins_with(value: object, found: float) -> None:
    assert number(value) == found


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not resembles("a" * 2000, "%a" * 500 + "b")
