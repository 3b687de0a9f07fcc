"""How a local run's end is shown, whatever it left."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcar.steps.note import RESULT
from modelcar_pipelines.events import State, TaskEvent
from modelcar_pipelines.local_run import LocalRun
from modelcar_pipelines.showing import show_local

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


def test_a_local_run_whose_log_is_gone_ends_as_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_local(ended(tmp_path)) == 0
    assert capsys.readouterr().err.splitlines()[0] == "SUCCEEDED"
