"""How a local run's end is shown, whatever it left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcar.steps.note import RESULT, Note
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.local_run import LocalRun
from modelcar_pipelines.runs import Outcome, Run
from modelcar_pipelines.showing import show_lists, show_local, show_outcome

REPORT = "exit-handler-1/report-promotion"
EVENT = TaskEvent(datetime(2026, 3, 1, tzinfo=UTC), "report-promotion", REPORT, "Report", State.SUCCEEDED)


def ended(directory: Path) -> LocalRun:
    return LocalRun(State.SUCCEEDED, "", directory, {REPORT: EVENT}, {})


def test_a_local_run_says_what_its_promotion_has_come_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = ended(tmp_path)
    done.log(REPORT).parent.mkdir()
    done.log(REPORT).write_text(f"reading\n{RESULT}Nothing was new: no commit was made.\n")
    assert show_local(done) == 0
    assert capsys.readouterr().err.splitlines()[0] == "SUCCEEDED: Nothing was new: no commit was made."


PROMOTED = "a.yaml on main names the new image."


def show(capsys: pytest.CaptureFixture[str], state: str, skipped: str, results: list[str], notes: list[Note]) -> str:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    run = Run("1", "promote-models", state, "", "", now, now)
    show_outcome(Outcome(run, {}, tuple(notes), skipped, "URL", {}, tuple(results)))
    return capsys.readouterr().err


def test_a_run_with_one_promotion_ends_with_what_it_has_come_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(capsys, "SUCCEEDED", "", [PROMOTED], []) == f"SUCCEEDED: {PROMOTED}\nURL\n"
    assert show(capsys, "SUCCEEDED", "on hold", [], []) == "SKIPPED: on hold\nURL\n"


def test_what_became_of_one_model_is_not_said_of_a_run_in_which_another_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note = Note("Resolve", "there is no such model", "Check the name.", 2, "b")
    assert show(capsys, "FAILED", "", [PROMOTED], [note]).splitlines() == [
        "FAILED",
        f"  {PROMOTED}",
        "Resolve of b: there is no such model",
        "  Check the name.",
        "URL",
    ]


def test_a_run_in_which_one_model_was_skipped_and_another_promoted_says_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show(capsys, "SUCCEEDED", "b is on hold", [PROMOTED], []).splitlines() == [
        "SUCCEEDED",
        f"  {PROMOTED}",
        "  skipped: b is on hold",
        "URL",
    ]


def test_of_one_failed_step_it_need_not_be_said_for_which_model(capsys: pytest.CaptureFixture[str]) -> None:
    note = Note("Resolve", "there is no such model", None, 2, "b")
    assert show(capsys, "FAILED", "", [], [note]) == "FAILED\nResolve: there is no such model\nURL\n"


def test_a_local_run_whose_log_is_gone_ends_as_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_local(ended(tmp_path)) == 0
    assert capsys.readouterr().err.splitlines()[0] == "SUCCEEDED"


def test_a_server_without_pipelines_and_runs_is_told_so_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_lists([], [])
    assert capsys.readouterr() == ("", "There are none. modelcar pipeline upload puts some there.\n")
