"""What pipeline servers answer to odd requests, and their lists: the sandbox's and the real one, by the same tests."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from kfp_server import BASE, SPEC, Api, filter_by, serve

NONE = "00000000-0000-0000-0000-000000000000"
CRON = {"cron_schedule": {"cron": "0 0 2 * * *"}}


@dataclass
class Place:
    """A server with a pipeline, an experiment and three disabled recurring runs of ours."""

    api: Api
    run: str
    pipeline: str = ""
    version: str = ""
    experiment: str = ""

    def fill(self) -> None:
        self.pipeline = self.api.pipeline(f"{self.run}-p")
        (version,) = self.api.get(f"/pipelines/{self.pipeline}/versions")["pipeline_versions"]
        self.version = version["pipeline_version_id"]
        self.experiment = self.api.post("/experiments", {"display_name": f"{self.run}-e"})["experiment_id"]
        for name in ("b", "a", "C"):
            self.api.post("/recurringruns", self.job(display_name=f"{self.run}-{name}"))

    def job(self, **members: Any) -> dict[str, Any]:
        reference = {"pipeline_id": self.pipeline, "pipeline_version_id": self.version}
        return {
            "display_name": f"{self.run}-j",
            "experiment_id": self.experiment,
            "pipeline_version_reference": reference,
            "max_concurrency": "1",
            "trigger": CRON,
            **members,
        }

    def jobs(self, **query: str) -> Any:
        return self.api.get("/recurringruns", experiment_id=self.experiment, **query)

    def names(self, **query: str) -> list[str]:
        return [one["display_name"].removeprefix(f"{self.run}-") for one in self.jobs(**query).get("recurringRuns", [])]

    def clear(self) -> None:
        for job in self.jobs(page_size="200").get("recurringRuns", []):
            self.api.send("DELETE", f"/recurringruns/{job['recurring_run_id']}")
        for run in self.api.get("/runs", experiment_id=self.experiment).get("runs", []):
            self.api.send("DELETE", f"/runs/{run['run_id']}")
        self.api.send("DELETE", f"/pipelines/{self.pipeline}", cascade="true")
        self.api.send("DELETE", f"/experiments/{self.experiment}")


@pytest.fixture(scope="module", params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    run = f"run-{uuid.uuid4().hex[:10]}"
    if request.param == "sandbox":
        with serve(tmp_path_factory.mktemp("kfp")) as (_, api):
            place = Place(api, run)
            place.fill()
            yield place
        return
    endpoint = os.environ.get("REAL_KFP_ENDPOINT")
    if not endpoint:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    place = Place(Api(endpoint), run)
    try:
        place.fill()
        yield place
    finally:
        place.clear()
        place.api.close()


def outcome(answer: requests.Response) -> tuple[int, Any, bool]:
    """Status, gRPC code, and whether the body has details."""
    body = answer.json()
    return answer.status_code, body.get("code"), "details" in body


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/nothing", {}, (404, 5, False)),
        ("PUT", "/runs", {}, (501, 12, False)),
        ("DELETE", "/runs", {}, (501, 12, False)),
        ("PATCH", f"/recurringruns/{NONE}", {}, (501, 12, False)),
        ("GET", f"/experiments/{NONE}", {}, (404, 5, True)),
        ("DELETE", f"/experiments/{NONE}", {}, (404, 5, True)),
        ("GET", f"/pipelines/{NONE}/versions", {}, (404, 5, True)),
        ("DELETE", f"/pipelines/{NONE}", {}, (404, 5, True)),
        ("DELETE", f"/pipelines/{NONE}/versions/{NONE}", {}, (404, 5, True)),
        ("DELETE", f"/runs/{NONE}", {}, (404, 5, True)),
        ("POST", f"/runs/{NONE}:archive", {}, (404, 5, True)),
        ("POST", f"/runs/{NONE}:unarchive", {}, (404, 5, True)),
        ("POST", f"/recurringruns/{NONE}:enable", {}, (404, 5, True)),
        ("POST", f"/recurringruns/{NONE}:disable", {}, (404, 5, True)),
        ("GET", "/runs", {"experiment_id": NONE}, (404, 5, True)),
        ("GET", "/runs", {"page_size": "-1"}, (400, 3, True)),
        ("GET", "/runs", {"page_size": "x"}, (400, 3, False)),
        ("GET", "/runs", {"page_token": "zzz"}, (400, 3, True)),
        ("GET", "/runs", {"page_token": "e30x"}, (400, 3, True)),
        ("GET", "/runs", {"sort_by": "bogus"}, (400, 3, True)),
        ("GET", "/runs", {"sort_by": "name up"}, (400, 3, True)),
        ("GET", "/runs", {"sort_by": "name asc desc"}, (400, 3, True)),
        ("GET", "/runs", {"filter": "bogus"}, (400, 3, True)),
        ("GET", "/runs", {"filter": "[]"}, (400, 3, True)),
        ("GET", "/runs", {"filter": filter_by("LIKE", "display_name", "x")}, (400, 3, True)),
        ("GET", "/runs", {"filter": filter_by("IN", "display_name", "x")}, (400, 3, True)),
        ("GET", "/runs", {"filter": filter_by("EQUALS", "bogus", "x")}, (400, 3, True)),
    ],
)
def test_what_cannot_be_asked_is_refused(
    place: Place, method: str, path: str, query: dict[str, str], expected: tuple[int, Any, bool]
) -> None:
    assert outcome(place.api.send(method, path, {} if method in {"PUT", "PATCH"} else None, **query)) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"display_name": ""}, (500, 13, True)),
        ({"experiment_id": NONE}, (404, 5, True)),
        ({"pipeline_version_reference": {"pipeline_id": NONE}}, (404, 5, True)),
        ({"pipeline_version_reference": {"pipeline_version_id": NONE}}, (500, 13, True)),
        ({"max_concurrency": None}, (400, 3, True)),
        ({"max_concurrency": "many"}, (400, 3, False)),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, (400, 3, True)),
        ({"trigger": {"cron_schedule": {"cron": "0 0 2 * *  * *"}}}, (400, 3, True)),
        ({"trigger": {"cron_schedule": {}}}, (400, 3, True)),
        ({"trigger": {"periodic_schedule": {}}}, (400, 3, True)),
        ({"trigger": {"periodic_schedule": {"interval_second": "-5"}}}, (400, 3, True)),
        ({"trigger": []}, (400, 3, False)),
        ({"trigger": {"cron_schedule": {"cron": "0 0 2 * * *", "start_time": "soon"}}}, (400, 3, False)),
        ({"runtime_config": {"parameters": {"count": "many"}}}, (400, 3, True)),
        ({"bogus": 1}, (400, 3, False)),
    ],
)
def test_a_recurring_run_that_cannot_be_is_refused(
    place: Place, members: dict[str, Any], expected: tuple[int, Any, bool]
) -> None:
    assert outcome(place.api.send("POST", "/recurringruns", place.job(**members))) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"pipeline_spec": {}}, (500, 13, True)),
        ({"pipeline_spec": {"hello": 1}}, (500, 13, True)),
        ({"pipeline_version_reference": {"pipeline_version_id": NONE}}, (500, 13, True)),
        ({"runtime_config": {"parameters": {"count": True}}}, (400, 3, True)),
        ({"runtime_config": {"parameters": {"do": ["x"]}}}, (400, 3, True)),
        ({"runtime_config": {"parameters": {"bogus": "x"}}}, (400, 3, True)),
        ({"runtime_config": []}, (400, 3, False)),
        ({"runtime_config": {"parameters": "x"}}, (400, 3, False)),
        ({"pipeline_version_reference": "x"}, (400, 3, False)),
        ({"display_name": 7}, (400, 3, False)),
        ({"bogus": 1}, (400, 3, False)),
    ],
)
def test_a_run_that_cannot_be_is_refused(
    place: Place, members: dict[str, Any], expected: tuple[int, Any, bool]
) -> None:
    reference = {"pipeline_id": place.pipeline}
    body = {"display_name": "r", "experiment_id": place.experiment, "pipeline_version_reference": reference, **members}
    if "pipeline_spec" in members:
        del body["pipeline_version_reference"]
    assert outcome(place.api.send("POST", "/runs", body)) == expected


def test_a_run_of_a_version_of_another_pipeline_is_refused(place: Place) -> None:
    other = place.api.pipeline(f"{place.run}-other")
    reference = {"pipeline_id": other, "pipeline_version_id": place.version}
    body = {"display_name": "r", "experiment_id": place.experiment, "pipeline_version_reference": reference}
    assert outcome(place.api.send("POST", "/runs", body)) == (500, 13, True)
    assert place.api.send("DELETE", f"/pipelines/{other}", cascade="true").json() == {}


@pytest.mark.parametrize("text", ["nonsense", "[]", '"text"'])
def test_a_body_that_is_no_object_is_refused(place: Place, text: str) -> None:
    answer = requests.post(place.api.url + BASE + "/runs", data=text, timeout=60)
    assert outcome(answer) == (400, 3, False)


def test_outside_its_interface_there_is_nothing(place: Place) -> None:
    answer = requests.get(place.api.url + "/nothing", timeout=60)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


def test_the_sandbox_says_where_a_runs_link_leads_that_it_has_no_pages(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        answer = requests.get(f"{api.url}/#/runs/details/{NONE}", timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "modelcar pipeline status RUN shows" in answer.text


def test_an_upload_without_a_file_is_refused_in_the_uploads_words(place: Place) -> None:
    answer = place.api.send("POST", "/pipelines/upload", name="x")
    assert (answer.status_code, set(answer.json())) == (400, {"error_message", "error_details"})


def test_a_name_that_is_too_long_is_refused_in_plain_text(place: Place) -> None:
    answer = place.api.upload("n" * 129)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "spec",
    [
        SPEC.replace("schemaVersion: 2.1.0", "schemaVersion: 2.0.0"),
        SPEC.replace("hello-pipe", '""'),
        SPEC + "---\n" + SPEC,
        "a: [",
    ],
)
def test_a_file_that_is_no_pipeline_of_this_schema_is_refused(place: Place, spec: str) -> None:
    answer = place.api.upload("never", spec)
    assert (answer.status_code, set(answer.json())) == (400, {"error_message", "error_details"})


def test_a_pipeline_is_named_after_its_file_when_nothing_else_is_said(place: Place) -> None:
    name = f"{place.run}-file"
    files = {"uploadfile": (f"{name}.yaml", SPEC)}
    made = requests.post(f"{place.api.url}{BASE}/pipelines/upload", files=files, timeout=60).json()
    place.api.send("DELETE", f"/pipelines/{made['pipeline_id']}", cascade="true")
    assert made["display_name"].startswith(name)


def test_experiments_of_one_name_in_another_case_are_the_same(place: Place) -> None:
    answer = place.api.send("POST", "/experiments", {"display_name": f"{place.run}-E"})
    assert outcome(answer) == (409, 6, True)
    assert outcome(place.api.send("POST", "/experiments", {})) == (500, 13, True)


def test_a_list_is_sorted_without_case_both_ways(place: Place) -> None:
    assert place.names(sort_by="display_name") == ["a", "b", "C"]
    assert place.names(sort_by="name desc") == ["C", "b", "a"]


def test_pages_follow_each_other_and_know_the_order(place: Place) -> None:
    first = place.jobs(sort_by="name desc", page_size="2")
    token = first["next_page_token"]
    assert (len(first["recurringRuns"]), first["total_size"]) == (2, 3)
    rest = place.jobs(page_token=token, page_size="2")
    assert [one["display_name"][-1] for one in rest["recurringRuns"]] == ["a"]
    assert "next_page_token" not in rest
    other = place.api.send("GET", "/recurringruns", page_token=token, sort_by="name")
    assert outcome(other) == (400, 3, True)


@pytest.mark.parametrize(
    ("operation", "value", "expected"),
    [
        ("EQUALS", "{run}-C", ["C"]),
        ("EQUALS", "{run}-c", ["C"]),
        (1, "{run}-a", ["a"]),
        ("NOT_EQUALS", "{run}-a", ["b", "C"]),
        ("IS_SUBSTRING", "{tail}-c", ["C"]),
        ("GREATER_THAN", "{run}-a", ["b", "C"]),
        ("GREATER_THAN_EQUALS", "{run}-b", ["b", "C"]),
        ("LESS_THAN", "{run}-b", ["a"]),
        ("LESS_THAN_EQUALS", "{run}-b", ["a", "b"]),
    ],
)
def test_a_list_is_filtered_by_text(place: Place, operation: str, value: str, expected: list[str]) -> None:
    given = filter_by(operation, "display_name", value.format(run=place.run, tail=place.run[-5:]))
    assert place.names(sort_by="display_name", filter=given) == expected


@pytest.mark.parametrize(
    ("predicates", "expected"),
    [
        ([{"operation": "IN", "key": "name", "string_values": {"values": ["{run}-a", "{run}-c"]}}], ["a", "C"]),
        ([{"operation": "GREATER_THAN", "key": "created_at", "timestamp_value": "2020-01-01T00:00:00Z"}], [*"abC"]),
        ([{"operation": "LESS_THAN", "key": "created_at", "long_value": "1500000000"}], []),
        ([{"operation": "LESS_THAN", "key": "created_at", "intValue": 1500000000}], []),
        (
            [
                {"operation": "IS_SUBSTRING", "key": "name", "stringValue": "{run}"},
                {"operation": "NOT_EQUALS", "key": "name", "stringValue": "{run}-b"},
            ],
            ["a", "C"],
        ),
    ],
)
def test_all_conditions_of_a_filter_must_hold(place: Place, predicates: list[Any], expected: list[str]) -> None:
    given = json.dumps({"predicates": predicates}).replace("{run}", place.run)
    assert place.names(sort_by="display_name", filter=given) == expected


@pytest.mark.parametrize("path", ["/recurringruns", "/experiments", "/pipelines"])
def test_a_namespace_is_ignored_where_there_is_one_user(place: Place, path: str) -> None:
    mine = filter_by("IS_SUBSTRING", "display_name", place.run)
    assert place.api.get(path, namespace="another", filter=mine) == place.api.get(path, filter=mine) != {}


@pytest.mark.parametrize("verb", ["archive", "unarchive"])
def test_an_experiment_that_is_not_there_can_be_archived(place: Place, verb: str) -> None:
    assert place.api.post(f"/experiments/{NONE}:{verb}") == {}


def test_a_name_that_looks_like_a_time_is_sorted_as_a_name(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        for name in ("b", "2026-11-25T00:00:00Z"):
            api.post("/experiments", {"display_name": name})
        names = [one["display_name"] for one in api.get("/experiments", sort_by="name")["experiments"]]
    assert names == ["2026-11-25T00:00:00Z", "b", "Default"]


def test_without_a_page_size_a_list_has_twenty(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        for number in range(21):
            api.post("/experiments", {"display_name": f"e{number}"})
        first = api.get("/experiments")
        assert (len(first["experiments"]), first["total_size"]) == (20, 22)
        assert len(api.get("/experiments", page_token=first["next_page_token"])["experiments"]) == 2
        assert len(api.get("/experiments", page_size="500")["experiments"]) == 22


def test_the_default_experiment_takes_what_names_none_and_stays(place: Place) -> None:
    defaults = place.api.get("/experiments", filter=filter_by("EQUALS", "display_name", "Default"))
    (default,) = defaults["experiments"]
    job = place.api.post("/recurringruns", place.job(experiment_id=""))
    assert job["experiment_id"] == default["experiment_id"]
    place.api.send("DELETE", f"/recurringruns/{job['recurring_run_id']}")
    refused = place.api.send("DELETE", f"/experiments/{default['experiment_id']}")
    assert outcome(refused) == (409, 10, True)


def test_of_versions_of_one_second_the_one_with_the_highest_id_is_latest(place: Place) -> None:
    pipeline = place.api.pipeline(f"{place.run}-many")
    for number in range(4):
        place.api.upload(f"v{number}", pipelineid=pipeline)
    versions = place.api.get(f"/pipelines/{pipeline}/versions")["pipeline_versions"]
    latest = max(versions, key=lambda one: (one["created_at"], one["pipeline_version_id"]))
    body = {
        "display_name": "latest",
        "experiment_id": place.experiment,
        "pipeline_version_reference": {"pipeline_id": pipeline},
    }
    run = place.api.post("/runs", body)
    place.api.send("DELETE", f"/runs/{run['run_id']}")
    place.api.send("DELETE", f"/pipelines/{pipeline}", cascade="true")
    assert run["pipeline_version_reference"]["pipeline_version_id"] == latest["pipeline_version_id"]
