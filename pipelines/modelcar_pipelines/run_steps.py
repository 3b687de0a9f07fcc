"""The steps of a run on a server, by what the server tells of it at each look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelcar_pipelines.events import State, TaskEvent

_STATES = {
    "RUNNING": State.RUNNING,
    "SUCCEEDED": State.SUCCEEDED,
    "CACHED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "ERROR": State.FAILED,
    "SKIPPED": State.SKIPPED,
    "OMITTED": State.SKIPPED,
}


class Follower:
    """Tells each change of a run's steps once; steps of one name, as in loops, are counted.

    Attributes:
        tasks: The last event of each step, by path.
        seconds: That each step took which has ended, by path.
    """

    def __init__(self, titles: Mapping[str, str], tell: Callable[[TaskEvent], None]) -> None:
        self._titles, self._tell = titles, tell
        self._numbers: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self.tasks: dict[str, TaskEvent] = {}
        self.seconds: dict[str, float] = {}

    def look(self, answer: Any) -> None:
        """Take a look at the run as the server has it now."""
        begun = [one for one in run_nodes(answer) if one.display_name in self._titles and one.state in _STATES]
        # The server tells whole seconds; of one second, the pipeline tells what came first.
        order = list(self._titles)
        for one in sorted(begun, key=lambda one: (one.start_time or one.create_time, order.index(one.display_name))):
            event = self._event(one, _STATES[one.state])
            known = self.tasks.get(event.path)
            if known is None and event.state in (State.SUCCEEDED, State.FAILED):
                self._tell(replace(event, at=one.start_time or event.at, state=State.RUNNING))
            if known is None or known.state != event.state:
                self.tasks[event.path] = event
                if event.state in (State.SUCCEEDED, State.FAILED):
                    self.seconds[event.path] = (event.at - (one.start_time or event.at)).total_seconds()
                self._tell(event)

    @property
    def running(self) -> bool:
        """Whether a step has begun and not ended, by the last look."""
        return any(event.state is State.RUNNING for event in self.tasks.values())

    def _event(self, one: Any, state: State) -> TaskEvent:
        name = one.display_name
        if one.task_id not in self._numbers:
            self._counts[name] = self._numbers[one.task_id] = self._counts.get(name, 0) + 1
        number = self._numbers[one.task_id]
        suffix = f" {number}" if number > 1 else ""
        ended = one.end_time if state is not State.RUNNING else None
        at = ended or one.start_time or one.create_time
        return TaskEvent(at, name, f"{name}{suffix}", f"{self._titles[name]}{suffix}", state)


def run_nodes(answer: Any) -> list[Any]:
    """Nodes of the run's workflow, which are tasks, drivers and what holds them."""
    return list((answer.run_details.task_details if answer.run_details is not None else None) or ())


def find_steps(spec: Mapping[str, Any]) -> dict[str, str]:
    """Titles of the tasks that run something, by their names in the pipeline, in the order in which they can run.

    Args:
        spec: The PipelineSpec, as an object.
    """
    return dict(_walk(spec.get("root", {}), spec.get("components", {})))


def _walk(component: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    left = dict(component.get("dag", {}).get("tasks", {}))
    while left:
        ready = [name for name, task in left.items() if not set(task.get("dependentTasks", ())) & left.keys()]
        for name in ready or list(left):  # a circle would be the server's to refuse
            task = left.pop(name)
            inner = components.get(task["componentRef"]["name"], {})
            if "executorLabel" in inner:
                yield name, task.get("taskInfo", {}).get("name", name)
            yield from _walk(inner, components)
