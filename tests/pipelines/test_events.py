"""Events of a run: written a line each, read as they come."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modelcar_pipelines.events import (
    Event,
    EventReader,
    EventWriter,
    RunEvent,
    State,
    TaskEvent,
    format_event,
    parse_event,
)

AT = datetime(2026, 11, 25, 12, 0, 0, 7, tzinfo=UTC)
TASK = TaskEvent(AT, "build", "body/build", "Build", State.FAILED, 2, 137, "ended by SIGKILL")


def test_a_task_is_one_object_a_line() -> None:
    assert json.loads(format_event(TASK)) == {
        "event": "task",
        "at": "2026-11-25T12:00:00.000007Z",
        "task": "build",
        "path": "body/build",
        "display_name": "Build",
        "state": "FAILED",
        "attempt": 2,
        "exit_code": 137,
        "message": "ended by SIGKILL",
    }


def test_the_end_of_a_run_is_one_object_a_line() -> None:
    line = format_event(RunEvent(AT, State.SUCCEEDED))
    assert json.loads(line) == {
        "event": "run",
        "at": "2026-11-25T12:00:00.000007Z",
        "state": "SUCCEEDED",
        "message": "",
    }


@given(
    st.builds(
        TaskEvent,
        at=st.datetimes(timezones=st.just(UTC)),
        task=st.text(),
        path=st.text(),
        display_name=st.text(),
        state=st.sampled_from(State),
        attempt=st.integers(1),
        exit_code=st.none() | st.integers(0, 255),
        message=st.text(),
    )
    | st.builds(RunEvent, at=st.datetimes(timezones=st.just(UTC)), state=st.sampled_from(State), message=st.text())
)
def test_an_event_survives_being_written_and_read(event: Event) -> None:
    line = format_event(event)
    assert "\n" not in line
    assert parse_event(line) == event


def test_a_reader_gives_what_is_new_and_waits_for_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    reader = EventReader(file)
    assert reader.read() == []
    with closing(EventWriter(file)) as writer:
        writer.write(TASK)
    line = format_event(RunEvent(AT, State.FAILED, "é")).encode()
    middle = line.index("é".encode()) + 1
    with file.open("ab", buffering=0) as out:
        out.write(line[:middle])
        assert reader.read() == [TASK]
        out.write(line[middle:])
        assert reader.read() == []
        out.write(b"\n")
        assert reader.read() == [RunEvent(AT, State.FAILED, "é")]
    assert reader.read() == []
    reader.close()
