"""The pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gitops_tree.pictures import access_picture, tree_picture
from gitops_tree.tree import Tree

PICTURES: Final = Path("docs/images")


def draw_all(tree: Tree) -> dict[str, str]:
    """Each by its name below `PICTURES`."""
    return {"gitops-tree.svg": tree_picture.draw(tree), "gitops-access.svg": access_picture.draw(tree)}
