"""A run's tasks as the real server lists them: the nodes of its Argo workflow.

Each task has a driver; a step has an executor below it, and one below that for each attempt when there were several. A
task detail does not say which node it is, but `child_tasks` names the nodes after it, by an id that follows from the
node's place: `WORKFLOW-` and the FNV-1a hash of `WORKFLOW.root.group.task.executor`. A step's pod has the same number,
after the name of a template.

Source: https://github.com/argoproj/argo-workflows/blob/main/workflow/util/pod_name.go
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from modelcar_pipelines.events import Event, TaskEvent
from modelcar_sandbox.kfp.run_states import FINAL, error_status
from modelcar_sandbox.kfp.times import NOT_ENDED, write_time

STEP_TEMPLATE: Final = "system-container-impl"
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of a text in UTF-8."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


@dataclass
class Node:
    """One node of the workflow.

    Attributes:
        place: Name among all nodes, `WORKFLOW.root.task`.
        title: `display_name` of the task detail.
        state: As far as it has come.
        start: When it began.
        end: When it ended; None while it runs.
        children: Places of the nodes after it.
        message: Why it failed.
    """

    place: str
    title: str
    state: str
    start: datetime
    end: datetime | None
    children: list[str] = field(default_factory=list)
    message: str = ""


def node_id(workflow: str, place: str) -> str:
    """What `child_tasks` calls a node."""
    return f"{workflow}-{fnv1a(place)}"


def step_path(workflow: str, paths: Sequence[str], identifier: str) -> str | None:
    """Which step somebody means.

    Args:
        workflow: Name of the run's workflow.
        paths: Of all tasks, `group/task`.
        identifier: Id of its executor's node, or name of its pod.

    Returns:
        Its path, or None when no step is called so.
    """
    for path in paths:
        number = fnv1a(f"{_place(workflow, path)}.executor")
        if identifier in {f"{workflow}-{number}", f"{workflow}-{STEP_TEMPLATE}-{number}"}:
            return path
    return None


def task_details(run: Mapping[str, Any], workflow: str, created: datetime, events: Sequence[Event]) -> list[Any]:
    """`run_details.task_details` of a run.

    Args:
        run: Its document, with the state that it is in.
        workflow: Name of its workflow.
        created: When the run was made.
        events: What its process told.

    Returns:
        A detail for each node, sorted by a random-looking id as there; none before the process told anything.
    """
    tasks = [event for event in events if isinstance(event, TaskEvent)]
    if not events:
        return []
    over = run["finished_at"] if run["state"] in FINAL else None
    nodes = _Workflow(workflow, tasks, str(run["state"]) if over else None, events[-1].at).nodes()
    details = [_detail(run["run_id"], workflow, write_time(created), node) for node in nodes]
    return sorted(details, key=lambda detail: str(detail["task_id"]))


class _Workflow:
    """The nodes that the events of a run stand for."""

    def __init__(self, name: str, events: Sequence[TaskEvent], final: str | None, last: datetime) -> None:
        self._name = name
        self._final = final
        self._last = last
        self._events: dict[str, list[TaskEvent]] = {}
        for event in events:
            for end, char in enumerate(event.path + "/"):
                if char == "/":
                    self._events.setdefault(event.path[:end], [])
            self._events[event.path].append(event)

    def nodes(self) -> Iterator[Node]:
        begun = min((event.at for events in self._events.values() for event in events), default=self._last)
        state, end = self._final or "RUNNING", self._last if self._final else None
        root, driver = f"{self._name}.root", f"{self._name}.root-driver"
        yield Node(self._name, self._name, state, begun, end, [driver])
        yield Node(driver, "root-driver", "SUCCEEDED", begun, begun, [root])
        yield Node(root, "root", state, begun, end, self._drivers(""))
        for path in self._events:
            yield from self._task_nodes(path)

    def _below(self, group: str) -> list[str]:
        prefix = f"{group}/" if group else ""
        return [p for p in self._events if p.startswith(prefix) and p != group and "/" not in p[len(prefix) :]]

    def _drivers(self, group: str) -> list[str]:
        return [f"{_place(self._name, path)}-driver" for path in self._below(group)]

    def _task_nodes(self, path: str) -> Iterator[Node]:
        task = self._task(path)
        yield Node(f"{task.place}-driver", f"{task.title}-driver", "SUCCEEDED", task.start, task.start, [task.place])
        group, executor = self._drivers(path), f"{task.place}.executor"
        task.children = group or ([] if task.state == "SKIPPED" else [executor])
        yield task
        if task.children == [executor]:
            yield from self._executor_nodes(executor, task, self._events[path])

    def _task(self, path: str) -> Node:
        """The node of a task; a group that tells nothing itself is as its tasks are."""
        inner = [self._task(below) for below in self._below(path)]
        own = self._events[path]
        start = own[0].at if own else min(node.start for node in inner)
        state = str(own[-1].state) if own else _together([node.state for node in inner])
        at = own[-1].at if own else self._last
        if state == "RUNNING" and self._final:
            state, at = "FAILED", self._last
        message = own[-1].message if own and state == "FAILED" else ""
        end = None if state == "RUNNING" else at
        return Node(_place(self._name, path), path.rpartition("/")[2], state, start, end, message=message)

    def _executor_nodes(self, place: str, task: Node, events: Sequence[TaskEvent]) -> Iterator[Node]:
        executor = Node(place, "executor", task.state, task.start, task.end, message=task.message)
        starts = {event.attempt: event for event in reversed(events)}
        if len(starts) > 1:
            executor.children = [f"{place}({number - 1})" for number in sorted(starts)]
        yield executor
        for number in sorted(starts) if len(starts) > 1 else ():
            last = number == max(starts)
            state, end = (task.state, task.end) if last else ("FAILED", starts[number + 1].at)
            name = f"executor({number - 1})"
            yield Node(f"{place}({number - 1})", name, state, starts[number].at, end)


def _place(workflow: str, path: str) -> str:
    return f"{workflow}.root.{path.replace('/', '.')}"


def _together(states: Sequence[str]) -> str:
    return next((state for state in ("RUNNING", "FAILED", "SUCCEEDED") if state in states), "SKIPPED")


def _detail(run_id: str, workflow: str, created: str, node: Node) -> dict[str, Any]:
    end = write_time(node.end) if node.end else NOT_ENDED
    history = [{"update_time": write_time(node.start), "state": "RUNNING"}] if node.state != "SKIPPED" else []
    if node.end:
        history.append({"update_time": end, "state": node.state})
    detail: dict[str, Any] = {
        "run_id": run_id,
        "task_id": str(uuid.uuid5(uuid.UUID(run_id), node.place)),
        "display_name": node.title,
        "create_time": created,
        "start_time": write_time(node.start),
        "end_time": end,
        "state": node.state,
        "state_history": history,
    }
    if node.children:
        detail["child_tasks"] = [{"pod_name": node_id(workflow, child)} for child in node.children]
    if node.message:
        detail["error"] = error_status(node.message)
    return detail
