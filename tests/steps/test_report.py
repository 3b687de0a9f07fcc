"""Reports: of promotions that were made, read back by what they say, and of runs that failed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from canned_answers import Answer, serve_answers
from modelcar.distribution.client import Access
from modelcar.errors import PromotionError
from modelcar.page import render_html, render_markdown
from modelcar.promotion import Promotion, promote
from modelcar.spec import load_spec
from modelcar.steps.ended import EVENTS, EndedStep
from modelcar.steps.note import SKIPPED, Note, find_result, find_skip
from modelcar.steps.report import describe_failure, report_failure, report_promotion, report_skipped
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.kubernetes import write_kubeconfig
from modelcar_sandbox.sandbox import Sandbox
from page.html_tree import Element, read

FULL = Note("Build and push", "the registry is full", "Delete images.", 1)
WRONG = Note("Resolve", "there is no such model", None, 2)
KEYS = ("resolve", "download", "retrain", "push", "register", "patch")


@dataclass(frozen=True)
class Promoted:
    """A promotion, and the same one again.

    Attributes:
        sandbox: Where.
        first: It.
        again: What was there already.
    """

    sandbox: Sandbox
    first: Promotion
    again: Promotion


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Promoted]:
    with pytest.MonkeyPatch.context() as patch, Sandbox(tmp_path_factory.mktemp("report") / "sandbox") as sandbox:
        for name, value in sandbox.environment.items():
            patch.setenv(name, value)
        spec, access = load_spec(sandbox.promotion_spec), Access(plain_http=True)
        yield Promoted(sandbox, promote(spec, access=access), promote(spec, access=access))


def records(done: Promotion, **more: dict[str, Any]) -> dict[str, str]:
    """What the steps of a pipeline would have told of it."""
    image = done.push
    told: dict[str, dict[str, Any]] = {
        "resolve": {"files": len(image.snapshot.files), "size_bytes": image.snapshot.size_bytes, "seconds": 0.4},
        "push": {
            "bytes_read": image.bytes_read,
            "bytes_uploaded": image.bytes_uploaded,
            "reused": "".join("01"[layer.reused] for layer in image.layers),
            "seconds": 2.5,
        },
        "register": {
            "artifact_id": done.register.model_artifact_id,
            "created": list(done.register.created),
            "seconds": 0.2,
        },
        "patch": {"changed": done.patch.changed, "seconds": 1.1},
        **more,
    }
    return {key: json.dumps(told[key]) if key in told else "" for key in KEYS}


@dataclass(frozen=True)
class Reported:
    """A report in both forms."""

    page: Element
    summary: str


def report(promoted: Promoted, done: Promotion, directory: Path, spec: str = "", **more: dict[str, Any]) -> Reported:
    page, summary = directory / "deep" / "page.html", directory / "deep" / "summary.md"
    report_promotion(
        promoted.sandbox.promotion_spec.read_text() + spec,
        {},
        image=done.push.image,
        source=done.push.snapshot.uri,
        commit_hash=done.push.snapshot.commit_hash or "",
        registered_model=done.register.registered_model,
        version=done.register.version,
        model_version_id=done.register.model_version_id,
        commit=done.patch.commit or "",
        records=records(done, **more),
        page=str(page),
        summary=str(summary),
    )
    return Reported(read(page.read_text()), summary.read_text())


def table(summary: str, title: str) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    section = re.split(r"^## ", summary, flags=re.MULTILINE)
    (found,) = [one for one in section if one.startswith(f"{title}\n")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines() if line[:1] == "|"][2:]


def test_a_promotion_is_told_from_source_to_commit(
    promoted: Promoted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = promoted.first
    told = report(promoted, done, tmp_path)
    sentence = f"{MANIFEST} on main names the new image; Argo CD rolls it out."
    assert find_result(capsys.readouterr().out) == sentence
    text = told.page.text
    for value in (
        "SUCCEEDED",
        sentence,
        done.push.image.partition("@")[2],
        done.push.snapshot.uri,
        done.register.registered_model,
        done.register.version,
        str(done.patch.commit)[:12],
    ):
        assert value in text, value
        assert value in told.summary.replace("\\", ""), value
    assert [(row[0], row[1]) for row in table(told.summary, "Steps")] == [
        (title, "SUCCEEDED") for title in ("Resolve", "Build and push", "Register", "Patch")
    ]


def test_the_diff_of_the_commit_is_told_and_it_alone(promoted: Promoted, tmp_path: Path) -> None:
    told = report(promoted, promoted.first, tmp_path)
    lines = told.summary.partition("## Diff")[2].partition("## Links")[0].splitlines()
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    removed = [line for line in changed if line.startswith("-")]
    assert any("0" * 64 in line for line in removed)
    assert any(str(promoted.first.push.digest) in line for line in changed if line.startswith("+"))


def test_every_layer_is_told_with_whether_it_was_sent(promoted: Promoted, tmp_path: Path) -> None:
    rows = table(report(promoted, promoted.first, tmp_path).summary, "Layers")
    assert len(rows) == len(promoted.first.push.layers)
    assert rows[0][0] == "base image"
    sent = table(report(promoted, promoted.again, tmp_path).summary, "Layers")
    assert [row[0] for row in sent] == [row[0] for row in rows]
    assert sent != rows


def test_a_promotion_that_found_all_done_says_so(
    promoted: Promoted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = report(promoted, promoted.again, tmp_path)
    sentence = "Nothing was new: no byte of the model was read or sent, no model version and no commit was made."
    assert sentence in told.page.text
    assert sentence in told.summary
    assert find_result(capsys.readouterr().out) == sentence
    assert "## Diff" not in told.summary


def test_a_commit_that_an_earlier_attempt_made_is_new(
    promoted: Promoted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = report(promoted, promoted.again, tmp_path, patch={"changed": True, "seconds": 0.4})
    sentence = f"{MANIFEST} on main names the new image; Argo CD rolls it out."
    assert find_result(capsys.readouterr().out) == sentence
    assert sentence in told.page.text
    assert str(promoted.first.push.digest) in told.summary.partition("## Diff")[2].partition("## Links")[0]


def test_metrics_are_told_with_their_floors(promoted: Promoted, tmp_path: Path) -> None:
    training = "training: {data: 'file:///data', entryPoint: 'a:b', floors: {loss: at most 2}}\n"
    measured = {"retrain": {"trained": True, "metrics": {"loss": 1.5, "lines": 4.0}, "seconds": 9.0}}
    rows = table(report(promoted, promoted.first, tmp_path, training, **measured).summary, "Metrics")
    assert [(row[0], row[1]) for row in rows] == [("loss", "1.5"), ("lines", "4")]
    assert "2" in rows[0][2]


def test_a_run_with_nothing_to_do_says_why_in_its_log_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, summary = tmp_path / "page", tmp_path / "summary"
    reason = "this is the winter's run, and it is summer"
    report_skipped(json.dumps({"skipped": reason, "seconds": 0.1}), page=str(page), summary=str(summary))
    assert find_skip(capsys.readouterr().out) == reason
    assert f"**SKIPPED**: {reason}" in summary.read_text().replace("\\", "")
    assert reason in read(page.read_text()).text
    assert SKIPPED not in summary.read_text()


def test_a_failure_is_told_with_step_reason_and_way_out() -> None:
    steps = [EndedStep("resolve-model", "SUCCEEDED", 1.0), EndedStep("build-and-push-modelcar", "FAILED", 3.0, FULL)]
    told = describe_failure(steps)
    summary = render_markdown(told)
    assert "**FAILED**: Build and push failed." in summary
    assert "> **Build and push failed**: the registry is full" in summary
    assert "> **What to do**: Delete images." in summary
    assert table(summary, "Steps") == [
        ["Resolve", "SUCCEEDED", "1.0 s", ""],
        ["Build and push", "FAILED", "3.0 s", "the registry is full"],
    ]
    text = read(render_html(told)).text
    assert "the registry is full" in text
    assert "Delete images." in text


def test_several_failures_are_all_named_and_the_first_is_explained() -> None:
    steps = [EndedStep("resolve-model", "FAILED", 1.0, WRONG), EndedStep("push", "FAILED", 1.0, FULL)]
    told = describe_failure([*steps, steps[0]])
    assert told.sentence == "Resolve, Build and push failed."
    assert told.failure is not None
    assert (told.failure.step, told.failure.message, told.failure.exit_code) == ("Resolve", "there is no such model", 2)


def test_of_several_models_the_report_says_which_failed_and_what_to_do_for_each() -> None:
    one, other = replace(WRONG, model="a"), replace(FULL, model="b")
    told = describe_failure(
        [EndedStep("resolve-model", "FAILED", 1.0, one), EndedStep("resolve-model", "FAILED", 1.0, other)]
    )
    assert told.sentence == "Resolve of a, Build and push of b failed."
    assert told.failure is not None
    assert told.failure.step == "Resolve of a"
    assert [step.note for step in told.steps] == [
        " ".join(filter(None, [one.message, one.hint])),
        "the registry is full Delete images.",
    ]


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (
            "OOMKilled (exit code 137)",
            "It needs more memory than its limit. A training gets more by upload --train-memory.",
        ),
        (
            "ImagePullBackOff: Back-off pulling image",
            "Check the step image's reference and its pull secret; upload takes another image with --image.",
        ),
        ("Evicted: The node was low on resource", "Its node ran out of something; run it again."),
        ("Error (exit code 1)", "Look at the step's log."),
    ],
)
def test_what_kubernetes_says_of_a_step_has_a_way_out_too(reason: str, hint: str) -> None:
    failure = describe_failure([EndedStep("build-and-push-modelcar", "FAILED", None, None, reason)]).failure
    assert failure is not None
    assert (failure.step, failure.message, failure.hint) == ("Build and push", reason, hint)


def test_a_step_whose_time_was_over_is_not_told_to_run_again() -> None:
    stopped = Note("Build and push", "stopped from outside", "Run it again: what was done is found.", 143)
    reason = "DeadlineExceeded: Error (exit code 143)"
    failure = describe_failure([EndedStep("push", "FAILED", 9.0, stopped, reason)]).failure
    assert failure is not None
    assert failure.hint == "It took longer than its time, which pipelines/modelcar_pipelines/platform.py sets."


def test_steps_that_nobody_can_ask_for_leave_a_report_that_says_what_to_grant() -> None:
    error = PromotionError("the pods of x cannot be listed: Forbidden", hint="Let the ServiceAccount list pods.")
    summary = render_markdown(describe_failure([], error))
    assert "**FAILED**: A step failed; which one is not known here." in summary
    assert "> **A step failed**: the pods of x cannot be listed: Forbidden" in summary
    assert "> **What to do**: Let the ServiceAccount list pods." in summary


@pytest.mark.parametrize("state", ["COMPLETE", "SUCCEEDED"])
def test_a_run_in_which_nothing_failed_needs_no_pods(state: str, tmp_path: Path) -> None:
    report_failure(state=state, job="x", page=str(tmp_path / "page"), summary=str(tmp_path / "summary"))
    assert "No step failed." in (tmp_path / "summary").read_text()


def test_the_events_of_a_local_run_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {
        "at": "2026-03-01T12:00:00.500000Z",
        "event": "task",
        "task": "build-and-push-modelcar",
        "path": "group/build-and-push-modelcar",
        "state": "FAILED",
        "exit_code": 1,
        "message": str(FULL),
    }
    (tmp_path / "events").write_text(json.dumps(event) + "\n")
    monkeypatch.setenv(EVENTS, str(tmp_path / "events"))
    report_failure(state="FAILED", job="x", page=str(tmp_path / "page"), summary=str(tmp_path / "summary"))
    assert "> **Build and push failed**: the registry is full" in (tmp_path / "summary").read_text()


def test_a_cluster_that_refuses_leaves_a_report_and_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (EVENTS, "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with serve_answers(Answer(403, {"kind": "Status", "code": 403, "reason": "Forbidden"})) as server:
        write_kubeconfig(tmp_path / "kubeconfig", server.url, "team")
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", os.fspath(tmp_path / "kubeconfig")
        )
        report_failure(state="FAILED", job="x", page=str(tmp_path / "page"), summary=str(tmp_path / "summary"))
    assert capsys.readouterr().out.splitlines() == [
        "the pods of x cannot be listed: Forbidden. Let the pipeline's ServiceAccount list pods in its namespace.",
        "A step failed; which one is not known here.",
    ]
    assert "Let the pipeline's ServiceAccount list pods" in (tmp_path / "summary").read_text()
