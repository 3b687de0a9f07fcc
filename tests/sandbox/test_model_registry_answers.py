"""What clients of the Model Registry must live with, as measured on the real server, and what only a sandbox has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from modelcar_sandbox.model_registry import create_app

BASE = "/api/model_registry/v1"
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    return asker(Client(create_app(tmp_path)))


def asker(client: Client) -> Ask:
    """Status and JSON of the answer to a method, a path, and perhaps a body."""

    def ask(method: str, path: str, body: Any = None, **kwargs: Any) -> tuple[int, Any]:
        if body is not None:
            kwargs["data"] = body if isinstance(body, (bytes, str)) else json.dumps(body)
        answer = client.open(BASE + path, method=method, **kwargs)
        return answer.status_code, json.loads(answer.text) if answer.is_json else answer.text

    return ask


def make(ask: Ask, path: str, **body: Any) -> str:
    status, made = ask("POST", path, body)
    assert status == 201, made
    identifier: str = made["id"]
    return identifier


@pytest.fixture
def version(ask: Ask) -> str:
    """A version in a model, whose id is 1."""
    assert make(ask, "/registered_models", name="m") == "1"
    return make(ask, "/model_versions", name="v", registeredModelId="1")


@pytest.fixture
def service(ask: Ask, version: str) -> str:
    """A service of that model in an environment of its own."""
    environment = make(ask, "/serving_environments", name="env")
    return make(ask, "/inference_services", name="is", registeredModelId="1", servingEnvironmentId=environment)


def test_a_patch_without_a_state_makes_an_archived_model_live(ask: Ask) -> None:
    model = make(ask, "/registered_models", name="m", state="ARCHIVED")
    assert ask("PATCH", f"/registered_models/{model}", {"description": "d"})[1]["state"] == "LIVE"


def test_a_patch_without_a_state_makes_an_archived_version_live(ask: Ask, version: str) -> None:
    assert ask("PATCH", f"/model_versions/{version}", {"state": "ARCHIVED"})[1]["state"] == "ARCHIVED"
    assert ask("PATCH", f"/model_versions/{version}", {"author": "x"})[1]["state"] == "LIVE"


def test_a_patch_without_a_state_deploys_a_service(ask: Ask, service: str) -> None:
    path = f"/inference_services/{service}"
    assert ask("PATCH", path, {"desiredState": "UNDEPLOYED"})[1]["desiredState"] == "UNDEPLOYED"
    assert ask("PATCH", path, {"runtime": "vllm"})[1]["desiredState"] == "DEPLOYED"


def test_a_post_with_an_id_changes_an_artifact_and_keeps_its_state(ask: Ask, version: str) -> None:
    path = f"/model_versions/{version}/artifacts"
    body = {"artifactType": "model-artifact", "state": "LIVE", "name": "a"}
    artifact = make(ask, path, **body)
    other = make(ask, "/model_versions", name="w", registeredModelId="1")
    status, changed = ask(
        "POST",
        f"/model_versions/{other}/artifacts",
        {"artifactType": "model-artifact", "id": artifact, "uri": "u", "name": "ignored"},
    )
    assert (status, changed["state"], changed["uri"], changed["name"]) == (200, "LIVE", "u", "a")
    assert [ask("GET", f"/model_versions/{v}/artifacts")[1]["size"] for v in (version, other)] == [1, 1]


@pytest.mark.parametrize("body", [{"id": "99"}, {"id": "1", "artifactType": "doc-artifact"}, {"id": "x"}])
def test_a_post_with_the_id_of_something_else_is_refused(ask: Ask, version: str, body: dict[str, str]) -> None:
    path = f"/model_versions/{version}/artifacts"
    make(ask, path, artifactType="model-artifact", name="a")
    assert ask("POST", path, {"artifactType": "model-artifact", **body})[0] == 400


def test_artifacts_of_two_types_share_a_name_and_are_then_not_found(ask: Ask, version: str) -> None:
    for kind in ("model-artifact", "doc-artifact"):
        make(ask, f"/model_versions/{version}/artifacts", artifactType=kind, name="a")
    assert ask("GET", f"/model_artifact?name=a&parentResourceId={version}")[0] == 404


def test_artifacts_without_a_version_may_share_a_name(ask: Ask) -> None:
    made = {make(ask, "/artifacts", artifactType="model-artifact", name="a") for _ in range(2)}
    assert made == {"1", "2"}


def test_a_look_up_by_name_takes_wildcards(ask: Ask, version: str) -> None:
    assert ask("GET", f"/model_version?name=_&parentResourceId={version}")[0] == 404
    assert ask("GET", "/model_version?name=_&parentResourceId=1")[1]["id"] == version
    make(ask, "/model_versions", name="w", registeredModelId="1")
    assert ask("GET", "/model_version?name=_&parentResourceId=1")[0] == 404


def test_a_filter_on_servings_is_not_read(ask: Ask, version: str, service: str) -> None:
    path = f"/inference_services/{service}/serves"
    for name in ("one", "two"):
        make(ask, path, name=name, modelVersionId=version, externalId=name)
    assert ask("GET", path, query_string={"filterQuery": 'externalId="one"'})[1]["size"] == 2


def test_environments_keep_their_properties_through_a_patch(ask: Ask) -> None:
    given = {"k": {"metadataType": "MetadataStringValue", "string_value": "1"}}
    environment = make(ask, "/serving_environments", name="e", customProperties=given)
    changed = ask("PATCH", f"/serving_environments/{environment}", {"description": "d"})[1]
    assert (changed["customProperties"], changed["description"]) == (given, "d")


def test_a_service_is_made_in_the_environment_of_the_path(ask: Ask, version: str) -> None:
    environment = make(ask, "/serving_environments", name="env")
    body = {"registeredModelId": "1", "servingEnvironmentId": "999"}
    made = make(ask, f"/serving_environments/{environment}/inference_services", **body)
    assert ask("GET", f"/inference_services/{made}")[1]["servingEnvironmentId"] == environment


def test_a_version_is_made_in_the_model_of_the_path(ask: Ask) -> None:
    path = f"/registered_models/{make(ask, '/registered_models', name='m')}/versions"
    assert ask("POST", path, {"name": "v", "registeredModelId": "77"})[1]["registeredModelId"] == "1"
    status, changed = ask("POST", path, {"id": "2", "name": "v", "registeredModelId": "1", "author": "x"})
    assert (status, changed["id"], changed["author"]) == (201, "2", "x")


def test_a_service_whose_model_is_not_there_is_a_server_error(ask: Ask, service: str) -> None:
    environment = ask("GET", f"/inference_services/{service}")[1]["servingEnvironmentId"]
    lost = make(ask, "/inference_services", name="l", registeredModelId="999", servingEnvironmentId=environment)
    assert ask("GET", f"/inference_services/{lost}/model")[0] == 500
    assert ask("GET", f"/inference_services/{lost}/version")[0] == 404


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ({}, "abc"),
        ({"sortOrder": "DESC"}, "cba"),
        ({"orderBy": "CREATE_TIME", "sortOrder": "DESC"}, "cba"),
        ({"orderBy": "LAST_UPDATE_TIME"}, "bca"),
        ({"orderBy": "BOGUS", "sortOrder": "desc"}, "abc"),
    ],
)
def test_pages_in_every_order_follow_each_other(ask: Ask, order: dict[str, str], names: str) -> None:
    for name in "abc":
        make(ask, "/registered_models", name=name)
    newest = ask("GET", "/registered_models/3")[1]["lastUpdateTimeSinceEpoch"]
    while ask("PATCH", "/registered_models/1", {"owner": "x"})[1]["lastUpdateTimeSinceEpoch"] <= newest:
        pass  # until the clock moves on
    seen, query = "", {"pageSize": "1", **order}
    for _ in names:
        page = ask("GET", "/registered_models", query_string=query)[1]
        seen += "".join(model["name"] for model in page["items"])
        query["nextPageToken"] = page["nextPageToken"]
    assert (seen, query["nextPageToken"]) == (names, "")


@pytest.mark.parametrize("token", ["junk", "MQ==", "YWJjOjE=", "OTk5OTk5OTk5OTk6MQ==", "%", "\u00e9"])
def test_a_page_token_that_is_none_is_refused(ask: Ask, token: str) -> None:
    assert ask("GET", "/registered_models", query_string={"pageSize": "1", "nextPageToken": token})[0] == 400


def test_a_page_size_below_one_gives_everything(ask: Ask) -> None:
    for name in "ab":
        make(ask, "/registered_models", name=name)
    pages = [ask("GET", f"/registered_models?pageSize={size}")[1] for size in ("-1", "0", "")]
    assert [(page["size"], page["pageSize"], page["nextPageToken"]) for page in pages] == [
        (2, -1, ""),
        (2, 0, ""),
        (2, 0, ""),
    ]


NAME = {"name": "m"}
PROPERTY = '{{"name": "m", "customProperties": {{"p": {}}}}}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"\xff",
        b"[" * 100_000,
        b'{"name": "\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": 5}',
        b'{"name": "m"} {}',
        b'{"name": "m", "language": "en"}',
        b'{"name": "m", "state": "BOGUS"}',
        b'{"name": "m", "customProperties": []}',
        b'{"name": "m", "customProperties": {"p": null}}',
        PROPERTY.format('{"string_value": "x"}'),
        PROPERTY.format('{"metadataType": [], "string_value": "x"}'),
        PROPERTY.format('{"metadataType": "MetadataProtoValue", "type": "x", "proto_value": "YQ=="}'),
        PROPERTY.format('{"metadataType": "MetadataIntValue", "int_value": 5}'),
        PROPERTY.format('{"metadataType": "MetadataIntValue", "int_value": "5000000000"}'),
        PROPERTY.format('{"metadataType": "MetadataIntValue"}'),
        PROPERTY.format('{"metadataType": "MetadataDoubleValue", "double_value": 1e999}'),
        PROPERTY.format('{"metadataType": "MetadataDoubleValue", "double_value": NaN}'),
        PROPERTY.format('{"metadataType": "MetadataDoubleValue", "double_value": 1' + "0" * 400 + "}"),
        PROPERTY.format('{"metadataType": "MetadataDoubleValue", "double_value": true}'),
        PROPERTY.format('{"metadataType": "MetadataBoolValue", "bool_value": 1}'),
        PROPERTY.format('{"metadataType": "MetadataStructValue", "struct_value": "@"}'),
        PROPERTY.format('{"metadataType": "MetadataStructValue", "struct_value": "aGVsbG8="}'),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(ask: Ask, body: bytes | str) -> None:
    status, answer = ask("POST", "/registered_models", body)
    assert (status, answer["code"]) == (400, "Bad Request")
    assert ask("GET", "/registered_models")[1]["size"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n" * 256},
        {"name": "m", "externalId": "x" * 256},
        {"name": "m", "customProperties": {"k" * 256: {"metadataType": "MetadataStringValue"}}},
    ],
)
def test_what_the_databases_columns_cannot_hold_is_a_server_error(ask: Ask, body: dict[str, Any]) -> None:
    status, answer = ask("POST", "/registered_models", body)
    assert (status, answer["code"]) == (500, "Internal Server Error")


def test_the_name_of_a_version_is_as_long_as_the_id_before_it_allows(ask: Ask, version: str) -> None:
    made = [
        ask("POST", "/model_versions", {"name": "n" * length, "registeredModelId": "1"})[0] for length in (253, 254)
    ]
    assert made == [201, 500]


def test_every_type_of_property_comes_back(ask: Ask) -> None:
    given = {
        "b": {"metadataType": "MetadataBoolValue", "bool_value": False},
        "d": {"metadataType": "MetadataDoubleValue", "double_value": 0.1},
        "i": {"metadataType": "MetadataIntValue", "int_value": "-7"},
        "s": {"metadataType": "MetadataStringValue", "string_value": "\U0001f600"},
    }
    make(ask, "/registered_models", name="m", customProperties=given)
    assert ask("GET", "/registered_models/1")[1]["customProperties"] == given


@pytest.mark.parametrize("identifier", ["abc", "1.0", "99999999999999", "1" * 5000, "\u0661"])
def test_an_id_that_is_none_is_refused(ask: Ask, identifier: str) -> None:
    assert ask("GET", f"/registered_models/{identifier}")[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/registered_models/1", 405),
        ("DELETE", "/artifacts/1", 405),
        ("PUT", "/registered_models", 405),
        ("PATCH", "/inference_services/1/serves/1", 404),
        ("GET", "/registered_models/", 404),
        ("GET", "//registered_models", 404),
        ("GET", "/experiments", 404),
        ("GET", "/../../../etc/passwd", 404),
    ],
)
def test_paths_and_methods_that_are_none(ask: Ask, method: str, path: str, status: int) -> None:
    assert ask(method, path)[0] == status


def test_health_is_ok_without_a_token(tmp_path: Path) -> None:
    answer = Client(create_app(tmp_path, token="secret")).get("/readyz/health")
    assert (answer.status_code, answer.text) == (200, "OK")


@pytest.mark.parametrize("header", [None, "secret", "Bearer", "Bearer Secret", "Basic secret", "Bearer s\u00e9cret"])
def test_without_the_token_everything_else_is_refused(tmp_path: Path, header: str | None) -> None:
    ask = asker(Client(create_app(tmp_path, token="secret")))
    status, answer = ask("GET", "/registered_models", headers={} if header is None else {"Authorization": header})
    assert (status, answer["code"]) == (401, "Unauthorized")
    assert "secret" not in answer["message"]


def test_with_the_token_all_is_as_without_one(tmp_path: Path) -> None:
    ask = asker(Client(create_app(tmp_path, token="secret")))
    assert ask("GET", "/registered_models", headers={"Authorization": "Bearer secret"})[0] == 200


def test_something_else_in_the_place_of_the_database_is_an_error(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "model-registry.sqlite").write_text("no database, but long enough to look like a broken one" * 20)
    with pytest.raises(sqlite3.DatabaseError):
        create_app(tmp_path)
