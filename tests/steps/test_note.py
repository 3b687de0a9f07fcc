"""The note that a failed step leaves is found again, whatever stands around it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.steps.note import VARIABLE, Note, find_note, leave_note

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cs", "Cc"]), min_size=1)
ONE = Note("Build and push", "the registry is full", "Delete images.", 1)


@given(st.builds(Note, st.just("Patch"), LINES, st.none() | LINES, st.sampled_from([1, 2, 143])))
def test_a_note_is_found_in_the_log_that_ends_with_it(note: Note) -> None:
    log = f"pushing 3 files\nError: exit status 7 of something else\n{note}\nE1125 launcher: exit status 1\n"
    assert find_note(log) == note


def test_a_note_says_which_model_it_is_about() -> None:
    note = Note("Resolve", "no such model", "Check the name.", 2, "demo-llama")
    assert str(note).splitlines()[-1] == 'modelcar step "Resolve" of "demo-llama" ended with exit code 2.'
    found = find_note(str(note))
    assert found is not None
    assert (found, found.model) == (note, "demo-llama")


def test_a_message_of_several_lines_stays_whole() -> None:
    note = Note("Resolve", "spec:1: model: unknown\nspec:2: image: is required", "See the reference.", 2)
    assert find_note(str(note)) == note


def test_the_last_note_counts() -> None:
    assert find_note(f"{ONE}\n{Note('Patch', 'later', None, 2)}\n") == Note("Patch", "later", None, 2)


@pytest.mark.parametrize("text", ["", "Error: exit status 1", 'modelcar step "Patch" ended with exit code 2.'])
def test_other_texts_hold_no_note(text: str) -> None:
    assert find_note(text) is None


def test_a_note_goes_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "note"))
    leave_note(ONE)
    assert (tmp_path / "note").read_text() == (
        'Error: the registry is full\n-> Delete images.\nmodelcar step "Build and push" ended with exit code 1.'
    )


def test_a_note_is_cut_to_what_kubernetes_keeps_and_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "note"))
    leave_note(Note("Resolve", "é" * 5000, "See the reference.", 2))
    text = (tmp_path / "note").read_bytes()
    found = find_note(text.decode())
    assert len(text) <= 4096
    assert found is not None
    assert (found.hint, found.exit_code, set(found.message)) == ("See the reference.", 2, {"é"})


def test_a_place_that_cannot_be_written_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing" / "note"))
    leave_note(ONE)
