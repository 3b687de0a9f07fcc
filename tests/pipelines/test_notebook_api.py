"""What a notebook is given: values to go on with, pictures that say the same, and one sentence when it fails."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import modelcar_pipelines
from kfp_server import FIRST_DAY, Api, held, new_fifo, serve
from modelcar.errors import InvalidInput, InvalidSpec, PromotionError
from modelcar.spec import PromotionSpec, parse_spec
from modelcar.steps.note import Note
from modelcar_pipelines import connect
from modelcar_pipelines.arguments import SpecLike, take_spec
from modelcar_pipelines.notebook import Pipelines
from modelcar_pipelines.notebook.runs import PipelineRun, PipelineRuns, RunFailed
from modelcar_pipelines.runs import Outcome, Run, follow
from modelcar_pipelines.versions import find_version, read_spec
from page.html_tree import read

TOKEN = "planted-7d1c"
MAPPING = {
    "model": {"source": "hf://org/name"},
    "image": {"repository": "quay.io/team/name"},
    "modelRegistry": {"url": "https://registry.example.com", "registeredModel": "name"},
    "inferenceService": {"repository": "https://git.example.com/x.git", "path": "a.yaml", "name": "name"},
}
TEXT = json.dumps({"apiVersion": "modelcar.dev/v1alpha1", "kind": "PromotionSpec", **MAPPING})
SPEC = parse_spec(TEXT, name="spec", env={})
DONE = Run("r1", "promote-model <b>now</b>", "SUCCEEDED", "p", "v", FIRST_DAY, FIRST_DAY.replace(minute=1))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serve(tmp_path / "server") as (_, api):
        api.pipeline("hello")
        yield api


@pytest.fixture
def pipelines(api: Api) -> Pipelines:
    return connect(endpoint=api.url, token=TOKEN)


def outcome(run: Run = DONE, *, skipped: str = "", failures: tuple[Note, ...] = ()) -> Outcome:
    return Outcome(run, {}, failures, skipped, "http://ui/#/runs/details/r1", {})


def test_the_package_is_imported_without_anything_heavy() -> None:
    program = "import sys, modelcar_pipelines; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) & {"kfp", "requests", "rich", "click", "ruamel", "modelcar"} == set()


def test_the_package_offers_a_connection_and_its_pipelines_and_nothing_else() -> None:
    assert modelcar_pipelines.__all__ == ["compile_pipelines", "connect"]
    [compiled] = modelcar_pipelines.compile_pipelines(["promote-model"])
    assert compiled.text == Path("compiled/kfp/promote-model.yaml").read_text(encoding="utf-8")
    with pytest.raises(AttributeError, match="has no attribute 'disconnect'"):
        _ = modelcar_pipelines.disconnect


@pytest.mark.parametrize("given", [TEXT, f"\n{TEXT}", MAPPING, SPEC], ids=["json", "text", "mapping", "spec"])
def test_a_spec_is_the_same_however_it_is_given(given: SpecLike) -> None:
    taken = take_spec(given)
    assert taken.spec.model == SPEC.model
    assert taken.spec.inference_service == SPEC.inference_service
    assert parse_spec(taken.text, name="again").model_registry == SPEC.model_registry


@pytest.mark.parametrize("kind", [str, Path])
def test_a_spec_may_be_a_files_path(tmp_path: Path, kind: type[str] | type[Path]) -> None:
    path = tmp_path / "promotion.yaml"
    path.write_text(TEXT)
    assert take_spec(kind(path)).text == TEXT
    assert isinstance(take_spec(kind(path)).spec, PromotionSpec)


def test_a_spec_that_is_a_mapping_reaches_a_step_without_dollar_signs() -> None:
    described = {**MAPPING, "modelRegistry": {**MAPPING["modelRegistry"], "description": "$(HOME) and $$"}}
    taken = take_spec(described)
    assert "$" not in taken.text
    assert parse_spec(taken.text, name="again").model_registry.description == "$(HOME) and $$"


def test_a_faulty_spec_is_refused_before_anything_is_started(api: Api, pipelines: Pipelines) -> None:
    with pytest.raises(InvalidSpec, match=r"^spec:1: model\.surce: unknown key; did you mean source\?"):
        pipelines.promote({**MAPPING, "model": {"surce": "hf://org/name"}})
    assert api.get("/runs") == {}


def test_a_run_has_the_name_that_it_was_given_and_a_server_says_which_pipelines_it_has(pipelines: Pipelines) -> None:
    assert pipelines.run("hello", do="succeed", run_name="for you").name == "for you"
    assert pipelines.pipelines() == {"hello": "hello"}


def test_a_run_is_followed_and_returned(pipelines: Pipelines, capfd: pytest.CaptureFixture[str]) -> None:
    run = pipelines.run("hello", do="succeed")

    assert run.state == "SUCCEEDED"
    assert repr(run).splitlines()[0] == f"{run.name}: SUCCEEDED"
    assert repr(run).splitlines()[1].startswith("  ✓ hello  ")
    assert repr(run).splitlines()[-1] == run.url
    assert f"{run.name}: run {run.run_id}" in capfd.readouterr().err
    page = read(run._repr_html_())
    assert page.all("h1")[0].text == run.name
    assert [row.all("td")[0].text for row in page.all("table")[0].all("tr")[1:]] == ["✓ hello succeeded"]
    assert repr(pipelines.status(run)) == repr(pipelines.status(run.run_id)) == repr(run)


def test_a_run_that_fails_is_an_error_that_has_the_run(pipelines: Pipelines) -> None:
    with pytest.raises(RunFailed, match=r"^the run hello .* failed, and no step said why$") as caught:
        pipelines.run("hello", do="fail")
    assert caught.value.run.state == "FAILED"
    assert caught.value.hint == f"Look at its steps: {caught.value.run.url}"
    assert "FAILED" in caught.value.run._repr_html_()


def test_a_failed_run_says_what_its_step_said() -> None:
    note = Note("Resolve", "there is no such model", "Check the name.", 2)
    error = RunFailed(PipelineRun(outcome(failures=(note,)), None))
    assert error._render_traceback_() == [
        "Error: Resolve failed: there is no such model",
        "-> Check the name.",
    ]


def test_of_several_steps_that_failed_all_are_told() -> None:
    notes = tuple(Note("Resolve", f"there is no model {name}", None, 2) for name in ("one", "two"))
    failed = replace(DONE, state="FAILED")
    run = PipelineRun(outcome(failed, failures=notes), None)
    assert str(RunFailed(run)) == "Resolve failed: there is no model one; Resolve failed: there is no model two"
    drawn = read(run._repr_html_()).text
    assert "More than one step failed. Resolve: there is no model two" in drawn
    assert "Resolve failed there is no model one exit code 2" in drawn


def test_errors_without_a_hint_are_one_line() -> None:
    assert PromotionError("it is so")._render_traceback_() == ["Error: it is so"]


def test_a_run_can_be_left_alone_looked_at_and_cancelled(pipelines: Pipelines, tmp_path: Path) -> None:
    fifo = new_fifo(tmp_path)
    run = pipelines.run("hello", wait=False, do=f"hold:{fifo}")
    assert run.state in ("PENDING", "RUNNING")
    with held(fifo):
        assert pipelines.status(run).state == "RUNNING"
        assert pipelines.cancel(run).state in ("CANCELING", "CANCELED")
    assert follow(pipelines.server, run.run_id, lambda _: None).run.state == "CANCELED"
    assert "It was cancelled" in pipelines.cancel(run.run_id)._repr_html_()


def test_whoever_stops_waiting_is_told_that_the_run_goes_on(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if "▸" in text:
                raise KeyboardInterrupt
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Interrupted())
    with pytest.raises(PromotionError, match=r"^waiting for the run hello .* was stopped; the run goes on$") as caught:
        pipelines.run("hello", do="succeed")
    [run] = pipelines.runs()
    assert caught.value.hint == f"status({run.run_id!r}) looks at it, cancel({run.run_id!r}) ends it."


def test_parameters_that_do_not_fit_start_nothing(api: Api, pipelines: Pipelines) -> None:
    with pytest.raises(InvalidInput, match=r"^hello-pipe has no parameter colour$"):
        pipelines.run("hello", colour="red")
    with pytest.raises(InvalidInput, match=r"has no pipeline nobody-made-it$"):
        pipelines.run("nobody-made-it")
    with pytest.raises(InvalidInput, match=r"^specs is not a list$"):
        pipelines.run("hello", specs=TEXT)
    assert api.get("/runs") == {}


def test_a_pipeline_of_this_package_is_uploaded_when_the_server_lacks_it(pipelines: Pipelines) -> None:
    with pytest.raises(InvalidInput, match=r"^promote-models has no parameter colour$"):
        pipelines.run("promote-models", colour="red")
    names = pipelines.upload("promote-models")
    assert list(names) == ["promote-models"]
    assert not names["promote-models"].endswith("-2")


def test_a_schedule_is_made_paused_resumed_and_removed(pipelines: Pipelines) -> None:
    made = pipelines.schedule("hello", cron="0 2 * * *", schedule_name="nightly", do="succeed")
    assert repr(made).splitlines()[0] == "nightly: created"
    assert "next: " in repr(made)
    assert len(read(made._repr_html_()).all("table")[0].all("tr")) == 1 + 3
    assert pipelines.schedule("hello", cron="0 2 * * *", schedule_name="nightly", do="succeed").action == "unchanged"

    paused = pipelines.pause("nightly")
    assert "It is paused" in paused._repr_html_()
    assert "next: " not in repr(paused)
    [listed] = pipelines.schedules()
    assert listed.schedule.paused
    assert read(pipelines.schedules()._repr_html_()).text.endswith("nightly hello 0 2 * * * UTC paused")
    assert "next: " in repr(pipelines.resume("nightly"))
    assert repr(pipelines.unschedule("nightly")) == "There are no schedules."


def test_whoever_stops_waiting_for_a_schedule_to_be_changed_is_told_how_it_stands(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait_for_ever(*arguments: Any) -> None:
        arguments[2].tell("waiting for a run to end")
        raise KeyboardInterrupt

    monkeypatch.setattr("modelcar_pipelines.notebook.pipelines.schedule", wait_for_ever)
    with pytest.raises(PromotionError) as caught:
        pipelines.schedule("hello", cron="0 2 * * *", schedule_name="nightly", do="succeed")
    assert str(caught.value) == (
        "stopped while the schedule nightly was changed; nothing of it fires until that is finished"
    )
    assert caught.value.hint == "Call it again when the active run has ended: what was begun is finished then."
    assert capsys.readouterr().err == "waiting for a run to end\n"


def test_what_a_notebook_uploads_runs_in_the_teams_image_where_it_has_one(
    api: Api, pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELCAR_STEP_IMAGE", "registry.example/team/step:7")
    pipelines.upload("promote-models")
    version = find_version(pipelines.server, "promote-models")
    executors = read_spec(pipelines.server, version)["deploymentSpec"]["executors"].values()
    assert {one["container"]["image"] for one in executors} == {"registry.example/team/step:7"}


def test_a_second_models_schedule_needs_a_name_and_the_table_tells_them_apart(pipelines: Pipelines) -> None:
    first = {**MAPPING, "modelRegistry": {**MAPPING["modelRegistry"], "registeredModel": "first"}}
    second = {**MAPPING, "modelRegistry": {**MAPPING["modelRegistry"], "registeredModel": "<b>second</b>"}}
    pipelines.schedule("promote-model", cron="0 2 * * *", spec=first)
    with pytest.raises(InvalidInput, match=r"^the schedule promote-model promotes first \(.*would take its place$"):
        pipelines.schedule("promote-model", cron="0 2 * * *", spec=second)
    pipelines.schedule("promote-model", cron="0 2 * * *", spec=second, schedule_name="second")
    table = read(pipelines.schedules()._repr_html_()).all("table")[0]
    assert [[cell.text for cell in row.all("td")][:3] for row in table.all("tr")[1:]] == [
        ["promote-model", "promote-model", "first (name in a.yaml)"],
        ["second", "promote-model", "<b>second</b> (name in a.yaml)"],
    ]


def test_runs_are_a_table_in_which_names_are_text_only() -> None:
    later = Run("r2", "retrain", "RUNNING", "p", "v", datetime(2026, 3, 2, tzinfo=UTC), None)
    runs = PipelineRuns([later, DONE])
    assert repr(runs).splitlines()[1] == "2026-03-01 12:00  r1  SUCCEEDED  promote-model <b>now</b>"
    table = read(runs._repr_html_()).all("table")[0]
    assert table.all("b") == []
    assert [cell.text for cell in table.all("tr")[2].all("td")] == [
        "promote-model <b>now</b>",
        "SUCCEEDED",
        "2026-03-01 12:00:00",
        "1 min 00 s",
        "r1",
    ]


def test_a_run_that_had_nothing_to_do_is_skipped_and_says_why() -> None:
    run = PipelineRun(outcome(skipped="nothing is new"), report=None)
    assert run.state == "SKIPPED"
    assert repr(run).splitlines()[0] == f"{DONE.name}: SKIPPED: nothing is new"
    assert "Nothing was done nothing is new" in read(run._repr_html_()).text


def test_a_report_is_shown_in_a_frame_in_which_nothing_runs() -> None:
    page = "<!DOCTYPE html><p onclick=\"x('&')\">hello</p>"
    drawn = read(PipelineRun(outcome(), report=page)._repr_html_())
    [frame] = drawn.all("iframe")
    assert frame.attributes["srcdoc"] == page
    assert frame.attributes["sandbox"] == "allow-popups"


def test_no_token_is_in_what_objects_show(api: Api, pipelines: Pipelines) -> None:
    run = pipelines.run("hello", do="succeed")
    shown = [pipelines, pipelines.server, run, pipelines.runs(), pipelines.schedules()]
    text = "".join(f"{one!r}{one._repr_html_() if hasattr(one, '_repr_html_') else ''}" for one in shown)
    assert TOKEN not in text
    assert repr(pipelines) == f"Pipelines at {api.url}"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.promote(5), "5 is no PromotionSpec"),
        (lambda p: p.promote(None), "None is no PromotionSpec"),
        (lambda p: p.promote_models("promotion.yaml"), "specs is not a list"),
        (lambda p: p.schedule("hello", cron=5), "5 is no schedule"),
        (lambda p: p.runs(0), "0 is no number of runs to show"),
    ],
)
def test_what_has_the_wrong_type_is_told_in_a_sentence(
    pipelines: Pipelines, ask: Callable[[Pipelines], object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        ask(pipelines)


def test_a_token_file_is_named_as_a_text_as_well(pipelines: Pipelines, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape(str(tmp_path / "nothing"))):
        connect(endpoint=pipelines.server.url, token_file=str(tmp_path / "nothing"), token_in_clear=True)
