"""Conditions as the compiler writes them, decided on any value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar_pipelines.condition import Condition

A, B = "inputs.parameter_values['a']", "inputs.parameter_values['pipelinechannel--b-Output']"


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        (f"{A} == true", [True], True),
        (f"{A} == true", [False], False),
        (f"{A} != false", [True], True),
        (f"int({A}) > 3", [4.0], True),
        (f"int({A}) > 3", [3.0], False),
        (f"double({A}) <= 2.5", [2.5], True),
        (f"{A} >= -1.5e-3", [0.0], True),
        (f"{A} == ''", [""], True),
        (f"{A} == 'a && b'", ["a && b"], True),
        (f"'true' == {A}", ["true"], True),
        (f"{A} == {B}", ["x", "x"], True),
        (f"!({A} == 'x') && {B} == 'y'", ["z", "y"], True),
        (f"!({A} == 'x') && {B} == 'y'", ["x", "y"], False),
        (f"!({A} == 'x') && !({A} == 'y')", ["z", "z"], True),
        (f"{A} == 'x' || {A} == 'y'", ["y", "y"], True),
    ],
)
def test_a_condition_is_decided(text: str, values: list[object], holds: bool) -> None:
    assert Condition(text).holds(values) is holds


def test_it_names_the_inputs_that_it_reads() -> None:
    assert Condition(f"{A} == 1 && {B} == {A}").inputs == ["a", "pipelinechannel--b-Output", "a"]


@given(st.text(), st.text())
def test_strings_are_equal_when_they_are_whatever_is_in_them(one: str, other: str) -> None:
    assert Condition(f"{A} == {B}").holds([one, other]) is (one == other)


@given(st.text(alphabet=st.characters(exclude_characters="'", exclude_categories=["Cs"])), st.text())
def test_a_literal_without_quotes_is_compared_as_it_stands(literal: str, value: str) -> None:
    condition = Condition(f"{A} == '{literal}'")
    assert condition.holds([value]) is (value == literal)
    assert condition.holds([literal]) is True


@pytest.mark.parametrize(
    "text",
    [
        f"{A} == 'it's'",
        f"{A} + 1 == 2",
        f"size({A}) == 2",
        f"{A} ==",
        "1 < 2 < 3",
        "__import__('os')",
        f"!{A} == true",
        "",
    ],
)
def test_what_the_compiler_never_writes_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Condition(text)
    assert str(caught.value) == f"the condition {text!r} cannot be read"


def test_values_that_cannot_be_compared_are_told_and_not_false() -> None:
    with pytest.raises(InvalidInput, match="cannot be decided"):
        Condition(f"{A} < 3").holds(["two"])
