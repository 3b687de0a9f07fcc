"""Which module may import which, and what must not be imported to say hello."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOTS = [Path(__file__).parents[1] / name for name in ("components", "pipelines", "sandbox")]

ORDER = [
    {"cli"},
    {"options"},
    {"drawing", "steps"},
    {"report", "display", "page", "retraining"},
    {"promotion", "registering", "forecast"},
    {"build", "lineage", "training", "workspace"},
    {"push"},
    {"publishing"},
    {"mover"},
    {"samples"},
    {"journal"},
    {"limits"},
    {"plan"},
    {"base", "recipe", "gpu", "image_source"},
    {"stored_image"},
    {"spec", "sources", "image", "distribution", "model_registry", "delivery"},
    {"snapshot"},
    {
        "bearer",
        "forward",
        "reference",
        "retry",
        "jobs",
        "progress",
        "wire",
        "metrics",
        "trainer",
        "quantities",
        "schedule",
    },
    {"errors", "entry_point"},
]
"""Modules and packages of the library, top first; each imports from rows below its own only."""

HEAVY = {"kfp", "kfp_server_api", "kubernetes", "model_registry", "mr_openapi", "huggingface_hub", "obstore"}

DEFINITIONS = {
    "platform",
    "tasks",
    "promote_model",
    "promote_model_workspace",
    "promote_models",
    "retrain_and_promote",
}
"""Modules of modelcar_pipelines that say what a pipeline is, in kfp's words; the rest imports them to compile."""


def modules() -> dict[str, ast.Module]:
    """Every module, parsed, by dotted name."""
    found = {}
    for root in ROOTS:
        for path in root.rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names that statements import; `from a import b` counts as `a.b`, for `b` may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def area(name: str) -> str:
    """`modelcar.sources.hub` is in `sources`."""
    return name.split(".")[1]


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: no bodies of functions, and not what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from at_import_time(child)


MODULES = modules()
LIBRARY = sorted(name for name in MODULES if name.startswith("modelcar."))
COMPONENTS = sorted(name for name in MODULES if name.startswith("modelcar_components."))
SHIM = sorted(name for name in MODULES if name.startswith("modelcar_tekton."))
PIPELINES = sorted(name for name in MODULES if name.startswith("modelcar_pipelines."))
ROW = {name: row for row, names in enumerate(ORDER) for name in names}


def test_every_module_has_its_place_in_the_order() -> None:
    assert {area(name) for name in LIBRARY} == set(ROW)


@pytest.mark.parametrize("name", LIBRARY)
def test_imports_point_down(name: str) -> None:
    own = area(name)
    others = {area(other) for other in imports(ast.walk(MODULES[name])) if other.startswith("modelcar.")} - {own}
    assert {other for other in others if ROW[other] <= ROW[own]} == set()


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_imports_nothing_above_it(name: str) -> None:
    above = {"modelcar_sandbox", "modelcar_components", "modelcar_pipelines", "modelcar_tekton", "modelcar_trainer"}
    assert {other.split(".")[0] for other in imports(ast.walk(MODULES[name]))} & above == set()


@pytest.mark.parametrize("name", LIBRARY)
def test_heavy_packages_are_imported_where_they_are_used(name: str) -> None:
    assert {other.split(".")[0] for other in imports(at_import_time(MODULES[name]))} & HEAVY == set()


def packages(names: Iterator[str]) -> set[str]:
    """The top-level packages of dotted names."""
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_imports_nothing_outside_its_body_but_what_kfp_copies_with_it(name: str) -> None:
    # kfp ships the function's source alone, below imports of kfp and typing; whatever else stands at the top is not
    # there when the step runs.
    loaded = set(imports(at_import_time(MODULES[name])))
    assert packages(iter(loaded)) - {"functools"} <= {"kfp", "typing", "modelcar_components"}
    assert {one for one in loaded if one.startswith("modelcar_components.")} <= {"modelcar_components.step.component"}


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_components_body_calls_the_steps_of_the_library_and_nothing_else(name: str) -> None:
    bodies = [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.FunctionDef)]
    used = {one for body in bodies for one in imports(ast.walk(body))}
    assert used == ({"modelcar.steps"} if bodies else set())


@pytest.mark.parametrize("name", SHIM)
def test_what_runs_a_step_of_tekton_imports_the_library_and_kfp_where_it_is_used(name: str) -> None:
    others = packages(imports(ast.walk(MODULES[name]))) - set(sys.stdlib_module_names)
    assert others <= {"modelcar", "modelcar_tekton", "kfp"}
    assert packages(imports(at_import_time(MODULES[name]))) & HEAVY == set()


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_import_nothing_above_them(name: str) -> None:
    above = {"modelcar_sandbox", "modelcar_trainer"}
    assert packages(imports(ast.walk(MODULES[name]))) & above == set()


@pytest.mark.parametrize("name", [name for name in PIPELINES if area(name) not in DEFINITIONS])
def test_only_what_defines_a_pipeline_imports_kfp_and_components_when_it_is_imported(name: str) -> None:
    loaded = set(imports(at_import_time(MODULES[name])))
    assert packages(iter(loaded)) & (HEAVY | {"modelcar_components"}) == set()
    defined = {f"modelcar_pipelines.{one}" for one in DEFINITIONS}
    assert {one for one in loaded if ".".join(one.split(".")[:2]) in defined} == set()


def test_modules_of_pipelines_do_not_import_each_other_in_circles() -> None:
    known = {"modelcar_pipelines", *PIPELINES}
    graph = {
        name: {found for one in imports(ast.walk(MODULES[name])) if (found := _module(one, known)) not in (None, name)}
        for name in PIPELINES
    }
    assert set(graphlib.TopologicalSorter(graph).static_order()) >= set(PIPELINES)


def _module(name: str, known: set[str]) -> str | None:
    """The module that a dotted name is, or is in; None for one that is not of modelcar_pipelines."""
    if name in known or not name.startswith("modelcar_pipelines."):
        return name if name in known else None
    return _module(name.rpartition(".")[0], known)


def loaded_by(*names: str, then: str = "") -> set[str]:
    """Top-level packages that a fresh interpreter has after importing modules, and doing something."""
    program = f"import atexit, sys, {', '.join(names)}\n"
    program += "atexit.register(lambda: print(*{name.partition('.')[0] for name in sys.modules}))\n" + then
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_command_starts_without_what_only_some_of_it_needs() -> None:
    assert loaded_by("modelcar.cli") & (HEAVY | {"requests", "rich", "ruamel"}) == set()


def test_the_whole_library_is_imported_without_a_heavy_package() -> None:
    assert loaded_by(*LIBRARY) & HEAVY == set()


def test_the_commands_of_pipelines_start_without_a_heavy_package() -> None:
    assert loaded_by("modelcar_pipelines.cli", "modelcar_pipelines") & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["pipeline", "--help"], ["pipeline", "run", "--help"]])
def test_help_is_given_without_a_heavy_package(arguments: list[str]) -> None:
    shown = f"sys.argv = {['modelcar', *arguments]}; modelcar.cli.main()"
    assert loaded_by("modelcar.cli", then=shown) & HEAVY == set()
