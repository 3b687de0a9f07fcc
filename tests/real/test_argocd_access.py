"""Which account may do what, asked of the real kube-apiserver after Argo CD has applied the tree.

Operators are stood in for by the test, which makes the roles of theirs that the tree binds, and gives their own
accounts what they would give them: see `make_what_operators_make`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from kubernetes import client

from gitops_tree.objects import resource_of
from gitops_tree.operator_made import ARGOCD_ACCOUNT, IMAGE_BUILDER, KFP_ACCOUNT, MODEL_REGISTRY, TEKTON_ACCOUNT
from gitops_tree.tree import APPLICATION, ARGOCD_NAMESPACE, NAMESPACE, REGISTRY, REGISTRY_NAMESPACE
from real.argocd_stand_ins import kubectl, make_what_operators_make
from real.argocd_tree import ArgoTree

pytestmark = [pytest.mark.argocd, pytest.mark.timeout(180)]

GRANITE: Final = "granite-3-3-2b-instruct"
TEKTON, KFP, WORKBENCH = (f"{NAMESPACE}:{name}" for name in (TEKTON_ACCOUNT, KFP_ACCOUNT, "modelcar-workbench"))
UPLOADER, SERVING, DEFAULT = (f"{NAMESPACE}:{name}" for name in ("modelcar-pipelines", "modelcar-serving", "default"))
STORE_JOB, MYSQL_JOB = f"{NAMESPACE}:object-store-credentials", f"{REGISTRY_NAMESPACE}:mysql-credentials"
STRANGER: Final = f"{REGISTRY_NAMESPACE}:{TEKTON_ACCOUNT}"
EVERYONE: Final = (TEKTON, KFP, WORKBENCH, UPLOADER, SERVING, DEFAULT, STORE_JOB, MYSQL_JOB, STRANGER)
APPLICATIONS, PIPELINES = "applications.argoproj.io", "datasciencepipelinesapplications.opendatahub.io"
SERVER: Final = f"datasciencepipelinesapplications.{PIPELINES}"
LAYERS: Final = "imagestreams/layers.image.openshift.io"
STREAMS: Final = "imagestreams.image.openshift.io"
MODELS: Final = "inferenceservices.serving.kserve.io"


@dataclass(frozen=True)
class Deed:
    """What is asked, and who may.

    Attributes:
        verb: Of the API.
        resource: With its group and, behind a slash, its subresource.
        name: Of the object; empty for a list or a create.
        namespace: Where.
        allowed: The accounts that may; all others may not.
    """

    verb: str
    resource: str
    name: str
    namespace: str
    allowed: tuple[str, ...]


DEEDS: Final = (
    # The Model Registry: its proxy lets in whoever may get its Service.
    Deed("get", "services", MODEL_REGISTRY, REGISTRY_NAMESPACE, (TEKTON, KFP, WORKBENCH)),
    Deed("get", "services", "another", REGISTRY_NAMESPACE, ()),
    Deed("list", "services", "", REGISTRY_NAMESPACE, ()),
    # Images: pushed to where the models are, nowhere else; `pipeline` has `edit` there by its operator.
    Deed("update", LAYERS, GRANITE, NAMESPACE, (TEKTON, KFP, WORKBENCH)),
    Deed("get", LAYERS, GRANITE, NAMESPACE, (TEKTON, KFP, WORKBENCH)),
    Deed("update", LAYERS, "anything", REGISTRY_NAMESPACE, ()),
    Deed("delete", STREAMS, GRANITE, NAMESPACE, (TEKTON,)),
    Deed("get", STREAMS, "modelcar-python", NAMESPACE, (TEKTON, WORKBENCH, UPLOADER)),
    # The pipeline server, and the pods of its runs; `pipeline` and the runner have pods by their operators as well.
    Deed("create", f"datasciencepipelinesapplications/api.{PIPELINES}", "dspa", NAMESPACE, (WORKBENCH, UPLOADER)),
    Deed("create", f"datasciencepipelinesapplications/api.{PIPELINES}", "another", NAMESPACE, ()),
    Deed("list", SERVER, "", NAMESPACE, (WORKBENCH, UPLOADER)),
    Deed("patch", SERVER, "dspa", NAMESPACE, ()),
    Deed("list", "pods", "", NAMESPACE, (TEKTON, KFP)),
    Deed("list", "pods", "", REGISTRY_NAMESPACE, ()),
    # Applications: read by name, and nothing beside.
    Deed("get", APPLICATIONS, "stage01-application", ARGOCD_NAMESPACE, (TEKTON, KFP, WORKBENCH)),
    Deed("get", APPLICATIONS, "stage01-model-serving", ARGOCD_NAMESPACE, (TEKTON, KFP, WORKBENCH)),
    Deed("get", APPLICATIONS, "somebody-elses", ARGOCD_NAMESPACE, ()),
    Deed("list", APPLICATIONS, "", ARGOCD_NAMESPACE, ()),
    Deed("patch", APPLICATIONS, "stage01-application", ARGOCD_NAMESPACE, ()),
    Deed("create", APPLICATIONS, "", ARGOCD_NAMESPACE, ()),
    Deed("patch", "appprojects.argoproj.io", "stage01", ARGOCD_NAMESPACE, ()),
    Deed("get", "secrets", "argocd-secret", ARGOCD_NAMESPACE, ()),
    # Secrets: who makes one reads that one; operators let the accounts that run pipelines read those of the namespace.
    Deed("create", "secrets", "", REGISTRY_NAMESPACE, (MYSQL_JOB,)),
    Deed("get", "secrets", "mysql-credentials", REGISTRY_NAMESPACE, (MYSQL_JOB,)),
    Deed("get", "secrets", "another", REGISTRY_NAMESPACE, ()),
    Deed("list", "secrets", "", REGISTRY_NAMESPACE, ()),
    Deed("delete", "secrets", "mysql-credentials", REGISTRY_NAMESPACE, ()),
    Deed("create", "secrets", "", NAMESPACE, (STORE_JOB, TEKTON)),
    Deed("get", "secrets", "dspa-object-store", NAMESPACE, (STORE_JOB, TEKTON, KFP)),
    Deed("get", "secrets", "modelcar-git", NAMESPACE, (TEKTON, KFP)),
    Deed("list", "secrets", "", NAMESPACE, (TEKTON,)),
    # What is in git is changed in git; where operators allow more, Argo CD puts it back.
    Deed("patch", MODELS, GRANITE, NAMESPACE, (KFP,)),
    Deed("delete", MODELS, GRANITE, NAMESPACE, ()),
    Deed("update", "resourcequotas", NAMESPACE, NAMESPACE, ()),
    Deed("create", "rolebindings.rbac.authorization.k8s.io", "", NAMESPACE, ()),
    Deed("patch", "roles.rbac.authorization.k8s.io", "modelcar-pipeline-user", NAMESPACE, ()),
    Deed("patch", "networkpolicies.networking.k8s.io", "promotions-egress", NAMESPACE, (TEKTON,)),
    Deed("patch", "networkpolicies.networking.k8s.io", "mysql-from-model-registry", REGISTRY_NAMESPACE, ()),
    Deed("get", "namespaces", "kube-system", "", ()),
)


@pytest.fixture(scope="module")
def reviews(argo: ArgoTree, well: str) -> Iterator[client.AuthorizationV1Api]:
    make_what_operators_make(argo.api)
    yield client.AuthorizationV1Api(argo.api)
    kubectl("delete", "clusterrole", IMAGE_BUILDER)


def may(reviews: client.AuthorizationV1Api, account: str, deed: Deed) -> bool:
    """Whether the API server would let an account do it."""
    namespace, _, name = account.partition(":")
    resource, _, group = deed.resource.partition(".")
    resource, _, subresource = resource.partition("/")
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    attributes = {"verb": deed.verb, "group": group, "resource": resource, "subresource": subresource}
    attributes |= {"name": deed.name, "namespace": deed.namespace}
    spec = {"user": f"system:serviceaccount:{namespace}:{name}", "groups": groups, "resourceAttributes": attributes}
    return bool(reviews.create_subject_access_review({"spec": spec}).status.allowed)


@pytest.mark.parametrize(
    "deed", DEEDS, ids=lambda deed: f"{deed.verb} {deed.resource.partition('.')[0]} {deed.name} in {deed.namespace}"
)
def test_who_may(reviews: client.AuthorizationV1Api, deed: Deed) -> None:
    assert {account for account in EVERYONE if may(reviews, account, deed)} == set(deed.allowed)


@pytest.mark.parametrize(("application", "namespace"), [(REGISTRY, REGISTRY_NAMESPACE), (APPLICATION, NAMESPACE)])
def test_the_controller_of_openshift_gitops_may_write_all_that_it_applies_here_and_nothing_elsewhere(
    argo: ArgoTree, reviews: client.AuthorizationV1Api, application: str, namespace: str
) -> None:
    controller = f"{ARGOCD_NAMESPACE}:{ARGOCD_ACCOUNT}"
    found = {(one.get("group", ""), one["kind"]) for one in argo.resources(application)} - {("", "Namespace")}
    resources = [f"{resource_of(kind)}.{group}".rstrip(".") for group, kind in found]
    for resource in resources:
        for verb in ("create", "patch", "delete"):
            assert may(reviews, controller, Deed(verb, resource, "", namespace, ())), f"{verb} {resource}"
            assert not may(reviews, controller, Deed(verb, resource, "", "default", ())), f"{verb} {resource}"
    assert not may(reviews, controller, Deed("get", "secrets", "", namespace, ()))
