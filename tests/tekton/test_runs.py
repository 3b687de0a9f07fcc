"""Runs on Tekton: made once, followed to their end, and why they failed; the cluster's answers are written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canned_answers import Answer, Canned, serve_answers
from modelcar import bearer
from modelcar.errors import InvalidInput, PipelineServerAccessDenied
from modelcar.steps.note import Note
from modelcar_pipelines.cluster import Cluster, find_cluster
from modelcar_pipelines.events import TaskEvent
from modelcar_pipelines.tekton.runs import TektonOutcome, follow_run, start_run
from modelcar_sandbox.kubernetes import write_kubeconfig

BASE = "/apis/tekton.dev/v1/namespaces/team"
NAME = "promote-model-x7k2p"
WRONG = Note("Resolve", "there is no such model", "Check the name.", 2)
RUN = {
    "metadata": {"generateName": "promote-model-", "labels": {"a": "b"}},
    "spec": {"pipelineRef": {"name": "promote-model"}},
}
MISSING = Answer(404, {"kind": "Status", "code": 404, "reason": "NotFound"})


def pipeline_run(status: str, reason: str = "Running", **more: Any) -> Answer:
    condition = {"type": "Succeeded", "status": status, "reason": reason, "message": f"it is {reason}"}
    spec = {"tasks": [{"name": "resolve-model", "displayName": "Resolve"}]}
    return Answer(
        200, {"metadata": {"name": NAME}, "status": {"conditions": [condition], "pipelineSpec": spec, **more}}
    )


def task_run(status: str, start: str, end: str = "", **more: Any) -> dict[str, Any]:
    ended = {"completionTime": end} if end else {}
    return {
        "metadata": {"labels": {"tekton.dev/pipelineTask": "resolve-model"}},
        "status": {"startTime": start, "conditions": [{"type": "Succeeded", "status": status}], **ended, **more},
    }


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "pod" / "token")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_answers(MISSING) as server:
        yield server


@pytest.fixture
def cluster(canned: Canned, tmp_path: Path) -> Cluster:
    write_kubeconfig(tmp_path / "kubeconfig", canned.url, "team")
    return find_cluster({"KUBECONFIG": str(tmp_path / "kubeconfig")})


class Followed:
    """A run as it is told at each look."""

    def __init__(self, canned: Canned, cluster: Cluster) -> None:
        self.canned, self.cluster = canned, cluster
        self.told: list[TaskEvent] = []

    def follow(self, *looks: tuple[Answer, list[dict[str, Any]]]) -> TektonOutcome:
        left = iter(looks)

        def look(_: float = 0.0) -> None:
            run, tasks = next(left)
            self.canned.by_path[f"{BASE}/pipelineruns/{NAME}"] = run
            self.canned.by_path[f"{BASE}/taskruns"] = Answer(200, {"kind": "TaskRunList", "items": tasks})

        look()
        return follow_run(self.cluster, "team", NAME, self.told.append, wait=look)

    @property
    def lines(self) -> list[str]:
        return [f"{one.at:%H:%M:%S} {one.display_name} {one.state}" for one in self.told]


@pytest.fixture
def followed(canned: Canned, cluster: Cluster) -> Followed:
    return Followed(canned, cluster)


def test_a_run_is_made_by_a_name_of_its_own(canned: Canned, cluster: Cluster) -> None:
    canned.by_path[f"{BASE}/pipelines/promote-model"] = Answer(200, {"kind": "Pipeline"})
    canned.by_path[f"{BASE}/pipelineruns"] = Answer(201, {"kind": "PipelineRun"})
    name = start_run(cluster, "team", RUN)
    assert name.startswith("promote-model-")
    assert len(name) == len(NAME)
    assert canned.asked == [f"GET {BASE}/pipelines/promote-model", f"POST {BASE}/pipelineruns"]


def test_a_run_whose_first_answer_was_lost_is_made_once(canned: Canned, cluster: Cluster) -> None:
    canned.by_path[f"{BASE}/pipelines/promote-model"] = Answer(200, {"kind": "Pipeline"})
    canned.answers = [Answer(503, {}, {"Retry-After": "0"}), Answer(409, {"kind": "Status", "reason": "AlreadyExists"})]
    assert start_run(cluster, "team", RUN).startswith("promote-model-")


def test_a_namespace_without_the_pipeline_is_told_with_the_way_out(canned: Canned, cluster: Cluster) -> None:
    canned.by_path[f"{BASE}/pipelines"] = Answer(200, {"items": []})
    with pytest.raises(InvalidInput, match="namespace team has no Pipeline promote-model of Tekton") as raised:
        start_run(cluster, "team", RUN)
    assert raised.value.hint == "Apply compiled/tekton with: oc apply -k compiled/tekton --namespace team"


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            Answer(403, {"kind": "Status"}),
            PipelineServerAccessDenied,
            "does not let you create pipelineruns.tekton.dev",
        ),
        (
            Answer(400, {"kind": "Status", "message": 'admission webhook "x" denied:\n no'}),
            InvalidInput,
            'refuses this: admission webhook "x" denied: no',
        ),
    ],
)
def test_a_run_that_the_cluster_refuses_is_told_in_its_words(
    canned: Canned, cluster: Cluster, answer: Answer, kind: type[Exception], message: str
) -> None:
    canned.by_path[f"{BASE}/pipelines/promote-model"] = Answer(200, {"kind": "Pipeline"})
    canned.by_path[f"{BASE}/pipelineruns"] = answer
    with pytest.raises(kind, match=message):
        start_run(cluster, "team", RUN)


def test_each_task_is_told_once_when_it_begins_and_once_when_it_ends(followed: Followed) -> None:
    begun = task_run("Unknown", "2026-03-01T12:00:01Z")
    done = task_run("True", "2026-03-01T12:00:01Z", "2026-03-01T12:00:09Z")
    outcome = followed.follow(
        (pipeline_run("Unknown"), []),
        (pipeline_run("Unknown"), [begun]),
        (pipeline_run("Unknown"), [begun]),
        (pipeline_run("True", "Succeeded", results=[{"name": "commit", "value": '"\\u0024"'}]), [done]),
    )
    assert followed.lines == ["12:00:01 Resolve RUNNING", "12:00:09 Resolve SUCCEEDED"]
    assert (outcome.state, outcome.exit_code, outcome.results) == ("SUCCEEDED", 0, {"commit": "$"})


MESSAGE = json.dumps(
    [{"key": "failure", "value": str(WRONG), "type": 1}, {"key": "StartedAt", "value": "x", "type": 3}]
)


@pytest.mark.parametrize(
    "left",
    [
        {"results": [{"name": "failure", "value": str(WRONG)}]},
        {"steps": [{"name": "run", "terminated": {"exitCode": 2, "message": MESSAGE}}]},
    ],
    ids=["a result", "the termination message alone"],
)
def test_a_failed_task_says_why_and_the_exit_code_is_its_notes(followed: Followed, left: dict[str, Any]) -> None:
    failed = task_run("False", "2026-03-01T12:00:01Z", "2026-03-01T12:00:09Z", **left)
    outcome = followed.follow((pipeline_run("False", "Failed"), [failed]))
    assert followed.lines == ["12:00:01 Resolve RUNNING", "12:00:09 Resolve FAILED"]
    assert (outcome.state, outcome.failures, outcome.exit_code) == ("FAILED", (WRONG,), 2)


def test_a_run_that_fails_without_a_word_has_tektons(followed: Followed) -> None:
    outcome = followed.follow((pipeline_run("False", "PipelineRunTimeout"), []))
    assert (outcome.state, outcome.message, outcome.exit_code) == ("FAILED", "it is PipelineRunTimeout", 1)


def test_a_run_that_somebody_cancelled_is_told_so(followed: Followed) -> None:
    assert followed.follow((pipeline_run("False", "Cancelled"), [])).state == "CANCELED"


def test_a_run_that_somebody_deleted_ends_the_wait(cluster: Cluster) -> None:
    with pytest.raises(InvalidInput, match=f"namespace team has no PipelineRun {NAME}"):
        follow_run(cluster, "team", NAME, lambda _: None)
