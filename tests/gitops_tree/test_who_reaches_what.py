"""Who reaches whom, and which account may do what: a table each, of what is and of what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitops_tree.cluster import OPERATORS_PODS, OUTSIDE, endpoints, network
from gitops_tree.objects import group, name_of, namespace_of, resource_of
from gitops_tree.operator_made import KFP_ACCOUNT, MODEL_REGISTRY, REGISTRY_USERS, TEKTON_ACCOUNT
from gitops_tree.rbac_simulation import Deed, may, may_in
from gitops_tree.tree import APPLICATION, ARGOCD_NAMESPACE, NAMESPACE, REGISTRY, REGISTRY_NAMESPACE, Tree

Ask = Callable[[tuple[str, str, str], bool], bool]
GRANITE, MISTRAL = "granite-3-3-2b-instruct", "mistral-small-24b-w4a16"
REACHES = [
    ("Tekton step", "Model Registry", "8443"),
    ("Kubeflow step", "Model Registry", "8443"),
    ("workbench", "Model Registry", "8443"),
    ("dashboard", "Model Registry", "8443"),
    ("router", "Model Registry", "8443"),
    ("Model Registry", "database", "3306"),
    ("Tekton step", "cluster's registry", "5000"),
    ("Kubeflow step", "cluster's registry", "5000"),
    ("workbench", "cluster's registry", "5000"),
    ("build", "cluster's registry", "5000"),
    ("Tekton step", "internet", "443"),
    ("Tekton step", "internet", "22"),
    ("Kubeflow step", "internet", "443"),
    ("workbench", "internet", "443"),
    ("build", "internet", "443"),
    ("Tekton step", "internet by IPv6", "443"),
    ("workbench", "API by IPv6", "6443"),
    (GRANITE, "API by IPv6", "6443"),
    ("Tekton step", "DNS", "5353/UDP"),
    ("Kubeflow step", "DNS", "5353/UDP"),
    ("workbench", "DNS", "5353/TCP"),
    ("build", "DNS", "5353/UDP"),
    ("uploader", "DNS", "5353/UDP"),
    ("pipeline server", "DNS", "5353/UDP"),
    (GRANITE, "DNS", "5353/UDP"),
    (MISTRAL, "DNS", "5353/TCP"),
    ("Tekton step", "API of the cluster", "6443"),
    ("workbench", "API of the cluster", "6443"),
    ("uploader", "API of the cluster", "6443"),
    ("maker of the store's login", "API of the cluster", "6443"),
    ("maker of the database's login", "API of the cluster", "6443"),
    ("pipeline server", "API of the cluster", "6443"),
    (GRANITE, "API of the cluster", "6443"),
    ("Kubeflow step", "object store", "9000"),
    ("pipeline server", "object store", "9000"),
    ("pipeline server's operator", "object store", "9000"),
    ("pipeline server", "pipeline database", "3306"),
    ("pipeline server's operator", "pipeline database", "3306"),
    ("pipeline agent", "pipeline server", "8888"),
    ("workbench", "pipeline server", "8443"),
    ("uploader", "pipeline server", "8443"),
    ("dashboard", "pipeline server", "8443"),
    ("dashboard", "workbench", "8888"),
    ("router", "workbench", "8443"),
    ("router", GRANITE, "8443"),
    ("router", MISTRAL, "8080"),
    ("Prometheus", GRANITE, "8080"),
    ("Prometheus of workloads", GRANITE, "8080"),
    ("workbench", GRANITE, "8080"),
    ("some other pod", MISTRAL, "8443"),
]
REACHES_NOT = [
    ("Tekton step", "database", "3306"),
    ("Kubeflow step", "database", "3306"),
    ("workbench", "database", "3306"),
    ("dashboard", "database", "3306"),
    ("router", "database", "3306"),
    ("stranger", "database", "3306"),
    ("another registry", "database", "3306"),
    ("maker of the database's login", "database", "3306"),
    (GRANITE, "database", "3306"),
    ("Model Registry", "database", "33060"),
    ("stranger", "Model Registry", "8443"),
    ("another registry", "Model Registry", "8443"),
    ("uploader", "Model Registry", "8443"),
    ("some other pod", "Model Registry", "8443"),
    ("object store", "Model Registry", "8443"),
    ("pipeline server", "Model Registry", "8443"),
    (GRANITE, "Model Registry", "8443"),
    ("Tekton step", "Model Registry", "8080"),
    ("router", "Model Registry", "8080"),
    ("dashboard", "Model Registry", "8080"),
    ("Tekton step", "another registry", "8080"),
    ("Tekton step", "internet", "80"),
    ("workbench", "internet", "5000"),
    ("Tekton step", "cloud's metadata", "443"),
    ("workbench", "cloud's metadata", "80"),
    ("Tekton step", "internet by IPv6", "80"),
    ("Tekton step", "cloud's metadata by IPv6", "443"),
    (MISTRAL, "cloud's metadata by IPv6", "6443"),
    (GRANITE, "internet by IPv6", "443"),
    ("Tekton step", "internet", "3128"),
    ("Tekton step", "stranger", "8080"),
    ("workbench", "dashboard", "8080"),
    ("Tekton step", "cluster's registry", "8443"),
    ("workbench", "DNS", "53/UDP"),
    (GRANITE, "internet", "443"),
    (GRANITE, "cluster's registry", "5000"),
    (GRANITE, "object store", "9000"),
    (GRANITE, MISTRAL, "8080"),
    (MISTRAL, "pipeline server", "8443"),
    (MISTRAL, "cloud's metadata", "6443"),
    ("stranger", GRANITE, "8080"),
    ("stranger", GRANITE, "8443"),
    ("dashboard", MISTRAL, "8080"),
    ("internet", GRANITE, "8443"),
    ("workbench", GRANITE, "9000"),
    ("stranger", "object store", "9000"),
    ("router", "object store", "9000"),
    ("dashboard", "object store", "9000"),
    ("pipeline server's operator", "object store", "9001"),
    ("pipeline server's operator", GRANITE, "8080"),
    ("Prometheus of workloads", "object store", "9000"),
    ("workbench", "object store", "9001"),
    ("workbench", "pipeline database", "3306"),
    ("Kubeflow step", "pipeline database", "3306"),
    ("workbench", "pipeline server", "8888"),
    ("stranger", "workbench", "8888"),
    ("router", "workbench", "8888"),
]


@pytest.fixture(scope="session")
def connects(tree: Tree) -> Ask:
    """Whether a row's connection is let through, where ipBlocks match pods or do not."""
    there = endpoints(tree)
    networks = {matched: network(tree, blocks_match_pods=matched) for matched in (False, True)}

    def ask(row: tuple[str, str, str], matched: bool) -> bool:
        source, target, port = row
        number, _, protocol = port.partition("/")
        return networks[matched].lets(there[source], there[target], int(number), protocol or "TCP")

    return ask


