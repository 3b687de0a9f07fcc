"""A compiled pipeline as a flat graph of tasks, which is all that Tekton knows.

Groups of tasks (conditions, the exit handler) are dissolved: what a group takes is followed to where it comes from, and
its condition is that of each task in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from modelcar.errors import InvalidInput
from modelcar_pipelines.condition import Condition
from modelcar_pipelines.pipeline_file import PipelineFile

ELSEWHERE: Final = "Leave it out of pipelines that are compiled to Tekton, or run this one on Kubeflow Pipelines."


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the pipeline."""

    value: Any


@dataclass(frozen=True, slots=True)
class FromParameter:
    """The value of a parameter of the pipeline."""

    name: str


@dataclass(frozen=True, slots=True)
class FromResult:
    """What a task gives."""

    task: str
    key: str


@dataclass(frozen=True, slots=True)
class FinalStatus:
    """How the tasks before ended."""


Source = Constant | FromParameter | FromResult | FinalStatus


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value that has to be, or must not be, a constant.

    Attributes:
        source: Of the value.
        equal: Whether it has to be.
        constant: A string, a whole number or a boolean.
    """

    source: Source
    equal: bool
    constant: str | int | bool


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    Attributes:
        name: Unique in the graph.
        title: What people read.
        component: As the PipelineSpec has it.
        label: Of its executor.
        inputs: By name; what is left out keeps the component's default.
        when: All of them must hold, or the task is left out.
        after: Names of tasks that must have ended, whether or not it takes something of theirs.
        retries: How often it is tried again.
        backs_off: Whether the pipeline wants a pause before that.
    """

    name: str
    title: str
    component: Mapping[str, Any]
    label: str
    inputs: Mapping[str, Source]
    when: tuple[Comparison, ...]
    after: tuple[str, ...]
    retries: int
    backs_off: bool

    def constants(self) -> Iterator[tuple[str, Constant]]:
        """Inputs whose values stand in the pipeline."""
        yield from ((name, source) for name, source in self.inputs.items() if isinstance(source, Constant))


@dataclass(frozen=True, slots=True)
class Graph:
    """A pipeline.

    Attributes:
        tasks: In the order in which they can run.
        last: Those of the exit handler, which run at the end whatever happened.
    """

    tasks: tuple[Task, ...]
    last: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Where in the pipeline a walk is."""

    scope: Mapping[str, Source]
    when: tuple[Comparison, ...] = ()
    after: tuple[str, ...] = ()
    inner: bool = False


def flatten(file: PipelineFile) -> Graph:
    """The tasks of a compiled pipeline.

    Raises:
        InvalidInput: It has something that this compiler does not put into Tekton; names the task and the feature.
    """
    components = file.spec.get("components", {})
    root = file.spec["root"]
    inputs = root.get("inputDefinitions", {})
    if inputs.get("artifacts"):
        raise refuse("the pipeline", f"takes the artifact {next(iter(inputs['artifacts']))}")
    scope: dict[str, Source] = {name: FromParameter(name) for name in inputs.get("parameters", {})}
    found = list(_walk(root, components, _Group(scope)))
    names = [task.name for task, _ in found]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise refuse(double, "stands twice, in two pipelines of which one is in the other")
    return Graph(tuple(task for task, last in found if not last), tuple(task for task, last in found if last))


def refuse(task: str, feature: str, way_out: str = ELSEWHERE) -> InvalidInput:
    """What cannot be compiled, as an error to raise."""
    return InvalidInput(f"{task} {feature}, which is not compiled to Tekton", hint=way_out)


def _walk(component: Mapping[str, Any], components: Mapping[str, Any], group: _Group) -> Iterator[tuple[Task, bool]]:
    """The tasks of a group, and whether each is one that runs last."""
    tasks = component["dag"]["tasks"]
    if component["dag"].get("outputs"):
        raise refuse(f"a group with {next(iter(tasks))}", "hands on what its tasks give (dsl.OneOf, dsl.Collected)")
    ends: dict[str, tuple[str, ...]] = {}  # names of the tasks that a name in this group stands for
    for name in _in_order(tasks):
        task = tasks[name]
        _check_task(name, task)
        inner = components[task["componentRef"]["name"]]
        last = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        before = () if last else tuple(end for one in task.get("dependentTasks", ()) for end in ends[one])
        inputs = {key: _source(name, given, group.scope) for key, given in _inputs(task).items()}
        condition = task.get("triggerPolicy", {}).get("condition")
        here = replace(
            group,
            when=(*group.when, *(_comparisons(name, condition, inputs) if condition else ())),
            after=tuple(dict.fromkeys((*group.after, *before))),
        )
        if "dag" in inner:
            if last:
                raise refuse(name, "is a group of tasks that runs last")
            if "retryPolicy" in task:
                raise refuse(name, "is a pipeline that is tried again as a whole", "Let its tasks be tried again.")
            made = list(_walk(inner, components, replace(here, scope=_scope(inner, inputs), inner=True)))
            yield from made
            ends[name] = tuple(one.name for one, _ in made)
        else:
            if last and (group.inner or not _is_exit_handler(name, tasks)):
                raise refuse(
                    name,
                    "runs after a part of the pipeline, whatever happened there",
                    "Put all other tasks into one dsl.ExitHandler.",
                )
            yield _make_task(name, task, inner, inputs, here), last
            ends[name] = (name,)


def _is_exit_handler(name: str, tasks: Mapping[str, Any]) -> bool:
    """Whether a task runs after all the others, which are in one group of their own: Tekton's `finally`."""
    others = [one for one in tasks if one != name]
    return (
        tasks[name].get("dependentTasks") == others
        and len(others) == 1
        and tasks[others[0]]["componentRef"]["name"].startswith("comp-exit-handler-")
    )


