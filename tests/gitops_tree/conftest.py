"""The tree that these tests look at."""

from __future__ import annotations

import pytest

from gitops_tree.tree import Tree, load_tree


@pytest.fixture(scope="session")
def tree() -> Tree:
    """This repository's, rendered once; whoever changes it takes a copy."""
    return load_tree()