@pytest.mark.parametrize("row", REACHES, ids=" ".join)
def test_reaches(row: tuple[str, str, str], connects: Ask) -> None:
    assert connects(row, False)


@pytest.mark.parametrize("row", REACHES_NOT, ids=" ".join)
def test_does_not_reach(row: tuple[str, str, str], connects: Ask) -> None:
    assert not connects(row, True)


def test_every_pod_and_place_is_in_the_tables(tree: Tree) -> None:
    named = {name for source, target, _ in (*REACHES, *REACHES_NOT) for name in (source, target)}
    assert set(endpoints(tree)) - named == {"BuildConfig modelcar-workbench"}  # as the other build
    assert {*OPERATORS_PODS, *OUTSIDE} <= named


TEKTON, KFP, WORKBENCH = ((NAMESPACE, name) for name in (TEKTON_ACCOUNT, KFP_ACCOUNT, "modelcar-workbench"))
UPLOADER, SERVING, DEFAULT = ((NAMESPACE, name) for name in ("modelcar-pipelines", "modelcar-serving", "default"))
STORE_JOB, MYSQL_JOB = (NAMESPACE, "object-store-credentials"), (REGISTRY_NAMESPACE, "mysql-credentials")
DASHBOARD = ("redhat-ods-applications", "rhods-dashboard")
PEOPLE, ANYBODY = ("", REGISTRY_USERS), ("", "system:authenticated")

