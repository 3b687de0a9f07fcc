"""`filterQuery`: what it finds and what it refuses, as measured on the real server."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.model_registry.filter_query import All, Comparison, parse_filter
from modelcar_sandbox.model_registry.filter_query import Any as AnyOf
from modelcar_sandbox.model_registry.refusal import Refusal

BASE = "/api/model_registry/v1"


def text(value: str) -> dict[str, Any]:
    return {"metadataType": "MetadataStringValue", "string_value": value}


def whole(value: str) -> dict[str, Any]:
    return {"metadataType": "MetadataIntValue", "int_value": value}


def double(value: float) -> dict[str, Any]:
    return {"metadataType": "MetadataDoubleValue", "double_value": value}


def boolean(value: bool) -> dict[str, Any]:
    return {"metadataType": "MetadataBoolValue", "bool_value": value}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    made = Client(create_app(tmp_path_factory.mktemp("registry")))
    properties = {"k": text("Zed"), "i": whole("5"), "d": double(5), "b": boolean(True), "a.b": text("dot")}
    others = {"k": text("other"), "i": whole("7"), "d": double(0.5), "b": boolean(False)}
    models = [
        {
            "name": "run-m",
            "owner": "Me",
            "description": "desc",
            "customProperties": {**properties, "owner": text("cu")},
        },
        {"name": "run-n", "customProperties": others},
    ]
    for model in models:
        made.post(f"{BASE}/registered_models", json=model)
    for version in (
        {"name": "v1", "registeredModelId": "1", "author": "x", "externalId": "run-v"},
        {"name": "v2", "registeredModelId": "1"},
    ):
        made.post(f"{BASE}/model_versions", json=version)
    for artifact in ({"name": "a", "state": "LIVE", "uri": "oci://r/x", "modelFormatName": "vLLM"}, {"name": "b"}):
        made.post(f"{BASE}/model_versions/3/artifacts", json={"artifactType": "model-artifact", **artifact})
    return made


def members(answer: TestResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.text)
    return body


def found(client: Client, path: str, query: str) -> list[str]:
    answer = client.get(f"{BASE}/{path}", query_string={"filterQuery": query})
    assert answer.status_code == 200, answer.text
    return [item["name"][-1] for item in members(answer)["items"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('k="zed"', "m"),
        ('k="Zed "', "m"),
        ("k='zéd'", "m"),
        ('K="zed"', "m"),
        ('k!="zed"', "n"),
        ('k<>"zed"', "m"),
        ('k LIKE "z%"', "m"),
        ('k LIKE "_ed"', "m"),
        ('k LIKE "zed "', ""),
        ('k ILIKE "Z%"', "m"),
        ('k>"p"', "m"),
        ('k IN ("zed","other")', "mn"),
        ("k IN ()", ""),
        ("i=5", "m"),
        ("i=+5", "m"),
        ('i="5"', ""),
        ("i=5.0", ""),
        ("i>5", "n"),
        ("i>=5", "mn"),
        ("i<6", "m"),
        ("i.int_value=5", "m"),
        ("i.double_value=5", ""),
        ("d=5", "m"),
        ("d>0.4", "mn"),
        ("b=true", "m"),
        ("b=FALSE", "n"),
        ("b=1", ""),
        ("b.bool_value=1", "m"),
        ('`a.b`="dot"', "m"),
        ('a.b="dot"', "m"),
        ('a.b.string_value="dot"', "m"),
        ('owner="me"', "m"),
        ('owner="cu"', "m"),
        ('description="desc"', "m"),
        ('state="live"', "mn"),
        ("id=1", "m"),
        ('id="1"', "m"),
        ('externalId!="x"', ""),
        ('nothere!="x"', ""),
        ('customProperties.k="zed"', ""),
        ('name="RUN-M"', "m"),
        ('name!="run-m"', "n"),
        ('name LIKE "%-n"', "n"),
        ("lastUpdateTimeSinceEpoch>0", "mn"),
        ('k="zed" AND k="other"', ""),
        ('k="zed" OR k="other"', "mn"),
        ('(k="zed" OR k="other") AND i=7', "n"),
        ('k="zed" OR k="other" AND i=5', "m"),
        ('k = "zed" -- and no more', "m"),
        ("  ", "mn"),
    ],
)
def test_models_found(client: Client, query: str, names: str) -> None:
    assert "".join(found(client, "registered_models", query)) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('name="v1"', "1"),
        ('name="V1"', "1"),
        ('name="v%"', "12"),
        ('name LIKE "%1"', "1"),
        ('name LIKE "1"', ""),
        ('name!="v1"', "12"),
        ('name IN ("v1")', ""),
        ('name LIKE "1:%"', "12"),
        ("registeredModelId=1", "12"),
        ('registeredModelId="1"', "12"),
        ("registeredModelId!=1", ""),
        ('author="X"', "1"),
        ('externalId="run-v"', "1"),
    ],
)
def test_names_of_versions_are_compared_with_their_model_before_them(client: Client, query: str, names: str) -> None:
    assert "".join(found(client, "model_versions", query)) == names
    assert "".join(found(client, "registered_models/1/versions", query)) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('name="a"', "a"),
        ('state="LIVE"', "a"),
        ('state="live"', ""),
        ("state=2", "a"),
        ('uri="oci://r/x"', "a"),
        ('modelFormatName="vllm"', "a"),
    ],
)
def test_artifacts_found(client: Client, query: str, names: str) -> None:
    assert "".join(found(client, "artifacts", query)) == names
    assert "".join(found(client, "model_versions/3/artifacts", query)) == names


def test_lists_that_do_not_read_filters_give_back_everything(client: Client) -> None:
    assert found(client, "model_artifacts", "name=(") == ["a", "b"]
    assert found(client, "serving_environments", "name=(") == []
    assert found(client, "inference_services/9/serves", "name=(") == []


@pytest.mark.parametrize(
    ("query", "column"),
    [
        ("bogus(", 6),
        ("k=zed", 3),
        ('k=="zed"', 3),
        ("k=null", 3),
        ("k IS NULL", 3),
        ('NOT k="zed"', 5),
        ('k like "z"', 3),
        ('k="a" and i=5', 7),
        ('k="a" k="b"', 7),
        ('k="a" AND', 10),
        ('(k="a"', 7),
        ('`k="a"', 1),
        ("modelcar.dev/key=1", 13),
        ('`a.b`.string_value="dot"', 6),
        ('k IN ("a" "b")', 11),
        ("a.=1", 3),
        ("i=" + "1" * 5000, 3),
        ("9=9", 1),
    ],
)
def test_what_does_not_parse_is_refused_with_its_column(client: Client, query: str, column: int) -> None:
    answer = client.get(f"{BASE}/model_versions", query_string={"filterQuery": query})
    assert (answer.status_code, members(answer)["code"]) == (400, "Bad Request")
    assert f" 1:{column}: " in members(answer)["message"]


def test_parentheses_within_each_other_have_a_limit() -> None:
    with pytest.raises(Refusal, match="more than 100 parentheses"):
        parse_filter("(" * 10_000)


def test_and_binds_closer_than_or() -> None:
    one, two, three = (Comparison(name, None, "=", 1) for name in "abc")
    assert parse_filter("a=1 OR b=1 AND c=1") == AnyOf((one, All((two, three))))


def test_quotes_within_texts_are_escaped() -> None:
    assert parse_filter(r'k="say \"hi\" \\ "') == Comparison("k", None, "=", 'say "hi" \\ ')


@given(st.one_of(st.text(max_size=60), st.text(alphabet='k=<>!"()AND OR.5`\\\\', max_size=40)))
def test_any_text_parses_or_is_refused(query: str) -> None:
    with suppress(Refusal):
        parse_filter(query)


@given(st.text(max_size=40))
def test_a_value_written_with_escapes_is_read_back(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_filter(f'k="{escaped}"') == Comparison("k", None, "=", value)
