"""How a run's state and history come about, from what its process tells and how it ends.

The real server ends a run that was terminated as FAILED: `CANCELING`, and then `FAILED`, are the last states of its
history (measured). So do we.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from modelcar_pipelines.events import Event, RunEvent
from modelcar_sandbox.kfp.refusal import invalid
from modelcar_sandbox.kfp.times import write_time

ACTIVE: Final = frozenset({"PENDING", "RUNNING"})
FINAL: Final = frozenset({"SUCCEEDED", "FAILED"})
TERMINATED: Final = "The run was terminated."
STOPPED: Final = "The server stopped while the run was under way."
_UNKNOWN: Final = 2  # gRPC's code for an error that is not the server's own


def advance(document: dict[str, Any], state: str, at: datetime) -> None:
    """Put a run into a state; nothing changes when it is in it."""
    document["state"] = state
    history = document["state_history"]
    if not history or history[-1]["state"] != state:
        history.append({"update_time": write_time(at), "state": state})


def observe(document: dict[str, Any], events: Sequence[Event], now: datetime) -> None:
    """A run whose process has told something is running."""
    if document["state"] == "PENDING" and events:
        advance(document, "RUNNING", now)


def cancel(document: dict[str, Any], events: Sequence[Event], now: datetime) -> None:
    """Ask a run to end.

    Raises:
        Refusal: 400, it has ended or was asked before.
    """
    if document["state"] not in ACTIVE:
        raise invalid(f"Failed to terminate a run {document['run_id']}. Row not found")
    observe(document, events, now)
    advance(document, "CANCELING", now)


def conclude(document: dict[str, Any], events: Sequence[Event], now: datetime, otherwise: str) -> None:
    """Put a run whose process has ended into its last state.

    Args:
        document: The run.
        events: All that its process told. The last says how the run ended; if it does not, the run has failed.
        now: When it ended.
        otherwise: Why, when the process did not say.
    """
    observe(document, events, now)
    last = events[-1] if events else None
    ended = last if isinstance(last, RunEvent) else None
    if document["state"] == "CANCELING":
        otherwise = TERMINATED
    state, message = (str(ended.state), ended.message) if ended else ("FAILED", otherwise)
    if state == "FAILED":
        document["error"] = error_status(message)
    document["finished_at"] = write_time(now)
    advance(document, state, now)


def error_status(message: str) -> dict[str, Any]:
    """An error as the API has it."""
    return {"code": _UNKNOWN, "message": message}