ASK = Deed("get", "services", REGISTRY_NAMESPACE, MODEL_REGISTRY)
ASK_ANOTHER = Deed("get", "services", REGISTRY_NAMESPACE, "another")
PUSH = Deed("update", "imagestreams/layers.image.openshift.io", NAMESPACE, GRANITE)
PUSH_ELSEWHERE = Deed("update", "imagestreams/layers.image.openshift.io", REGISTRY_NAMESPACE)
READ_PODS = Deed("list", "pods", NAMESPACE)
SEE_APPLICATION = Deed("get", "applications.argoproj.io", ARGOCD_NAMESPACE, "stage01-application")
SEE_ALL_APPLICATIONS = Deed("list", "applications.argoproj.io", ARGOCD_NAMESPACE)
SEE_ANOTHER = Deed("get", "applications.argoproj.io", ARGOCD_NAMESPACE, "another")
REFRESH = Deed("patch", "applications.argoproj.io", ARGOCD_NAMESPACE, "stage01-application")
REFRESH_PARENT = Deed("patch", "applications.argoproj.io", ARGOCD_NAMESPACE, "stage01-model-serving")
CHANGE_PROJECT = Deed("patch", "appprojects.argoproj.io", ARGOCD_NAMESPACE, "stage01")
FIND_PIPELINES = Deed(
    "list", "datasciencepipelinesapplications.datasciencepipelinesapplications.opendatahub.io", NAMESPACE
)
READ_GIT_LOGIN = Deed("get", "secrets", NAMESPACE, "modelcar-git")
READ_STORE_LOGIN = Deed("get", "secrets", NAMESPACE, "dspa-object-store")
MAKE_SECRET = Deed("create", "secrets", NAMESPACE)
READ_DATABASE_LOGIN = Deed("get", "secrets", REGISTRY_NAMESPACE, "mysql-credentials")
READ_OTHERS_LOGIN = Deed("get", "secrets", REGISTRY_NAMESPACE, "another")
MAKE_SECRET_THERE = Deed("create", "secrets", REGISTRY_NAMESPACE)
CHANGE_MODEL = Deed("patch", "inferenceservices.serving.kserve.io", NAMESPACE, GRANITE)
CHANGE_QUOTA = Deed("update", "resourcequotas", NAMESPACE, NAMESPACE)
BIND = Deed("create", "rolebindings.rbac.authorization.k8s.io", NAMESPACE)
USE_PIPELINES = Deed(
    "create",
    "datasciencepipelinesapplications/api.datasciencepipelinesapplications.opendatahub.io",
    NAMESPACE,
    "dspa",
)
Row = tuple[tuple[str, str], Deed]
MAY: list[Row] = [
    *((account, deed) for account in (TEKTON, KFP, WORKBENCH) for deed in (ASK, PUSH, SEE_APPLICATION)),
    *((account, READ_PODS) for account in (TEKTON, KFP)),
    *((account, deed) for account in (WORKBENCH, UPLOADER) for deed in (USE_PIPELINES, FIND_PIPELINES)),
    (DASHBOARD, ASK),
    (PEOPLE, ASK),
    (STORE_JOB, MAKE_SECRET),
    (STORE_JOB, READ_STORE_LOGIN),
    (MYSQL_JOB, MAKE_SECRET_THERE),
    (MYSQL_JOB, READ_DATABASE_LOGIN),
]
MAY_NOT: list[Row] = [
    *((account, ASK) for account in (UPLOADER, SERVING, DEFAULT, STORE_JOB, MYSQL_JOB, ANYBODY)),
    *((PEOPLE, deed) for deed in (ASK_ANOTHER, PUSH, READ_DATABASE_LOGIN, MAKE_SECRET_THERE)),
    *((account, PUSH) for account in (UPLOADER, SERVING, DEFAULT, STORE_JOB, DASHBOARD)),
    *((account, ASK_ANOTHER) for account in (TEKTON, KFP, WORKBENCH, DASHBOARD)),
    *((account, PUSH_ELSEWHERE) for account in (TEKTON, KFP, WORKBENCH)),
    *((account, deed) for account in (WORKBENCH, UPLOADER, SERVING) for deed in (READ_PODS, READ_GIT_LOGIN)),
    *((account, deed) for account in (TEKTON, KFP, WORKBENCH) for deed in (SEE_ALL_APPLICATIONS, SEE_ANOTHER)),
    *((account, deed) for account in (TEKTON, KFP, WORKBENCH) for deed in (REFRESH, CHANGE_PROJECT, CHANGE_MODEL)),
    *((account, SEE_APPLICATION) for account in (UPLOADER, SERVING, DEFAULT)),
    *((account, deed) for account in (TEKTON, KFP, SERVING) for deed in (USE_PIPELINES, CHANGE_QUOTA, BIND)),
    *((account, READ_DATABASE_LOGIN) for account in (TEKTON, KFP, WORKBENCH, DASHBOARD, STORE_JOB)),
    (STORE_JOB, READ_GIT_LOGIN),
    (STORE_JOB, MAKE_SECRET_THERE),
    (MYSQL_JOB, READ_OTHERS_LOGIN),
    (MYSQL_JOB, MAKE_SECRET),
    ((REGISTRY_NAMESPACE, TEKTON_ACCOUNT), ASK),
]


