"""`modelcar pipeline` on a server whose runs do as the test says: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bare_machine import few_certificates, home
from cli.command import MODELCAR, Run, modelcar
from kfp_scripted import BROKEN, DONE, FIRST, Scripted, begin, end, fail, serve_scripted, step
from kfp_scripted import SPEC as HELLO
from kfp_server import held, new_fifo
from modelcar.retry import ATTEMPTS
from modelcar.spec import parse_spec
from modelcar.steps.note import RESULT, SKIPPED, Note
from modelcar_sandbox.kfp import SteppedClock
from wsgi_faults import Fault

__all__ = ["few_certificates", "home", "modelcar"]

SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: "hf://acme/base"}
image: {repository: registry.example/acme/base}
modelRegistry: {url: "https://registry.example", registeredModel: base}
inferenceService: {repository: "https://git.example/x.git", path: base.yaml, name: base}
"""
RUN = ("pipeline", "run", "hello", "--spec", "spec.yaml")
FULL = Note("Build and push", "the registry is full", "Delete images.", 1)
WRONG = Note("Resolve", "there is no such model", "Check the name.", 2)


@pytest.fixture
def scripted(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """The user's shell stands where there is a spec, and names the server."""
    with serve_scripted(home / "kfp") as made:
        use(made, home, monkeypatch)
        yield made


def use(made: Scripted, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "spec.yaml").write_text(SPEC)
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", made.api.url)
    for name in ("KF_PIPELINES_TOKEN", "KF_PIPELINES_TOKEN_FILE", "KF_PIPELINES_UI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("modelcar_pipelines.runs.LOOK_EVERY_S", 0.02)


def do(*script: list[object]) -> tuple[str, str]:
    return "--param", f"do={json.dumps(script)}"


def without_times(stderr: str) -> list[str]:
    """Lines of steps without the time of day; the others as they are."""
    return [line[9:] if line[2:3] == line[5:6] == ":" else line for line in stderr.splitlines()]


def test_a_run_that_is_not_waited_for_prints_its_id_alone(modelcar: Run, scripted: Scripted) -> None:
    ran = modelcar(*RUN, "--run-name", "for you")
    (run,) = scripted.api.get("/runs")["runs"]
    assert (ran.code, ran.stdout) == (0, f"{run['run_id']}\n")
    assert ran.stderr.splitlines() == [
        f"for you: run {run['run_id']} of hello",
        f"{scripted.api.url}/#/runs/details/{run['run_id']}",
    ]


def test_a_run_that_is_waited_for_shows_its_steps(modelcar: Run, scripted: Scripted) -> None:
    ran = modelcar(*RUN, "--wait", *do(*step(f"{FIRST}/resolve"), *step(f"{FIRST}/push"), DONE))
    assert (ran.code, ran.stdout) == (0, "")
    assert without_times(ran.stderr)[2:-1] == [
        "▸ Resolve",
        "✓ Resolve  1.0 s",
        "▸ Build and push",
        "✓ Build and push  1.0 s",
        "SUCCEEDED",
    ]


@pytest.mark.parametrize(("note", "code"), [(FULL, 1), (WRONG, 2)])
def test_a_run_that_fails_says_which_step_why_and_what_to_do(
    modelcar: Run, scripted: Scripted, note: Note, code: int
) -> None:
    log: list[object] = ["log", f"{FIRST}/push", f"pushing\n{note}\n"]
    ran = modelcar(*RUN, "--wait", *do(log, *begin(f"{FIRST}/push"), fail(f"{FIRST}/push"), BROKEN))
    (run,) = scripted.api.get("/runs")["runs"]
    assert (ran.code, ran.stdout) == (code, "")
    assert without_times(ran.stderr)[2:] == [
        "▸ Build and push",
        "✗ Build and push  1.0 s",
        "FAILED",
        f"{note.step}: {note.message}",
        f"  {note.hint}",
        f"{scripted.api.url}/#/runs/details/{run['run_id']}",
    ]


def test_a_run_with_nothing_to_do_says_why(modelcar: Run, scripted: Scripted) -> None:
    log: list[object] = ["log", "report-skipped", f"{SKIPPED}this image serves already\n"]
    ran = modelcar(*RUN, "--wait", *do(log, *step("report-skipped"), DONE))
    assert (ran.code, ran.stderr.splitlines()[-2]) == (0, "SKIPPED: this image serves already")


def test_a_run_that_somebody_cancelled_is_told_so(modelcar: Run, scripted: Scripted, home: Path) -> None:
    run_id = modelcar(*RUN, *do(["hold", new_fifo(home)])).stdout.strip()
    assert modelcar("pipeline", "cancel", run_id).stdout == f"{run_id} is being cancelled.\n"
    ran = modelcar("pipeline", "status", run_id, "--wait")
    assert (ran.code, ran.stderr.splitlines()[0]) == (1, "CANCELED")
    again = modelcar("pipeline", "cancel", run_id)
    assert (again.code, again.stdout) == (0, f"{run_id} has ended already: CANCELED.\n")


def test_a_server_that_goes_away_ends_the_wait_and_the_way_back_is_told(modelcar: Run, scripted: Scripted) -> None:
    scripted.faults.add(Fault.answer("GET", "/runs/[^/]+$", 503, headers={"Retry-After": "0"}, times=ATTEMPTS))
    ran = modelcar(*RUN, "--wait", *do(DONE))
    (run,) = scripted.api.get("/runs")["runs"]
    assert (ran.code, ran.stdout) == (1, "")
    assert f"Error: the pipeline server at {scripted.api.url} answered 503\n" in ran.stderr
    assert ran.stderr.endswith(
        f"This does not end the run; modelcar pipeline status {run['run_id']} --wait follows it again.\n"
    )
    assert modelcar("pipeline", "status", run["run_id"], "--wait").code == 0


def test_a_run_says_what_its_promotion_has_come_to(modelcar: Run, scripted: Scripted) -> None:
    log: list[object] = ["log", "report-promotion", f"{RESULT}Nothing was new: no commit was made.\n"]
    ran = modelcar(*RUN, "--wait", *do(log, *step("report-promotion"), DONE))
    assert (ran.code, ran.stderr.splitlines()[-2]) == (0, "SUCCEEDED: Nothing was new: no commit was made.")


def test_who_stops_waiting_does_not_stop_the_run(scripted: Scripted, home: Path) -> None:
    fifo = new_fifo(home)
    command = [*MODELCAR, *RUN, "--wait", *do(*begin("report"), ["hold", fifo], *end("report"), DONE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        first = process.stderr.readline()
        with ExitStack() as holding:
            holding.enter_context(held(fifo))
            lines = [process.stderr.readline() for _ in range(2)]  # it has looked, and waits
            process.send_signal(signal.SIGINT)
            rest, said = process.stderr.read(), process.stdout.read()
            (run,) = scripted.api.get("/runs")["runs"]
            assert run["state"] == "RUNNING"
    assert first.endswith(f"run {run['run_id']} of hello\n")
    assert without_times("".join(lines))[1:] == ["▸ Report"]
    assert (process.returncode, said) == (130, "")
    assert rest == (
        f"Stopped waiting; the run goes on. modelcar pipeline status {run['run_id']} --wait follows it again, "
        f"modelcar pipeline cancel {run['run_id']} ends it.\n"
    )
    scripted.server.settle()
    assert scripted.api.get(f"/runs/{run['run_id']}")["state"] == "SUCCEEDED"


def test_a_spec_with_dollar_signs_arrives_as_it_was_meant(modelcar: Run, scripted: Scripted, home: Path) -> None:
    text = SPEC.replace("path: base.yaml", "path: '$(HOME)/$$a/base.yaml'")
    (home / "spec.yaml").write_text(text)
    assert modelcar(*RUN).code == 0
    (run,) = scripted.api.get("/runs")["runs"]
    given = run["runtime_config"]["parameters"]["spec"]
    assert "$" not in given
    assert parse_spec(given, name="spec") == parse_spec(text, name="spec")
    assert "$(HOME)/$$a/base.yaml" in str(parse_spec(given, name="spec"))


def test_a_spec_without_dollar_signs_arrives_as_it_was_written(modelcar: Run, scripted: Scripted) -> None:
    modelcar(*RUN)
    (run,) = scripted.api.get("/runs")["runs"]
    assert run["runtime_config"]["parameters"] == {"spec": SPEC}


def test_the_status_of_a_run_is_its_steps_and_why_it_failed(modelcar: Run, scripted: Scripted) -> None:
    log: list[object] = ["log", f"{FIRST}/push", str(FULL)]
    script = do(log, *step(f"{FIRST}/resolve"), *begin(f"{FIRST}/push"), fail(f"{FIRST}/push"), BROKEN)
    run_id = modelcar(*RUN, *script).stdout.strip()
    scripted.server.settle()
    ran = modelcar("pipeline", "status", run_id)
    assert (ran.code, ran.stdout) == (0, "")
    assert without_times(ran.stderr) == [
        "✓ Resolve  1.0 s",
        "✗ Build and push  1.0 s",
        "FAILED",
        "Build and push: the registry is full",
        "  Delete images.",
        f"{scripted.api.url}/#/runs/details/{run_id}",
    ]
    shown = json.loads(modelcar("pipeline", "status", run_id, "--json").stdout)
    assert shown["steps"] == {
        "resolve": {"title": "Resolve", "state": "SUCCEEDED"},
        "push": {"title": "Build and push", "state": "FAILED"},
    }
    assert shown["failures"] == [
        {
            "step": "Build and push",
            "message": "the registry is full",
            "hint": "Delete images.",
            "exit_code": 1,
            "model": "",
        }
    ]
    assert {key: shown[key] for key in ("run_id", "state", "skipped", "url")} == {
        "run_id": run_id,
        "state": "FAILED",
        "skipped": None,
        "url": f"{scripted.api.url}/#/runs/details/{run_id}",
    }
    waited = modelcar("pipeline", "status", run_id, "--wait", "--json")
    assert (waited.code, json.loads(waited.stdout), waited.stderr) == (1, shown, "")


def test_the_list_is_pipelines_with_their_latest_versions_and_runs(modelcar: Run, scripted: Scripted) -> None:
    run_id = modelcar(*RUN, "--run-name", "for you").stdout.strip()
    scripted.server.settle()
    scripted.api.post("/pipelines", {"display_name": "empty"})
    lines = modelcar("pipeline", "list").stdout.splitlines()
    assert lines[:4] == ["bare   bare", "empty  no version", "hello  hello", ""]
    assert lines[4].endswith(f"  {run_id}  SUCCEEDED  for you")
    assert len(lines) == 5
    shown = json.loads(modelcar("pipeline", "list", "--json").stdout)
    assert shown["pipelines"] == {"bare": "bare", "empty": None, "hello": "hello"}
    (run,) = shown["runs"]
    assert list(run) == ["run_id", "name", "state", "pipeline_id", "version_id", "created_at", "finished_at"]
    assert datetime.fromisoformat(run["finished_at"]).tzinfo is not None
    assert modelcar("pipeline", "list", "--runs", "0").stdout.splitlines() == lines[:3]


def test_a_run_as_json_is_what_status_says_of_it(modelcar: Run, scripted: Scripted) -> None:
    ran = modelcar(*RUN, "--json", "--wait", *do(*step(f"{FIRST}/resolve"), DONE))
    shown = json.loads(ran.stdout)
    assert (ran.code, shown["state"], shown["steps"]["resolve"]["state"]) == (0, "SUCCEEDED", "SUCCEEDED")
    assert json.loads(modelcar("pipeline", "status", shown["run_id"], "--json").stdout) == shown
    started = json.loads(modelcar(*RUN, "--json").stdout)
    assert started["url"] == f"{scripted.api.url}/#/runs/details/{started['run_id']}"


def test_an_upload_says_what_it_made_and_what_was_there(modelcar: Run, scripted: Scripted) -> None:
    upload = ("pipeline", "upload", "promote-models")
    first = modelcar(*upload)
    again = modelcar(*upload)
    name = first.stdout.split()[1]
    assert (first.code, first.stdout) == (0, f"promote-models  {name}  uploaded\n")
    assert (again.code, again.stdout) == (0, f"promote-models  {name}  is the latest already\n")
    shown = json.loads(modelcar(*upload, "--json").stdout)["promote-models"]
    assert (list(shown), shown["version"]) == (["pipeline_id", "version_id", "version", "created"], name)
    other = json.loads(modelcar(*upload, "--json", "--image", "registry.example/step:2").stdout)["promote-models"]
    assert (other["created"], other["version"] != name) == (True, True)


def test_compiling_writes_what_is_not_there_and_check_writes_nothing(modelcar: Run, scripted: Scripted) -> None:
    words = ("pipeline", "compile", "promote-models", "--dir", "out")
    path, stored = Path("out/kfp/promote-models.yaml"), Path("out/kfp-kubernetes/promote-models.yaml")
    missing = modelcar(*words, "--check")
    assert (missing.code, path.exists(), stored.exists()) == (1, False, False)
    told = f"Not what the source gives: {path}, {stored}. modelcar pipeline compile writes them anew.\n"
    assert missing.stderr == told
    assert modelcar(*words).stdout == f"{path}  written\n{stored}  written\n"
    assert modelcar(*words).stdout == f"{path}  unchanged\n{stored}  unchanged\n"
    good = modelcar(*words, "--check")
    assert (good.code, good.stdout, good.stderr) == (0, "", "out is up to date with the source: 2 files.\n")
    path.write_text(path.read_text().replace("promote-models", "promote-models2", 1))
    assert modelcar(*words, "--check").code == 1


def test_a_schedule_is_made_shown_paused_resumed_and_removed(modelcar: Run, scripted: Scripted) -> None:
    words = ("pipeline", "schedule", "hello", "--cron", "0 2 * * *", "--timezone", "Europe/Amsterdam")
    made = modelcar(*words, "--spec", "spec.yaml")
    first, promotes, told, *fires = made.stdout.splitlines()
    assert (made.code, first, promotes) == (0, "hello: created", "  pipeline hello promotes base (base.yaml)")
    assert told == ("  0 2 * * * Europe/Amsterdam  (on; runs the latest version; the server's cron is 0 0 0,1 * * *)")
    assert [line.split()[0] for line in fires] == ["next:"] * 3
    assert modelcar(*words, "--spec", "spec.yaml").stdout.startswith("hello: unchanged\n")
    (shown,) = json.loads(modelcar("pipeline", "schedules", "--json").stdout)
    assert (shown["name"], shown["scheduled"], shown["paused"]) == ("hello", "0 2 * * * Europe/Amsterdam", False)
    assert (shown["pipeline"], shown["promotes"]) == ("hello", "base (base.yaml)")
    assert shown["parameters"] == {"spec": SPEC, "scheduled": "0 2 * * * Europe/Amsterdam"}
    assert len(shown["next_fires"]) == 3
    paused = modelcar("pipeline", "pause", "hello").stdout
    assert paused.startswith("hello: paused\n")
    assert "(paused; " in paused
    resumed = modelcar("pipeline", "resume", "hello").stdout
    assert resumed.startswith("hello: resumed\n")
    assert "(on; " in resumed
    assert modelcar("pipeline", "unschedule", "hello").stdout == "hello is removed.\n"
    none = modelcar("pipeline", "schedules")
    assert (none.code, none.stdout, none.stderr) == (
        0,
        "",
        "There are none. modelcar pipeline schedule makes one.\n",
    )


def test_a_second_model_is_not_scheduled_without_a_name(modelcar: Run, scripted: Scripted, home: Path) -> None:
    words = ("pipeline", "schedule", "hello", "--cron", "0 2 * * *", "--spec")
    modelcar(*words, "spec.yaml")
    before = modelcar("pipeline", "schedules", "--json").stdout
    (home / "other.yaml").write_text(SPEC.replace("base", "other"))
    refused = modelcar(*words, "other.yaml")
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[0] == (
        "Error: the schedule hello promotes base (base.yaml), and other (other.yaml) would take its place"
    )
    assert "--name NAME" in refused.stderr
    assert modelcar("pipeline", "schedules", "--json").stdout == before
    assert modelcar(*words, "other.yaml", "--name", "other").stdout.startswith("other: created\n")


def test_what_a_pinned_version_is_given_is_checked_against_its_own_parameters(
    modelcar: Run, scripted: Scripted
) -> None:
    pipeline_id = scripted.api.get("/pipelines/names/hello")["pipeline_id"]
    newer = HELLO.replace("      text:", "      instead:")
    assert scripted.api.upload("newer", newer, pipelineid=pipeline_id).status_code == 200
    words = ("pipeline", "schedule", "hello", "--cron", "0 2 * * *", "--spec", "spec.yaml", "--param", "text=a")
    assert modelcar(*words, "--version", "newer").stderr.startswith("Error: hello has no parameter text\n")
    assert modelcar(*words, "--version", "hello").stdout.startswith("hello: created\n")
    assert "(on; runs hello; the server's cron is " in modelcar("pipeline", "schedules").stdout


def test_a_schedule_whose_run_is_active_is_not_removed_by_surprise(
    modelcar: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedClock(datetime.now(UTC))
    fifo = new_fifo(home)
    with serve_scripted(home / "kfp", clock) as made:
        use(made, home, monkeypatch)
        words = ("pipeline", "schedule", "hello", "--cron", "* * * * *", "--spec", "spec.yaml")
        assert modelcar(*words, *do(["hold", fifo], DONE)).code == 0
        clock.advance_to(clock.now() + timedelta(minutes=1), let_runs_end=False)
        (run,) = made.api.get("/runs")["runs"]
        ran = modelcar("pipeline", "unschedule", "hello")
        with held(fifo):
            pass
    assert (ran.code, ran.stdout) == (1, "")
    sentence, hint = ran.stderr.splitlines()
    assert sentence.startswith(f"Error: {run['display_name']} is active, and would be ended with the schedule hello, ")
    assert hint == "Wait for it with --wait, or pause the schedule instead."


def test_a_token_is_in_no_output(modelcar: Run, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "planted-5ecret")
    said: list[Any] = [modelcar("--debug", *RUN, "--wait"), modelcar("--debug", "pipeline", "status", "nope")]
    assert "planted-5ecret" not in str(said)
