"""How a run on a server ended: why it failed, what it has come to, and whether somebody cancelled it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from modelcar.steps.note import Note, find_note
from modelcar_pipelines.connection import Server
from modelcar_pipelines.run_reports import read_log
from modelcar_pipelines.run_steps import run_nodes

_FAILED = ("FAILED", "ERROR")
_DRIVER = "-driver"
"""How names of the pods end with which KFP prepares a task; they are not ours, and can fail by themselves."""


def find_notes(server: Server, answer: Any) -> list[Note]:
    """Why a run failed, oldest first.

    What failed steps wrote at the end of their logs, as far as the server keeps those. When there is nothing of that,
    the pods of Kubeflow's own that failed (seen on a loaded node: Argo stops the container that waits for a driver
    before that has begun, and the run fails though all of its steps succeed).

    Args:
        server: Where it ran.
        answer: The run as the server has it.
    """
    return list(_notes_of_steps(server, answer)) or ([] if was_cancelled(answer) else list(_notes_of_drivers(answer)))


def _notes_of_steps(server: Server, answer: Any) -> Iterator[Note]:
    failed = _failed(answer)
    nodes = dict.fromkeys(child.pod_name for one in failed for child in one.child_tasks or () if child.pod_name)
    found: dict[str, Note] = {}
    for node in nodes:
        note = find_note(read_log(server, answer.run_id, node))
        if note is not None:
            found[str(note)] = note
    yield from found.values()


def _notes_of_drivers(answer: Any) -> Iterator[Note]:
    for one in _failed(answer):
        if (one.display_name or "").endswith(_DRIVER):
            task = one.display_name.removesuffix(_DRIVER)
            message = f"its pod {one.display_name}, which prepares {task}, failed; that is no step of the pipeline"
            yield Note("Kubeflow", message, "Run it again: what was done is found.", 1)


def _failed(answer: Any) -> list[Any]:
    failed = [one for one in run_nodes(answer) if one.state in _FAILED]
    return sorted(failed, key=lambda one: one.start_time or one.create_time)


def find_told(server: Server, answer: Any, task: str, find: Callable[[str], str | None]) -> tuple[str, ...]:
    """What the logs of a task say, for each model of the run that it ran for; each sentence once.

    Args:
        server: Where it ran.
        answer: The run as the server has it.
        task: By its name in the pipeline.
        find: Finds the sentence in a log.
    """
    ended = [one for one in run_nodes(answer) if one.display_name == task and one.state == "SUCCEEDED"]
    nodes = [child.pod_name for one in ended for child in one.child_tasks or () if child.pod_name]
    told = (find(read_log(server, answer.run_id, node)) for node in nodes)
    return tuple(dict.fromkeys(sentence for sentence in told if sentence is not None))


def was_cancelled(answer: Any) -> bool:
    """Whether a run that ended as FAILED was cancelled, which only its history tells (measured on 2.17).

    It was CANCELING; or, when that was before its first step, in a state that the server has no word for. Other runs
    are in that state too, for instance when a step is tried again; but of these a step has ended.
    """
    history = [one.state for one in answer.state_history or ()]
    if answer.state not in ("FAILED", "CANCELED"):
        return False
    step_ended = any(
        one.state in ("SUCCEEDED", "FAILED") and (one.display_name or "").startswith("executor")
        for one in run_nodes(answer)
    )
    return "CANCELED" in (*history, answer.state) or "CANCELING" in history or (None in history and not step_ended)