def _scope(group: Mapping[str, Any], given: Mapping[str, Source]) -> dict[str, Source]:
    """What the tasks of a group can take: what it is given, and for the rest the defaults of a nested pipeline."""
    declared = group.get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: Constant(one["defaultValue"]) for name, one in declared.items() if "defaultValue" in one}
    return {**defaults, **given}


def _make_task(
    name: str, task: Mapping[str, Any], component: Mapping[str, Any], inputs: Mapping[str, Source], group: _Group
) -> Task:
    retry = task.get("retryPolicy", {})
    return Task(
        name,
        task.get("taskInfo", {}).get("name", name),
        component,
        component["executorLabel"],
        inputs,
        group.when,
        group.after,
        int(retry.get("maxRetryCount", 0)),
        retry.get("backoffDuration", "0s") != "0s",
    )


def _check_task(name: str, task: Mapping[str, Any]) -> None:
    if "parameterIterator" in task or "artifactIterator" in task or "iteratorPolicy" in task:
        raise refuse(name, "is a loop (dsl.ParallelFor)")
    if task.get("componentRef", {}).get("name", "").startswith("comp-importer"):
        raise refuse(name, "imports an artifact (dsl.importer)")
    if task.get("inputs", {}).get("artifacts"):
        taken = next(iter(task["inputs"]["artifacts"]))
        raise refuse(name, f"takes the artifact {taken}", "Hand on an address or a path in the workspace instead.")
    if task.get("cachingOptions", {}).get("enableCache"):
        raise refuse(name, "is cached", "Turn that off with set_caching_options(False): Tekton has no cache.")


def _inputs(task: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = task.get("inputs", {}).get("parameters", {})
    return found


def _source(task: str, given: Mapping[str, Any], scope: Mapping[str, Source]) -> Source:
    """Where the value of an input comes from."""
    match given:
        case {"componentInputParameter": str(name)} if not given.get("parameterExpressionSelector"):
            if name not in scope:
                raise refuse(task, f"takes {name}, which is left out and has no default", "Give it a default.")
            return scope[name]
        case {"taskOutputParameter": {"producerTask": str(producer), "outputParameterKey": str(key)}}:
            return FromResult(producer, key)
        case {"runtimeValue": {"constant": constant}}:
            return Constant(constant)
        case {"taskFinalStatus": _}:
            return FinalStatus()
    raise refuse(task, f"takes a part of a value ({', '.join(given)})")


def _comparisons(task: str, text: str, inputs: Mapping[str, Source]) -> Iterator[Comparison]:
    terms = Condition(text).terms()
    if terms is None:
        raise refuse(task, f"has the condition {text}", "Compare values with constants by == and !=, joined by and.")
    for term in terms:
        if isinstance(source := inputs[term.input], Constant) and "{{$" in str(source.value):
            raise refuse(task, f"has the condition {text}, of {source.value}", "Compare what a task gives.")
        if isinstance(term.constant, float):
            raise refuse(
                task, f"has the condition {text}, of a fraction", "Compare strings, whole numbers or booleans."
            )
        yield Comparison(source, term.equal, term.constant)


def _in_order(tasks: Mapping[str, Any]) -> list[str]:
    """Names of tasks such that each comes after those that it waits for; else as they stand."""
    left, order = dict(tasks), list[str]()
    while left:
        ready = [name for name, task in left.items() if not set(task.get("dependentTasks", ())) & left.keys()]
        order += ready
        for name in ready:
            del left[name]
    return order
