"""`modelcar pipeline run --tekton`: what is printed, what is started, and what does not go together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from bare_machine import few_certificates, home
from canned_answers import Answer, Canned, serve_answers
from cli.command import Run, modelcar
from modelcar.steps.note import Note
from modelcar_sandbox.kubernetes import write_kubeconfig

__all__ = ["few_certificates", "home", "modelcar"]

RUN = ("pipeline", "run", "promote-model", "--tekton", "--param", "source=hf://a/$b")
INTERRUPTIBLE = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from modelcar.cli import main; main()",
)
"""The command; a shell that started the tests in the background has told them to ignore SIGINT."""
BASE = "/apis/tekton.dev/v1/namespaces/team"


@pytest.fixture
def canned(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """The cluster that the shell is logged in to."""
    with serve_answers(Answer(404, {"kind": "Status", "code": 404})) as server:
        write_kubeconfig(home / "kubeconfig", server.url, "team")
        monkeypatch.setenv("KUBECONFIG", str(home / "kubeconfig"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def test_a_dry_run_prints_the_run_and_asks_nobody(modelcar: Run, canned: Canned) -> None:
    ran = modelcar(*RUN, "--dry-run")
    run = yaml.safe_load(ran.stdout)
    assert (ran.code, run["kind"], run["metadata"]["generateName"]) == (0, "PipelineRun", "promote-model-")
    assert run["spec"]["params"] == [{"name": "source", "value": '"hf://a/\\u0024b"'}]
    assert canned.asked == []


def test_a_dry_run_names_the_namespace_that_it_was_given(modelcar: Run, canned: Canned) -> None:
    assert (
        yaml.safe_load(modelcar(*RUN, "--dry-run", "--namespace", "other").stdout)["metadata"]["namespace"] == "other"
    )
    assert "namespace" not in yaml.safe_load(modelcar(*RUN, "--dry-run").stdout)["metadata"]


@pytest.mark.parametrize(("words", "namespace"), [((), "team"), (("--namespace", "other"), "other")])
def test_what_is_started_is_what_a_dry_run_prints_with_a_name_in_the_namespace(
    modelcar: Run, canned: Canned, words: tuple[str, ...], namespace: str
) -> None:
    printed = yaml.safe_load(modelcar(*RUN, "--dry-run").stdout)
    base = f"/apis/tekton.dev/v1/namespaces/{namespace}"
    canned.by_path[f"{base}/pipelines/promote-model"] = Answer(200, {})
    canned.by_path[f"{base}/pipelineruns"] = Answer(201, {})

    ran = modelcar(*RUN, *words, "--no-wait")

    name = ran.stdout.strip()
    assert (ran.code, ran.stderr) == (0, f"{name} in namespace {namespace}\n")
    assert name.startswith(printed["metadata"].pop("generateName"))
    printed["metadata"]["name"] = name
    assert json.loads(canned.bodies[-1]) == printed
    assert canned.asked[-1] == f"POST {base}/pipelineruns"


def test_a_namespace_without_the_pipeline_is_told_so(modelcar: Run, canned: Canned) -> None:
    canned.by_path["/apis/tekton.dev/v1/namespaces/other/pipelines"] = Answer(200, {"items": []})
    ran = modelcar(*RUN, "--namespace", "other")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Error: namespace other has no Pipeline promote-model of Tekton\n")
    assert "oc apply -k compiled/tekton --namespace other" in ran.stderr


def test_who_may_not_list_pipelines_is_told_so_too(modelcar: Run, canned: Canned) -> None:
    canned.by_path[f"{BASE}/pipelines"] = Answer(403, {"kind": "Status", "code": 403})
    assert modelcar(*RUN).stderr.startswith("Error: namespace team has no Pipeline promote-model of Tekton\n")


def test_a_cluster_without_tekton_is_told_so(modelcar: Run, canned: Canned) -> None:
    canned.answers = [Answer(404, b"404 page not found\n")]
    ran = modelcar(*RUN)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"Error: the cluster at {canned.url} has no Tekton (tekton.dev/v1)\n")


def test_without_a_cluster_the_way_out_is_one_that_tekton_has(
    modelcar: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(home / "none"))
    ran = modelcar(*RUN)
    assert (ran.code, ran.stderr) == (
        2,
        f"Error: there is no cluster to ask: no kubeconfig at {home}/none\n"
        "Log in to the cluster with oc login. --dry-run prints the run without asking a cluster.\n",
    )


def look(status: str, reason: str = "Running", **more: Any) -> Answer:
    """The run as the cluster has it; the message is Tekton's."""
    condition = {"type": "Succeeded", "status": status, "reason": reason, "message": f"Tasks Completed: {reason}"}
    return Answer(200, {"metadata": {"name": "promote-model-x7k2p"}, "status": {"conditions": [condition], **more}})


