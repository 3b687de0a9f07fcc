"""What a step hands on: results of Tekton, as far as there is room for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcar.errors import InvalidInput
from modelcar.steps.note import Note, find_note
from modelcar_tekton.results import ROOM_BYTES, write_failure, write_results

FULL = Note("Build and push", "the registry is full", "Delete images.", 1)


def test_each_result_is_a_file_of_its_name(tmp_path: Path) -> None:
    write_results({"image": "a@sha256:b", "record": "two\nlines\n"}, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "image": b"a@sha256:b",
        "record": b"two\nlines\n",
    }


def test_results_that_have_no_room_are_refused_by_name_and_none_is_written(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"take \d+ bytes, and Tekton hands on 4096; the longest is record with 3"
    ) as e:
        write_results({"image": "x" * 500, "record": "y" * 3500}, tmp_path)
    assert e.value.hint == "Hand on an address or a digest instead of what is behind it."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("letter", ["<", "\u2028", '"', "ä"])
def test_what_takes_more_room_in_the_message_is_counted_as_that(tmp_path: Path, letter: str) -> None:
    write_results({"x": letter * 500}, tmp_path)
    with pytest.raises(InvalidInput):
        write_results({"x": letter * 2000}, tmp_path)


def test_a_failure_is_the_steps_note(tmp_path: Path) -> None:
    write_failure(FULL, tmp_path)
    assert find_note((tmp_path / "failure").read_text()) == FULL


def test_a_failure_keeps_the_way_out_however_long_its_message_is(tmp_path: Path) -> None:
    write_failure(Note("Patch", "<&>" * 5000, "Delete images.", 2), tmp_path)
    text = (tmp_path / "failure").read_text()
    note = find_note(text)
    assert note is not None
    assert (note.step, note.hint, note.exit_code) == ("Patch", "Delete images.", 2)
    assert len(note.message) > 100
    assert len(json.dumps(text).encode()) < ROOM_BYTES
