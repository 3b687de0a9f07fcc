"""Parameters of a pipeline: what it takes, and what is refused before anything starts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar_pipelines.parameters import Parameter, check_parameters, parse_parameter, pipeline_parameters

IR: dict[str, Any] = {
    "pipelineInfo": {"name": "p"},
    "root": {
        "inputDefinitions": {
            "parameters": {
                "source": {"parameterType": "STRING", "description": "Where the model is."},
                "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0, "isOptional": True},
                "share": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5, "isOptional": True},
                "flag": {"parameterType": "BOOLEAN", "defaultValue": False, "isOptional": True},
                "items": {"parameterType": "LIST", "defaultValue": [], "isOptional": True},
                "record": {"parameterType": "STRUCT", "defaultValue": {}, "isOptional": True},
            }
        }
    },
}
PARAMETERS = pipeline_parameters(IR)
TAKES = "The pipeline takes source, count, share, flag, items, record."


def test_parameters_are_listed_with_type_default_and_description() -> None:
    assert PARAMETERS["source"] == Parameter("source", "STRING", False, None, "Where the model is.")
    assert PARAMETERS["flag"] == Parameter("flag", "BOOLEAN", True, False, "")


def test_a_pipeline_without_parameters_has_none() -> None:
    assert check_parameters({"pipelineInfo": {"name": "p"}, "root": {}}, {}) == {}


def test_values_of_each_type_are_taken() -> None:
    values = {"source": "a", "count": 4, "share": 1, "flag": True, "items": [1, "a"], "record": {"a": None}}
    assert check_parameters(IR, values) == values


def test_a_whole_number_becomes_an_integer_and_a_tuple_a_list() -> None:
    values = check_parameters(IR, {"source": "a", "count": 4.0, "items": (1, 2)})
    assert repr(values) == "{'source': 'a', 'count': 4, 'items': [1, 2]}"


@pytest.mark.parametrize(
    ("values", "sentence", "hint"),
    [
        ({"source": "a", "sourc": "b"}, "p has no parameter sourc", TAKES),
        ({}, "p needs the parameter source, a string", f"Give it as source=VALUE. {TAKES}"),
        ({"source": 1}, "the parameter source takes a string, not 1", None),
        ({"source": "a", "count": "4"}, "the parameter count takes an integer, not '4'", None),
        ({"source": "a", "count": 4.5}, "the parameter count takes an integer, not 4.5", None),
        ({"source": "a", "count": True}, "the parameter count takes an integer, not true", None),
        ({"source": "a", "count": float("inf")}, "the parameter count takes an integer, not Infinity", None),
        ({"source": "a", "share": float("nan")}, "the parameter share takes a number, not NaN", None),
        ({"source": "a", "flag": 1}, "the parameter flag takes true or false, not 1", None),
        ({"source": "a", "items": "x"}, "the parameter items takes a list, not 'x'", 'as JSON: ["a", "b"]'),
        ({"source": "a", "record": [1]}, "the parameter record takes an object, not [1]", 'as JSON: {"a": 1}'),
        ({"source": "a", "items": [{1}]}, 'the parameter items takes a list, not ["{1}"]', "as JSON"),
        ({"source": None}, "the parameter source takes a string, not null", None),
        ({"source": "a", "count": "x" * 99}, f"the parameter count takes an integer, not '{'x' * 60}…'", None),
    ],
)
def test_a_value_that_cannot_be_right_is_refused(values: dict[str, object], sentence: str, hint: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_parameters(IR, values)
    assert (str(caught.value), caught.value.exit_code) == (sentence, 2)
    assert (hint or "") in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("source", "4", "4"),
        ("source", "", ""),
        ("count", "4", 4),
        ("count", "4.0", 4),
        ("share", "4", 4),
        ("share", "1e-3", 0.001),
        ("flag", "true", True),
        ("items", '["a", 1]', ["a", 1]),
        ("record", '{"a": [1]}', {"a": [1]}),
    ],
)
def test_text_becomes_a_value_of_the_parameters_type(name: str, text: str, value: object) -> None:
    assert repr(parse_parameter(PARAMETERS[name], text)) == repr(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("count", "four"), ("count", "1e400"), ("share", "NaN"), ("flag", "yes"), ("items", "a,b"), ("record", "a")],
)
def test_text_of_another_type_is_refused_with_what_was_given(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_parameter(PARAMETERS[name], text)
    assert str(caught.value).startswith(f"the parameter {name} takes ")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON))
def test_a_list_survives_being_written_and_read(items: list[object]) -> None:
    assert parse_parameter(PARAMETERS["items"], json.dumps(items)) == items


@given(st.text())
def test_a_string_is_taken_as_it_is(text: str) -> None:
    assert parse_parameter(PARAMETERS["source"], text) == text
