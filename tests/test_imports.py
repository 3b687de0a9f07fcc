"""Which module may import which, and what must not be imported to say hello."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOTS = [Path(__file__).parents[1] / name for name in ("components", "sandbox")]

ORDER = [
    {"cli"},
    {"options"},
    {"drawing", "steps"},
    {"report", "display", "page", "retraining"},
    {"promotion", "registering"},
    {"build", "lineage", "training", "workspace"},
    {"push"},
    {"mover"},
    {"plan"},
    {"base", "recipe"},
    {"spec", "sources", "image", "distribution", "model_registry", "delivery"},
    {"snapshot"},
    {"bearer", "reference", "retry", "jobs", "progress", "wire", "metrics", "trainer", "quantities", "schedule"},
    {"errors", "entry_point"},
]
"""Modules and packages of the library, top first; each imports from rows below its own only."""

HEAVY = {"kfp", "kubernetes", "model_registry", "mr_openapi", "huggingface_hub"}


def modules() -> dict[str, ast.Module]:
    """Every module of the library and the sandbox, parsed, by dotted name."""
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
    above = {"modelcar_sandbox", "modelcar_components", "modelcar_pipelines", "modelcar_trainer"}
    assert {other.split(".")[0] for other in imports(ast.walk(MODULES[name]))} & above == set()


@pytest.mark.parametrize("name", LIBRARY)
def test_heavy_packages_are_imported_where_they_are_used(name: str) -> None:
    assert {other.split(".")[0] for other in imports(at_import_time(MODULES[name]))} & HEAVY == set()


def loaded_by(*names: str) -> set[str]:
    """Top-level packages that a fresh interpreter has after importing modules."""
    program = f"import sys, {', '.join(names)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_command_starts_without_what_only_some_of_it_needs() -> None:
    assert loaded_by("modelcar.cli") & (HEAVY | {"requests", "rich", "ruamel"}) == set()


def test_the_whole_library_is_imported_without_a_heavy_package() -> None:
    assert loaded_by(*LIBRARY) & HEAVY == set()
