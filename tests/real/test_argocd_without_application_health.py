"""An Argo CD that was taught nothing of Applications, as it comes: the waves then wait for no child."""

from __future__ import annotations

import pytest

from gitops_tree.tree import APPLICATION, PARENT, REGISTRY
from real.argocd_stand_ins import bring_up_the_application, bring_up_the_registry
from real.argocd_tree import APPLICATIONS, ArgoTree

pytestmark = [pytest.mark.argocd, pytest.mark.timeout(180)]


@pytest.mark.parametrize("argo", [False], ids=["no health of Applications"], indirect=True)
def test_everything_comes_up_though_no_wave_waits_for_the_registry(argo: ArgoTree) -> None:
    commit = argo.apply()
    argo.wait_until_synced(commit)
    assert {name: argo.health(name) for name in APPLICATIONS} == {
        PARENT: "Healthy",
        REGISTRY: "Progressing",
        APPLICATION: "Progressing",
    }
    bring_up_the_registry(argo.api)
    bring_up_the_application(argo.api)
    for name in APPLICATIONS:
        argo.wait_until_health(name, "Healthy")
