"""The GitOps tree on a real Argo CD, once for all modules that ask for it; they run one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitops_tree.tree import APPLICATION, REGISTRY
from real.argocd_stand_ins import bring_up_the_application, bring_up_the_registry
from real.argocd_tree import APPLICATIONS, ArgoTree, argo_tree
from real.exclusion import stage01_alone
from real_servers import require


@pytest.fixture(scope="session")
def argo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoTree]:
    """A cluster that has nothing of the tree yet; a parameter says whether Applications have a health there."""
    require("REAL_ARGOCD_NAMESPACE", "REAL_KUBECONFIG", "REAL_BIN")
    has_health = getattr(request, "param", True)
    directory = tmp_path_factory.mktemp("argocd")
    with stage01_alone(), argo_tree(directory, applications_have_health=has_health) as made:
        yield made


@pytest.fixture(scope="session")
def begun(argo: ArgoTree) -> str:
    """The commit that the cluster comes up from, when all of the registry's objects are there and none is well."""
    commit = argo.apply()
    argo.wait_until_synced(commit, REGISTRY)
    return commit


@pytest.fixture(scope="session")
def there(argo: ArgoTree, begun: str) -> str:
    """The same, when all objects are there; what would make pods has made none."""
    bring_up_the_registry(argo.api)
    argo.wait_until_synced(begun, *APPLICATIONS)
    return begun


@pytest.fixture(scope="session")
def well(argo: ArgoTree, there: str) -> str:
    """The same, when all that is not stopped runs."""
    bring_up_the_application(argo.api)
    argo.wait_until_health(APPLICATION, "Healthy")
    return there
