"""Check 33: the Tekton pipelines hang together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import describe, name_of, seconds, strings
from gitops_tree.tree import Object, Tree

_REFERENCE: Final = re.compile(r"\$\(([^()]+)\)")
_TASK_RESULT: Final = re.compile(r"tasks\.([\w-]+)\.results\.([\w-]+)")
_CONTEXT: Final = frozenset(
    {"pipelineRun.name", "pipelineRun.namespace", "pipelineRun.uid", "pipeline.name", "pipelineTask.retries"}
)
_TASK_CONTEXT: Final = frozenset({"taskRun.name", "taskRun.namespace", "taskRun.uid", "task.name", "task.retry-count"})


@dataclass(frozen=True)
class _Scope:
    """What a text may refer to.

    Attributes:
        params: Types by name.
        results: Types by `task.result`.
        tasks: Names whose status may be asked.
        workspaces: Names.
        whole: References that are allowed as they are.
    """

    params: Mapping[str, str]
    results: Mapping[str, str]
    tasks: Set[str]
    workspaces: Set[str]
    whole: Set[str]

    def type_of(self, reference: str) -> str | None:
        """The type of what is referred to, None when there is nothing of that name."""
        kind, _, rest = reference.partition(".")
        if kind == "params":
            return self.params.get(rest)
        if found := _TASK_RESULT.fullmatch(reference):
            return self.results.get(f"{found[1]}.{found[2]}")
        if kind == "workspaces":
            name, _, field = rest.partition(".")
            return "string" if name in self.workspaces and field in ("path", "bound", "claim", "volume") else None
        if kind == "tasks" and rest.removesuffix(".status") in self.tasks:
            return "string"
        return "string" if reference in self.whole else None

    def unknown(self, value: Any) -> Iterator[str]:
        """References in a value to what there is not."""
        for text in strings(value):
            for reference in _REFERENCE.findall(text):
                if self.type_of(reference) is None:
                    yield reference


@check(33, "In each Pipeline all that is referred to is there, of its type; no circle; the tasks fit the run's time")
def pipelines(tree: Tree) -> Iterator[str]:
    for one in tree.tekton_pipelines:
        limits = [run["spec"].get("timeouts", {}).get("pipeline", "1h") for run in _runs(tree, name_of(one))]
        yield from (f"{describe(one)}: {problem}" for problem in _pipeline(one["spec"], limits))


def _runs(tree: Tree, name: str) -> list[Object]:
    return [run for run in tree.sample_runs.values() if run["spec"]["pipelineRef"]["name"] == name]


def _pipeline(spec: Object, limits: list[str]) -> Iterator[str]:
    tasks, last = spec["tasks"], spec.get("finally", [])
    scope = _scope(spec, _types_of_results(tasks))
    for task in tasks:
        yield from _task(task, scope)
    handled = _scope(spec, _types_of_results(tasks), {"status", *(task["name"] for task in tasks)})
    for task in last:
        yield from _task(task, handled)
        for reference in _results_read(task):
            yield f"task {task['name']} runs last and reads {reference}, which is not there when that is skipped"
    for result in spec.get("results", ()):
        yield from (f"result {result['name']}: there is no {one}" for one in scope.unknown(result["value"]))
    yield from _circle(tasks)
    needed = sum(
        seconds(task["timeout"]) * (task.get("retries", 0) + 1) for task in (*tasks, *last) if "timeout" in task
    )
    yield from (f"task {task['name']} has no timeout" for task in (*tasks, *last) if "timeout" not in task)
    for limit in limits:
        if needed > seconds(limit):
            yield f"its tasks may take {needed} s with their retries, and a run has {limit}"


def _scope(spec: Object, results: Mapping[str, str], asked: Set[str] = frozenset()) -> _Scope:
    params = {one["name"]: one.get("type", "string") for one in spec.get("params", ())}
    workspaces = {one["name"] for one in spec.get("workspaces", ())}
    return _Scope(params, results, asked, workspaces, {f"context.{one}" for one in _CONTEXT})


def _types_of_results(tasks: list[Object]) -> dict[str, str]:
    return {
        f"{task['name']}.{one['name']}": one.get("type", "string")
        for task in tasks
        for one in task["taskSpec"].get("results", ())
    }


def _task(task: Object, scope: _Scope) -> Iterator[str]:
    who, inner = f"task {task['name']}", task["taskSpec"]
    outer = {key: value for key, value in task.items() if key != "taskSpec"}
    yield from (f"{who}: there is no {one}" for one in scope.unknown(outer))
    yield from (f"{who}: {problem}" for problem in _params(task, scope))
    taken = {one["name"] for one in inner.get("workspaces", ())}
    given = {one["name"]: one.get("workspace", one["name"]) for one in task.get("workspaces", ())}
    yield from (f"{who} is not given the workspace {one}" for one in sorted(taken - set(given)))
    for name, source in given.items():
        if name not in taken or source not in scope.workspaces:
            yield f"{who}: there is no workspace {source} to give as {name}"
    own = _Scope(
        {one["name"]: one.get("type", "string") for one in inner.get("params", ())},
        {},
        frozenset(),
        taken,
        {f"context.{one}" for one in _TASK_CONTEXT} | {f"results.{one['name']}.path" for one in inner["results"]},
    )
    yield from (f"{who}: its steps name {one}, which it has not" for one in sorted(set(own.unknown(inner))))


def _params(task: Object, scope: _Scope) -> Iterator[str]:
    taken = {one["name"]: one for one in task["taskSpec"].get("params", ())}
    given = {one["name"]: one["value"] for one in task.get("params", ())}
    yield from (f"it has no parameter {name}" for name in given if name not in taken)
    for name, one in taken.items():
        if name not in given and "default" not in one:
            yield f"it is not given the parameter {name}"
        reference = _REFERENCE.fullmatch(str(given.get(name)))
        found = reference and scope.type_of(reference[1])
        if found and found != one.get("type", "string"):
            yield f"its parameter {name} is of type {one.get('type', 'string')} and is given {found}"


def _results_read(task: Object) -> list[str]:
    outer = {key: value for key, value in task.items() if key != "taskSpec"}
    return [one[0] for text in strings(outer) for one in _TASK_RESULT.finditer(text)]


def _circle(tasks: list[Object]) -> Iterator[str]:
    before = {
        task["name"]: {*task.get("runAfter", ()), *(one.split(".")[1] for one in _results_read(task))} for task in tasks
    }
    for name, earlier in before.items():
        yield from (f"task {name} comes after {one}, which is no task" for one in sorted(earlier - set(before)))
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        yield f"its tasks wait for each other: {' before '.join(error.args[1])}"
