"""The GitOps tree on a real Argo CD, once for each module that asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from real.argocd_tree import ArgoTree, argo_tree
from real.exclusion import stage01_alone


@pytest.fixture(scope="module")
def argo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoTree]:
    """A cluster that has nothing of the tree yet; a parameter says whether Applications have a health there."""
    for name in ("REAL_ARGOCD_NAMESPACE", "REAL_KUBECONFIG", "REAL_BIN"):
        if not os.environ.get(name):
            pytest.skip(f"{name} is not set")
    has_health = getattr(request, "param", True)
    directory = tmp_path_factory.mktemp("argocd")
    with stage01_alone(), argo_tree(directory, applications_have_health=has_health) as made:
        yield made


@pytest.fixture(scope="module")
def up(argo: ArgoTree) -> str:
    """The commit that everything came up from, Synced and Healthy."""
    return argo.come_up()
