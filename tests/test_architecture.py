"""docs/architecture.md names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
TREE = PAGE.partition("## What is where\n\n```\n")[2].partition("```")[0]


def named_below(directory: str) -> set[str]:
    """Names that the tree on the page has directly below a directory."""
    lines = TREE.partition(f"{directory}/ ")[2].splitlines()[1:]
    names = set()
    for line in lines:
        if not line.startswith("    "):
            break
        names.add(line.split()[0].rstrip("/"))
    return names


def test_the_page_names_every_module_of_the_library() -> None:
    there = {
        path.name
        for path in (ROOT / "components/modelcar").iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert named_below("components/modelcar") == there


@pytest.mark.parametrize("directory", ["components/modelcar", "sandbox/modelcar_sandbox"])
def test_what_the_page_names_is_there(directory: str) -> None:
    assert {name for name in named_below(directory) if not (ROOT / directory / name).exists()} == set()


def test_modules_named_in_the_text_are_there() -> None:
    text = PAGE.replace(TREE, "")
    paths = re.findall(r"`([\w/]+\.py)`", text)
    assert paths
    places = (ROOT, ROOT / "components", ROOT / "components/modelcar")
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []
