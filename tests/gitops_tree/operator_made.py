"""What the tree refers to and does not hold, because somebody else makes it: the one list of such names.

A name belongs here only with who makes it. What an administrator has to make by hand is named so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gitops_tree.tree import ARGOCD_NAMESPACE, NAMESPACE, REGISTRY_NAMESPACE

MODEL_REGISTRY: Final = "private-ai-model-registry"
DSPA: Final = "dspa"
DASHBOARD_NAMESPACE: Final = "redhat-ods-applications"
REGISTRY_USER: Final = f"registry-user-{MODEL_REGISTRY}"
REGISTRY_USERS: Final = f"{MODEL_REGISTRY}-users"
IMAGE_BUILDER: Final = "system:image-builder"
KFP_ACCOUNT: Final = f"pipeline-runner-{DSPA}"
TEKTON_ACCOUNT: Final = "pipeline"
ARGOCD_ACCOUNT: Final = "openshift-gitops-argocd-application-controller"


@dataclass(frozen=True)
class Made:
    """Something that is there without us.

    Attributes:
        kind: As references name it.
        namespace: Empty for what belongs to the cluster.
        name: `metadata.name`.
        by: Who makes it.
    """

    kind: str
    namespace: str
    name: str
    by: str


OPERATOR_MADE: Final = (
    Made("ServiceAccount", NAMESPACE, TEKTON_ACCOUNT, "OpenShift Pipelines, in every namespace"),
    Made("ServiceAccount", NAMESPACE, KFP_ACCOUNT, f"the operator of Data Science Pipelines, for {DSPA}"),
    Made("ServiceAccount", ARGOCD_NAMESPACE, ARGOCD_ACCOUNT, "OpenShift GitOps, for its instance openshift-gitops"),
    Made("ServiceAccount", DASHBOARD_NAMESPACE, "rhods-dashboard", "OpenShift AI"),
    Made("Role", REGISTRY_NAMESPACE, REGISTRY_USER, f"the operator of Model Registries, for {MODEL_REGISTRY}"),
    Made("ClusterRole", "", IMAGE_BUILDER, "OpenShift"),
)


def is_made(kind: str, namespace: str, name: str) -> bool:
    """Whether somebody else makes it."""
    return any((one.kind, one.namespace, one.name) == (kind, namespace, name) for one in OPERATOR_MADE)
