"""One local run, as kfp.local goes through it: names its tasks, tells what becomes of them, decides and fills in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modelcar_pipelines.condition import Condition
from modelcar_pipelines.events import Event, State, TaskEvent, now
from modelcar_pipelines.local_components import python_component
from modelcar_pipelines.local_process import Ended, Place, Steps
from modelcar_pipelines.local_values import (
    RunNames,
    describe,
    fill_constant,
    fill_inputs,
    to_json,
    without_missing_inputs,
)

STOPPED = "the run was stopped"


@dataclass
class _Task:
    """A task that a thread is at.

    Attributes:
        path: See `TaskEvent`.
        attempts: How many it may have at most.
        attempt: Number of the one under way; 0 before the first.
        ended: How the last one ended.
    """

    name: str
    path: str
    display_name: str
    is_step: bool
    attempts: int
    attempt: int = 0
    ended: Ended | None = None


class Graph:
    """The run; its methods stand in the places of functions of kfp.local (`local_seams.install`).

    A task's path travels in kfp.local's name of the pipeline, `<pipeline>/<path of the task that tasks are nested in>`:
    it is the only thing that kfp.local hands down to every level and every thread.

    Attributes:
        outputs: What steps gave: by path, then by name; artifacts as objects.
        failure: Why the first step that failed did; empty when none did.
        succeeded: Whether the whole pipeline did; None before its end.
    """

    original_execute_task: Callable[..., Any]
    original_run_dag: Callable[..., Any]
    original_run_loop: Callable[..., Any]
    original_arguments: Callable[..., dict[str, Any]]

    def __init__(
        self, place: Place, steps: Steps, names: RunNames, tell: Callable[[Event], None], *, backoff_factor: float
    ) -> None:
        self._place, self._steps, self._names, self._tell = place, steps, names, tell
        self._backoff_factor = backoff_factor
        self._states: dict[str, State] = {}
        self._loops: set[str] = set()
        self._here = threading.local()
        self.outputs: dict[str, dict[str, Any]] = {}
        self.failure = ""
        self.succeeded: bool | None = None

    # Tasks, groups of tasks and loops.

    def execute_task(self, *, task_name: str, task_spec: Any, **rest: Any) -> Any:
        """Run one task: a step, or a group of tasks. Raises nothing: what goes wrong is the task's failure."""
        from kfp.local import status

        component = rest["components"][task_spec.component_ref.name]
        path = self._path(task_name, rest["pipeline_resource_name"])
        is_step = component.WhichOneof("implementation") != "dag"
        with self._at(task_name, path, task_spec, is_step=is_step) as task:
            if self._steps.stopping.is_set():
                return {}, status.Status.FAILURE
            try:
                if not self._wanted(task_spec, rest["io_store"]):
                    self._say(
                        task, State.SKIPPED, message=f"its condition is false: {task_spec.trigger_policy.condition}"
                    )
                    return {}, status.Status.SUCCESS
                if not is_step or not rest["executors"][component.executor_label].HasField("container"):
                    self._say(task, State.RUNNING)
                task_spec = without_missing_inputs(task_spec, rest["io_store"])
                outputs, ended = self.original_execute_task(task_name=task_name, task_spec=task_spec, **rest)
            except Exception as error:
                self._fail(task, f"{type(error).__name__}: {error}")
                return {}, status.Status.FAILURE
            if ended == status.Status.FAILURE:
                self._fail(task, task.ended.message if task.ended else "")
            else:
                if is_step:
                    self.outputs[path] = {name: describe(value) for name, value in outputs.items()}
                self._say(task, State.SUCCEEDED)
            return outputs, ended

    def run_dag(self, *, pipeline_resource_name: str, dag_component_spec: Any, **rest: Any) -> Any:
        """Run the tasks of a group, or of the whole pipeline, and name those that were left out."""
        from kfp.local import status

        try:
            outputs, ended = self.original_run_dag(
                pipeline_resource_name=pipeline_resource_name, dag_component_spec=dag_component_spec, **rest
            )
        finally:
            for name, spec in dag_component_spec.dag.tasks.items():
                path = self._path(name, pipeline_resource_name)
                if path not in self._states:
                    self._leave_out(name, path, spec)
        if "/" not in pipeline_resource_name:
            self.succeeded = ended == status.Status.SUCCESS
        return outputs, ended

    def run_loop(self, *, task_name: str, task_spec: Any, io_store: Any, **rest: Any) -> bool:
        """Run the rounds of a loop; True when one failed, after all of them have ended."""
        path = self._path(task_name, rest["pipeline_resource_name"])
        self._loops.add(path)
        with self._at(task_name, path, task_spec, is_step=False) as task:
            self._say(task, State.RUNNING)
            try:
                if task_spec.WhichOneof("iterator") == "parameter_iterator":
                    task_spec = self._resolved_loop(task_spec, io_store)
                failed: bool = self.original_run_loop(
                    task_name=task_name, task_spec=task_spec, io_store=io_store, **rest
                )
            except Exception as error:
                self._fail(task, f"{type(error).__name__}: {error}")
                return True
            if failed:
                self._fail(task, "")
            else:
                self._say(task, State.SUCCEEDED)
            return failed

    # What kfp.local asks for on the way.

    def arguments(self, task_inputs_spec: Any, io_store: Any) -> dict[str, Any]:
        """The values of a task's inputs, with placeholders of the pipeline's author filled in."""
        values = self.original_arguments(task_inputs_spec, io_store)
        for name, spec in task_inputs_spec.parameters.items():
            if spec.HasField("runtime_value"):
                values[name] = fill_constant(
                    values[name], self._names, self._task.name, values if self._task.is_step else {}
                )
            elif spec.HasField("task_final_status"):
                values[name] = self._final_status(spec.task_final_status.producer_task)
        return values

    def command(self, full_command: Sequence[str], executor_input_dict: Mapping[str, Any], **_: Any) -> list[str]:
        """What `handler` needs of a step's command: source, ExecutorInput and function."""
        component = python_component(self._task.name, full_command)
        return [component.source, to_json(executor_input_dict), component.function]

    def handler(self, *, full_command: Sequence[str], env_vars: Mapping[str, str], **_: Any) -> _Handler:
        """What runs one attempt of a step."""
        return _Handler(lambda: self._attempt(full_command, env_vars))

    def pause(self, seconds: float) -> None:
        """Wait before the next attempt, and say so; ends at once when the run is stopped."""
        task = self._task
        if task.ended is None or task.ended.is_final or self._steps.stopping.is_set():
            return
        wait_s = seconds * self._backoff_factor
        again = f"attempt {task.attempt + 1} of {task.attempts} in {wait_s:g} s"
        self._say(task, State.RUNNING, message=f"{task.ended.message}\n{again}")
        self._steps.stopping.wait(wait_s)

    def root_name(self, pipeline_name: str) -> str:
        """The name that the root's tasks are handed."""
        return pipeline_name.replace("/", "-")

    def nested_name(self, task_name: str, pipeline_resource_name: str) -> str:
        """The name that tasks nested in this one are handed."""
        root = pipeline_resource_name.partition("/")[0]
        return f"{root}/{self._path(task_name, pipeline_resource_name)}"

    def task_root(self, **_: Any) -> str:
        """Where the outputs of the task that this thread is at go."""
        return str(self._place.artifacts / self._task.path)

    # Inside.

    @property
    def _task(self) -> _Task:
        task: _Task = self._here.task
        return task

    @contextmanager
    def _at(self, name: str, path: str, spec: Any, *, is_step: bool) -> Iterator[_Task]:
        """Remember, for this thread, which task it is at."""
        around = getattr(self._here, "task", None)
        task = _Task(name, path, self._display_name(path, spec), is_step, 1 + max(0, spec.retry_policy.max_retry_count))
        self._here.task = task
        try:
            yield task
        finally:
            self._here.task = around

    def _path(self, name: str, pipeline_resource_name: str) -> str:
        around = pipeline_resource_name.partition("/")[2]
        prefix = f"{around}/" if around else ""
        loop, _, number = name.rpartition("-iteration-")
        return f"{prefix}{loop}/iteration-{number}" if prefix + loop in self._loops else prefix + name

    def _display_name(self, path: str, spec: Any) -> str:
        loop, _, number = path.rpartition("/iteration-")
        name: str = spec.task_info.name or path.rpartition("/")[2]
        return f"{name}, round {int(number) + 1}" if loop in self._loops and "/" not in number else name

    def _say(self, task: _Task, state: State, message: str = "") -> None:
        self._states[task.path] = state
        code = task.ended.exit_code if task.ended else None
        event = TaskEvent(now(), task.name, task.path, task.display_name, state, max(1, task.attempt), code, message)
        self._tell(event)

    def _fail(self, task: _Task, message: str) -> None:
        if self._steps.stopping.is_set():
            message = STOPPED
        if message and not self.failure:
            self.failure = f"{task.display_name}: {message}"
        self._say(task, State.FAILED, message=message)

    def _leave_out(self, name: str, path: str, spec: Any) -> None:
        prefix = path[: len(path) - len(name)]
        unmet = [other for other in spec.dependent_tasks if self._states.get(prefix + other) != State.SUCCEEDED]
        why = STOPPED if self._steps.stopping.is_set() else f"did not succeed: {', '.join(unmet)}"
        with self._at(name, path, spec, is_step=False) as task:
            self._say(task, State.SKIPPED, message=why)

    def _attempt(self, full_command: Sequence[str], env: Mapping[str, str]) -> bool:
        task = self._task
        # kfp.local asks for every attempt that the pipeline allows; one that is in vain is not begun.
        if self._steps.stopping.is_set() or (task.ended is not None and task.ended.is_final):
            return False
        task.attempt, task.ended = task.attempt + 1, None
        self._say(task, State.RUNNING)
        source, executor_input, function = full_command
        task.ended = self._steps.run(
            task.path, source=source, executor_input=executor_input, function=function, env=env
        )
        return task.ended.exit_code == 0

    def _wanted(self, spec: Any, io_store: Any) -> bool:
        """Whether the task's condition holds, or it has none."""
        if not spec.trigger_policy.condition:
            return True
        condition = Condition(spec.trigger_policy.condition)
        inputs = type(spec.inputs)()
        for name in condition.inputs:
            inputs.parameters[name].CopyFrom(spec.inputs.parameters[name])
        values = self.arguments(inputs, io_store)
        return condition.holds([values[name] for name in condition.inputs])

    def _resolved_loop(self, spec: Any, io_store: Any) -> Any:
        """The loop with its items and its inputs as constants."""
        from kfp.compiler.pipeline_spec_builder import to_protobuf_value

        resolved = type(spec)()
        resolved.CopyFrom(spec)
        inputs = type(spec.inputs)(parameters=spec.inputs.parameters)
        values = self.arguments(inputs, io_store)
        for name, value in values.items():
            resolved.inputs.parameters[name].Clear()
            resolved.inputs.parameters[name].runtime_value.constant.CopyFrom(to_protobuf_value(value))
        items = spec.parameter_iterator.items
        given = values[items.input_parameter] if items.HasField("input_parameter") else items.raw
        listed = json.loads(given) if isinstance(given, str) else given
        if items.HasField("raw"):
            listed = [fill_inputs(item, values) for item in listed]
        resolved.parameter_iterator.items.raw = to_json(listed)
        return resolved

    def _final_status(self, producer: str) -> dict[str, Any]:
        """As the server gives it: the state in the words of its metadata store, and no error."""
        around = self._task.path.rpartition("/")[0]
        state = self._states.get(f"{around}/{producer}" if around else producer)
        return {
            "state": "FAILED" if state == State.FAILED else "COMPLETE",
            "pipelineTaskName": producer,
            "pipelineJobResourceName": self._names.resource,
            "error": {},
        }


@dataclass(frozen=True)
class _Handler:
    """kfp.local's interface of what runs a step."""

    attempt: Callable[[], bool]

    def run(self) -> Any:
        """Run the step; how it ended, in kfp.local's words."""
        from kfp.local import status

        return status.Status.SUCCESS if self.attempt() else status.Status.FAILURE
