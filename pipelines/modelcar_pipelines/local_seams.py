"""Where kfp.local is taken hold of: every replaced function of it, in one place, and why.

`kfp.local` (2.17) runs a compiled pipeline, but is made for notebooks. In the child process of a local run, which does
nothing else, these are replaced; everything else of it runs as it is:

- how a step is started, so that values arrive unchanged and each step has a log, a directory and an exit code;
- placeholders: only the pipeline's author writes them, values are never looked through for them;
- conditions, decided on values and not on text that values were written into;
- loops: items and inputs are resolved before kfp.local looks at them (it takes every output of an earlier task that a
  loop's body reads for the loop's item, and every input whose name ends in `-loop-item` too); more than two rounds at
  once, as many as the pipeline allows;
- the order of tasks that do not depend on each other: protobuf has another one each time;
- the path of nested tasks, which kfp.local does not keep, so that two tasks never write to one directory;
- the final status that an exit task reads: as the server gives it;
- what it prints: ANSI colours, rulers, values in clear, by replacing `builtins.print` from several threads;
- pauses between attempts, so that they end when the run does.

`check_kfp` holds the names and parameters of all of them against the kfp that is installed.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from importlib import import_module
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from modelcar.errors import InvalidInput

_DAG = (
    "pipeline_resource_name dag_component_spec executors components dag_arguments pipeline_root runner "
    "unique_pipeline_id fail_stack parent_io_store"
)
_TASK = (
    "task_name task_spec pipeline_resource_name components executors io_store pipeline_root runner unique_pipeline_id "
    "fail_stack"
)
_EXPECTED = {
    ("orchestrator.enhanced_dag_orchestrator", "run_enhanced_dag"): _DAG,
    ("orchestrator.enhanced_dag_orchestrator", "execute_task"): _TASK,
    ("orchestrator.enhanced_dag_orchestrator", "_run_parallel_for_task"): f"{_TASK} parallel_executor",
    ("orchestrator.enhanced_dag_orchestrator", "ConditionEvaluator.evaluate_condition"): "condition io_store",
    ("orchestrator.enhanced_dag_orchestrator", "ParallelExecutor"): "max_workers",
    ("orchestrator.dag_orchestrator", "run_dag"): _DAG,
    ("orchestrator.orchestrator_utils", "OrchestratorUtils.make_task_arguments"): "task_inputs_spec io_store",
    ("orchestrator.task_spec_utils", "get_nested_pipeline_resource_name"): "task_name pipeline_resource_name",
    ("executor_input_utils", "get_local_pipeline_resource_name"): "pipeline_name",
    ("executor_input_utils", "construct_local_task_root"): "pipeline_root pipeline_resource_name task_resource_name",
    ("placeholder_utils", "replace_placeholders"): (
        "full_command executor_input_dict pipeline_resource_name task_resource_name pipeline_root unique_pipeline_id"
    ),
    ("subprocess_task_handler", "SubprocessTaskHandler"): "image full_command pipeline_root runner env_vars",
    ("graph_utils", "topological_sort_tasks"): "tasks",
    ("logging_utils", "local_logger_context"): "",
    ("logging_utils", "indented_print"): "num_spaces",
    ("logging_utils", "print_horizontal_line"): "",
    ("pipeline_orchestrator", "run_local_pipeline"): "pipeline_spec arguments",
}
"""Module below `kfp.local` and name in it: its parameters."""


def check_kfp() -> None:
    """Hold what is replaced, and what is called, against the installed kfp.

    Raises:
        InvalidInput: Something is not there, or takes other parameters.
    """
    for (module, name), parameters in _EXPECTED.items():
        try:
            found = _module(module)
            for part in name.split("."):
                found = getattr(found, part)
            right = list(inspect.signature(found).parameters) == parameters.split()
        except (ImportError, AttributeError):
            right = False
        if not right:
            raise InvalidInput(
                f"local runs do not know kfp {version('kfp')}: kfp.local.{module}.{name} is not what it was",
                hint="Install a kfp that modelcar names: pip install 'kfp>=2.17,<2.18'.",
            )


def quiet() -> None:
    """Keep kfp.local from printing, logging, and warning of limits that do nothing; events say what matters."""
    logging.disable(logging.CRITICAL)
    logging_utils = _module("logging_utils")
    task_executor = _module("orchestrator.task_executor")
    logging_utils.local_logger_context = contextlib.nullcontext
    logging_utils.indented_print = contextlib.nullcontext
    logging_utils.print_horizontal_line = _nothing
    task_executor._warn_local_only_noops = _nothing


def install(run: Any) -> None:
    """Put the methods of a `local_graph.Graph` in the places of kfp.local's functions, in this process, for good."""
    dags = _module("orchestrator.enhanced_dag_orchestrator")
    utils = _module("orchestrator.orchestrator_utils").OrchestratorUtils

    run.original_execute_task = dags.execute_task
    run.original_run_dag = dags.run_enhanced_dag
    run.original_run_loop = dags._run_parallel_for_task
    run.original_arguments = utils.make_task_arguments
    dags.execute_task = run.execute_task
    dags.run_enhanced_dag = run.run_dag
    dags._run_parallel_for_task = run.run_loop
    # The task itself decides, in execute_task, where its inputs are known.
    dags.ConditionEvaluator.evaluate_condition = staticmethod(lambda condition, io_store: True)  # noqa: ARG005
    dags.ParallelExecutor = _wide(dags.ParallelExecutor)
    # The simpler one for pipelines without conditions and loops stops at the first failure; a server goes on with
    # what does not depend on it.
    _module("orchestrator.dag_orchestrator").run_dag = run.run_dag
    utils.make_task_arguments = run.arguments
    graphs = _module("graph_utils")
    sort = graphs.topological_sort_tasks
    graphs.topological_sort_tasks = lambda tasks: sort(dict(sorted(tasks.items())))
    _module("orchestrator.task_spec_utils").get_nested_pipeline_resource_name = run.nested_name
    inputs = _module("executor_input_utils")
    inputs.get_local_pipeline_resource_name = run.root_name
    inputs.construct_local_task_root = run.task_root
    _module("placeholder_utils").replace_placeholders = run.command
    _module("subprocess_task_handler").SubprocessTaskHandler = run.handler
    _module("orchestrator.task_executor").time = SimpleNamespace(sleep=run.pause)


def _wide(parallel_executor: Any) -> Any:
    """kfp.local's class, with room for as many rounds of a loop as its pipeline allows."""

    class WideExecutor(parallel_executor):  # type: ignore[misc]
        def __init__(self, max_workers: int | None = None) -> None:
            super().__init__(max_workers)
            self.conservative_max = 32
            self.max_workers = 4  # for a loop that names no limit

    return WideExecutor


def _module(name: str) -> Any:
    return import_module(f"kfp.local.{name}")


def _nothing(*_: object, **__: object) -> None:
    pass