@pytest.fixture
def started(canned: Canned) -> Canned:
    """A cluster that takes the run; `answers` are looks at it."""
    canned.by_path[f"{BASE}/pipelines/promote-model"] = Answer(200, {})
    canned.by_path[f"{BASE}/pipelineruns"] = Answer(201, {})
    canned.by_path[f"{BASE}/taskruns"] = Answer(200, {"items": []})
    return canned


def task_run(status: str, **more: Any) -> dict[str, Any]:
    times = {"startTime": "2026-03-01T12:00:01Z", "completionTime": "2026-03-01T12:00:09Z"}
    return {
        "metadata": {"labels": {"tekton.dev/pipelineTask": "resolve-model"}},
        "status": {**times, "conditions": [{"type": "Succeeded", "status": status}], **more},
    }


def test_a_run_is_followed_to_its_end_and_what_it_gave_is_all_that_is_on_stdout(modelcar: Run, started: Canned) -> None:
    started.by_path[f"{BASE}/taskruns"] = Answer(200, {"items": [task_run("True")]})
    started.answers = [look("True", "Succeeded", results=[{"name": "commit", "value": "c0ffee"}])]
    ran = modelcar(*RUN)
    assert (ran.code, ran.stdout) == (0, "commit: c0ffee\n")
    assert ran.stderr.splitlines()[1:] == ["12:00:01 ▸ resolve-model", "12:00:09 ✓ resolve-model  8.0 s", "SUCCEEDED"]


def test_a_run_that_had_nothing_to_do_says_why(modelcar: Run, started: Canned) -> None:
    started.answers = [look("True", "Completed", results=[{"name": "skipped", "value": "it is served already"}])]
    ran = modelcar(*RUN, "--wait")
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr.splitlines()[1:] == ["SKIPPED: it is served already"]


def test_a_run_that_failed_says_why_by_its_steps_note(modelcar: Run, started: Canned) -> None:
    note = Note("Resolve", "there is no such model", "Check the name.", 2)
    failed = task_run("False", results=[{"name": "failure", "value": str(note)}])
    started.by_path[f"{BASE}/taskruns"] = Answer(200, {"items": [failed]})
    started.answers = [look("False", "Failed")]
    ran = modelcar(*RUN)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[2:] == [
        "12:00:09 ✗ resolve-model  8.0 s",
        "FAILED",
        "Resolve: there is no such model",
        "  Check the name.",
    ]


def test_a_run_that_failed_without_a_note_says_why_in_tektons_words(modelcar: Run, started: Canned) -> None:
    started.answers = [look("False", "PipelineRunTimeout")]
    ran = modelcar(*RUN)
    assert (ran.code, ran.stderr.splitlines()[1:]) == (1, ["FAILED", "Tasks Completed: PipelineRunTimeout"])


def test_a_cluster_that_is_lost_does_not_end_the_run_and_how_to_look_again_is_said(
    modelcar: Run, started: Canned
) -> None:
    started.answers = [look("Unknown"), Answer(503, {"kind": "Status"}, {"Retry-After": "0"})]
    ran = modelcar(*RUN)
    name = ran.stderr.partition(" ")[0]
    assert (ran.code, ran.stdout) == (1, "")
    assert f"Error: the cluster at {started.url} answered 503\n" in ran.stderr
    assert f"This does not end the run; oc get pipelinerun {name} --namespace team says how it is." in ran.stderr


def test_ctrl_c_ends_the_wait_and_not_the_run(started: Canned, home: Path) -> None:
    started.answers = [look("Unknown")]
    with subprocess.Popen(
        [*INTERRUPTIBLE, *RUN], env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        name = process.stderr.readline().partition(" ")[0]
        while not any(one.startswith(f"GET {BASE}/pipelineruns/{name}") for one in started.asked):
            time.sleep(0.01)  # between looks at what it asked
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == (f"Stopped waiting; the run goes on. oc get pipelinerun {name} --namespace team says how it is.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--local"), "--tekton goes without --local, --json, --dir, --image and --run-name."),
        (
            (*RUN, "--endpoint", "http://x"),
            "--tekton takes no pipeline server; --namespace and the kubeconfig say where.",
        ),
        ((*RUN, "--dry-run", "--wait"), "--dry-run starts nothing to wait for; it goes without --wait and --no-wait."),
        (("pipeline", "run", "promote-model", "--dry-run"), "--dry-run goes with --tekton."),
        (("pipeline", "run", "promote-models", "--tekton"), "promote-models is not compiled to Tekton"),
        (("pipeline", "run", "promote-model", "--tekton"), "promote-model is given nothing to promote"),
    ],
)
def test_what_does_not_go_together_is_refused(
    modelcar: Run, canned: Canned, words: tuple[str, ...], message: str
) -> None:
    ran = modelcar(*words)
    assert (ran.code, ran.stdout, canned.asked) == (2, "", [])
    assert message in ran.stderr
