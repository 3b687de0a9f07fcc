"""Values travel as texts that neither Tekton nor the kubelet changes."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar_tekton.values import LONGEST_BYTES, decode, encode
from tekton.hostile import HOSTILE

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_string_arrives_as_it_was(value: str) -> None:
    assert decode(encode(value, "x"), "STRING", "x") == value


@given(st.text())
def test_any_string_arrives_as_it_was_and_nothing_on_the_way_has_anything_to_replace(value: str) -> None:
    text = encode(value, "x")
    assert "$" not in text
    assert decode(text, "STRING", "x") == value


@given(st.lists(JSON, max_size=4))
def test_any_list_arrives_as_it_was(value: list[Any]) -> None:
    text = encode(value, "x")
    assert "$" not in text
    assert decode(text, "LIST", "x") == value


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_any_object_arrives_as_it_was(value: dict[str, Any]) -> None:
    assert decode(encode(value, "x"), "STRUCT", "x") == value


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_arrives_also_when_the_pipeline_has_it_as_a_fraction(value: int) -> None:
    assert encode(float(value), "x") == encode(value, "x") == str(value)
    assert decode(encode(value, "x"), "NUMBER_INTEGER", "x") == value


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (0.5, "0.5"), ([], "[]")])
def test_what_is_no_string_is_json(value: object, text: str) -> None:
    assert encode(value, "x") == text


@pytest.mark.parametrize("value", ["hf://org/model", "kind: PromotionSpec\nmodel: {}\n", "", "käse"])
def test_a_string_without_anything_special_travels_as_people_write_it(value: str) -> None:
    assert encode(value, "x") == value


def test_what_was_typed_into_a_console_is_refused_where_it_has_a_dollar() -> None:
    with pytest.raises(InvalidInput, match=re.escape("the input text holds a $, and Tekton and Kubernetes replace")):
        decode("costs $5", "STRING", "the input text")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("many", "NUMBER_INTEGER"),
        ("1.5", "NUMBER_INTEGER"),
        ("true", "NUMBER_INTEGER"),
        ("1", "BOOLEAN"),
        ("yes", "BOOLEAN"),
        ("{}", "LIST"),
        ("[]", "STRUCT"),
        ("", "STRUCT"),
        ("NaN", "NUMBER_DOUBLE"),
        ("1e999", "NUMBER_DOUBLE"),
        ("[-Infinity]", "LIST"),
        ("[" * 100_000, "LIST"),
    ],
)
def test_a_text_that_is_no_value_of_its_type_is_refused_by_name(text: str, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"the input many is '.*', and no {kind}"):
        decode(text, kind, "the input many")


@pytest.mark.parametrize("value", ["x" * (LONGEST_BYTES + 1), "$" * (LONGEST_BYTES // 6 + 1)])
def test_a_text_that_no_step_could_be_given_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidInput, match=r"the parameter spec is \d+ bytes as text; 120000 can be handed"):
        encode(value, "the parameter spec")


def test_the_longest_text_fits_into_a_variable_of_linux() -> None:
    assert len(f"input_{'n' * 64}={encode('x' * LONGEST_BYTES, 'x')}".encode()) < 128 * 1024


def test_half_a_character_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="the parameter spec holds a character that is none"):
        encode("\ud800", "the parameter spec")


def _nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": math.nan}, _nest(100_000), {"a": object()}])
def test_what_json_cannot_say_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInput, match="the output score is no value of JSON: "):
        encode(value, "the output score")


def test_a_json_string_that_somebody_else_wrote_is_read_as_one() -> None:
    assert decode(json.dumps("costs €5"), "STRING", "x") == "costs €5"