def called(row: Row) -> str:
    (namespace, account), deed = row
    return f"{namespace}/{account} {deed.verb} {deed.resource.partition('.')[0]} {deed.name} in {deed.namespace}"


@pytest.mark.parametrize("row", MAY, ids=called)
def test_may(row: Row, tree: Tree) -> None:
    assert may_in(tree, *row)


@pytest.mark.parametrize("row", MAY_NOT, ids=called)
def test_may_not(row: Row, tree: Tree) -> None:
    assert not may_in(tree, *row)


def test_git_names_no_people(tree: Tree) -> None:
    """Who they are is an administrator's to say, in the Group that the operator makes."""
    subjects = [subject for one in tree.of_kind("RoleBinding") for subject in one["subjects"]]
    assert {subject["kind"] for subject in subjects} == {"ServiceAccount"}


@pytest.mark.parametrize(
    ("account", "deed", "expected"),
    [
        (TEKTON, REFRESH, True),
        (KFP, REFRESH, True),
        (WORKBENCH, REFRESH, False),
        (UPLOADER, REFRESH, False),
        (TEKTON, REFRESH_PARENT, False),
        (KFP, CHANGE_PROJECT, False),
    ],
)
def test_who_may_refresh_once_an_administrator_allows_it(
    account: tuple[str, str], deed: Deed, expected: bool, tree: Tree
) -> None:
    assert may(tree.objects, account, deed) == expected


@pytest.mark.parametrize(("application", "namespace"), [(REGISTRY, REGISTRY_NAMESPACE), (APPLICATION, NAMESPACE)])
def test_argo_cd_may_write_what_it_applies_and_no_kind_that_its_project_lacks(
    tree: Tree, application: str, namespace: str
) -> None:
    (role,) = (
        one
        for one in tree.bootstrap
        if (name_of(one), namespace_of(one)) == ("stage01-argocd", namespace) and "rules" in one
    )
    written = {(rule["apiGroups"][0], resource) for rule in role["rules"] for resource in rule["resources"]}
    applied = {
        (group(one), resource_of(one["kind"])) for one in tree.rendered[application] if one["kind"] != "Namespace"
    }
    allowed = {
        (one["group"], resource_of(one["kind"]))
        for one in tree.projects["stage01"]["spec"]["namespaceResourceWhitelist"]
    }
    assert applied <= written <= allowed
    assert {tuple(rule["verbs"]) for rule in role["rules"]} == {
        tuple(["get", "list", "watch", "create", "update", "patch", "delete"])
    }
