"""`modelcar pipeline run --tekton`: what is printed, what is started, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from bare_machine import few_certificates, home
from canned_answers import Answer, Canned, serve_answers
from cli.command import Run, modelcar
from modelcar_sandbox.kubernetes import write_kubeconfig

__all__ = ["few_certificates", "home", "modelcar"]

RUN = ("pipeline", "run", "promote-model", "--tekton", "--param", "source=hf://a/$b")
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


def test_a_run_is_started_in_the_namespace_of_the_kubeconfig(modelcar: Run, canned: Canned) -> None:
    canned.by_path[f"{BASE}/pipelines/promote-model"] = Answer(200, {})
    canned.by_path[f"{BASE}/pipelineruns"] = Answer(201, {})
    ran = modelcar(*RUN)
    assert (ran.code, ran.stdout.startswith("promote-model-")) == (0, True)


def test_a_namespace_without_the_pipeline_is_told_so(modelcar: Run, canned: Canned) -> None:
    ran = modelcar(*RUN, "--namespace", "other")
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Error: namespace other has no Pipeline promote-model of Tekton\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--local"), "--tekton goes without --local, --json, --dir, --image and --run-name."),
        (
            (*RUN, "--endpoint", "http://x"),
            "--tekton takes no pipeline server; --namespace and the kubeconfig say where.",
        ),
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
