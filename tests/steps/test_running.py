"""A step ends like a command: one sentence, a hint, an exit code, and a note."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from modelcar.errors import InvalidInput, SourceError
from modelcar.steps.note import VARIABLE, find_note
from modelcar.steps.running import step


class Outputs(NamedTuple):
    text: str


@pytest.fixture(autouse=True)
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the note goes; the signal handler that a step sets is put back."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "note"))
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "note"
    signal.signal(signal.SIGTERM, before)


def test_a_step_that_succeeds_gives_its_outputs_and_leaves_no_note(note: Path) -> None:
    assert step("Try")(lambda: Outputs("done"))() == Outputs("done")
    assert not note.exists()


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            InvalidInput("the spec is empty", hint="Write it."),
            2,
            'Error: the spec is empty\n-> Write it.\nmodelcar step "Try" ended with exit code 2.\n',
        ),
        (SourceError("the Hub is away"), 1, 'Error: the Hub is away\nmodelcar step "Try" ended with exit code 1.\n'),
        (
            KeyboardInterrupt(),
            143,
            "Error: stopped from outside\n-> Run it again: what was done is found.\n"
            'modelcar step "Try" ended with exit code 143.\n',
        ),
        (
            ZeroDivisionError("by zero"),
            1,
            "Error: ZeroDivisionError: by zero\n-> This is a fault in modelcar; MODELCAR_DEBUG=1 shows where.\n"
            'modelcar step "Try" ended with exit code 1.\n',
        ),
    ],
)
def test_a_step_that_fails_says_why_and_what_to_do(
    error: BaseException, code: int, told: str, note: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        step("Try")(fail)()
    assert caught.value.code == code
    assert capsys.readouterr().err == told
    assert f"{note.read_text()}\n" == told


def test_debug_shows_the_traceback_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MODELCAR_DEBUG", "1")
    with pytest.raises(SystemExit):
        step("Try")(lambda: 1 // 0)()
    assert "Traceback" in capsys.readouterr().err


def test_an_output_that_no_runner_hands_on_is_refused(note: Path) -> None:
    assert step("Try")(lambda: Outputs("é" * 256))() == Outputs("é" * 256)
    with pytest.raises(SystemExit):
        step("Try")(lambda: Outputs("é" * 257))()
    found = find_note(note.read_text())
    assert found is not None
    assert found.message == "text would be 514 bytes; 512 can be handed to the next step"
