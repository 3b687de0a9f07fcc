"""The cluster around the tree, for the simulation of its network: pods, namespaces and policies that operators make.

Labels and policies are those of the operators' public sources: model-registry-operator,
data-science-pipelines-operator, odh-notebook-controller, KServe, and OpenShift itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gitops_tree.network_simulation import Endpoint, Network
from gitops_tree.objects import labels_of, name_of
from gitops_tree.operator_made import DASHBOARD_NAMESPACE, DSPA, MODEL_REGISTRY
from gitops_tree.pods import Pod, pods
from gitops_tree.tree import NAMESPACE, REGISTRY_NAMESPACE, Object, Tree

_NAME: Final = "kubernetes.io/metadata.name"
_GROUP: Final = "network.openshift.io/policy-group"
NAMESPACES: Final[Mapping[str, Mapping[str, str]]] = {
    name: {_NAME: name, **labels}
    for name, labels in {
        NAMESPACE: {},
        REGISTRY_NAMESPACE: {},
        DASHBOARD_NAMESPACE: {"opendatahub.io/generated-namespace": "true"},
        "openshift-dns": {},
        "openshift-image-registry": {},
        "openshift-ingress": {_GROUP: "ingress"},
        "openshift-monitoring": {_GROUP: "monitoring"},
        "openshift-user-workload-monitoring": {},
        "someone-else": {},
    }.items()
}
_DSPO: Final = {"app.kubernetes.io/name": "data-science-pipelines-operator"}
_DSPA: Final = {"component": "data-science-pipelines", "dspa": DSPA}
OPERATORS_PODS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "Model Registry": (REGISTRY_NAMESPACE, {"app": MODEL_REGISTRY, "component": "model-registry"}),
    "another registry": (REGISTRY_NAMESPACE, {"app": "another", "component": "model-registry"}),
    "Kubeflow step": (
        NAMESPACE,
        {"pipelines.kubeflow.org/v2_component": "true", "workflows.argoproj.io/workflow": "run"},
    ),
    "Tekton step": (NAMESPACE, {"app.kubernetes.io/managed-by": "tekton-pipelines", "tekton.dev/pipelineRun": "run"}),
    "pipeline server": (NAMESPACE, {"app": f"ds-pipeline-{DSPA}", **_DSPA}),
    "pipeline agent": (NAMESPACE, {"app": f"ds-pipeline-persistenceagent-{DSPA}", **_DSPA}),
    "pipeline database": (NAMESPACE, {"app": f"mariadb-{DSPA}", **_DSPA}),
    "some other pod": (NAMESPACE, {"app": "toolbox"}),
    "dashboard": (DASHBOARD_NAMESPACE, {"app": "rhods-dashboard"}),
    "pipeline server's operator": (DASHBOARD_NAMESPACE, _DSPO),
    "DNS": ("openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"}),
    "cluster's registry": ("openshift-image-registry", {"docker-registry": "default"}),
    "router": (
        "openshift-ingress",
        {"ingresscontroller.operator.openshift.io/deployment-ingresscontroller": "default"},
    ),
    "Prometheus": ("openshift-monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "Prometheus of workloads": ("openshift-user-workload-monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "stranger": ("someone-else", {"app": MODEL_REGISTRY, "component": "model-registry"}),
}
"""By what tables call them. The stranger wears the labels of somebody who is let in."""
OUTSIDE: Final[Mapping[str, str]] = {
    "API of the cluster": "10.0.0.10",
    "internet": "203.0.113.7",
    "cloud's metadata": "169.254.169.254",
    "API by IPv6": "fd01::10",
    "internet by IPv6": "2001:db8::7",
    "cloud's metadata by IPv6": "fd00:ec2::254",
}
RENDERED_PODS: Final = {
    "Deployment mysql": "database",
    "Deployment object-store": "object store",
    "Job mysql-credentials": "maker of the database's login",
    "Job object-store-credentials": "maker of the store's login",
    "CronJob modelcar-pipelines": "uploader",
    "Notebook modelcar-workbench": "workbench",
    "BuildConfig modelcar-python": "build",
}
"""What tables call those of the tree; others have their owners' names."""


def endpoints(tree: Tree) -> dict[str, Endpoint]:
    """Everything that can connect or be connected to, by what tables call it."""
    rendered = [(_called(pod), pod) for pod in pods(tree) if pod.kind != "Pipeline"]
    found = [(name, pod.namespace, dict(pod.labels), _ports(pod)) for name, pod in rendered]
    found += [(name, namespace, dict(labels), {}) for name, (namespace, labels) in OPERATORS_PODS.items()]
    inside = {
        name: Endpoint(name, f"10.128.0.{number}", namespace, labels, ports)
        for number, (name, namespace, labels, ports) in enumerate(found, 1)
    }
    return inside | {name: Endpoint(name, ip) for name, ip in OUTSIDE.items()}


def network(tree: Tree, *, blocks_match_pods: bool) -> Network:
    """The network with the tree's policies and the operators'."""
    labels = {name_of(one): labels_of(one) for one in tree.of_kind("Namespace")}
    namespaces = {name: {**known, **labels.get(name, {})} for name, known in NAMESPACES.items()}
    return Network([*tree.of_kind("NetworkPolicy"), *_operators_policies()], namespaces, blocks_match_pods)


def _called(pod: Pod) -> str:
    plain = pod.owner.replace(f"{pod.namespace}/", "")
    return RENDERED_PODS.get(plain, plain.removeprefix("InferenceService "))


def _ports(pod: Pod) -> dict[str, int]:
    listed = (port for container in pod.containers for port in container.get("ports", ()))
    return {port["name"]: port["containerPort"] for port in listed if "name" in port}


def _operators_policies() -> Iterator[Object]:
    registry = {"app": MODEL_REGISTRY, "component": "model-registry"}
    admitted = [{_GROUP: "ingress"}, {"opendatahub.io/generated-namespace": "true"}]
    yield _policy(
        REGISTRY_NAMESPACE,
        f"{MODEL_REGISTRY}-https-route",
        registry,
        [_rule([8443], *({"namespaceSelector": {"matchLabels": labels}} for labels in admitted))],
    )
    parts = [f"ds-pipeline-{part}-{DSPA}" for part in ("persistenceagent", "scheduledworkflow", "metadata-grpc")]
    yield _policy(
        NAMESPACE,
        f"ds-pipelines-{DSPA}",
        {"app": f"ds-pipeline-{DSPA}", "component": "data-science-pipelines"},
        [_rule([8443]), _rule([8888, 8887], *(_pods({"app": part}) for part in (*parts, f"mariadb-{DSPA}")))],
    )
    yield _policy(
        NAMESPACE,
        f"mariadb-{DSPA}",
        {"app": f"mariadb-{DSPA}", "component": "data-science-pipelines"},
        [
            _rule(
                [3306],
                _pods({"app": f"ds-pipeline-{DSPA}"}),
                _pods({"app": f"ds-pipeline-metadata-grpc-{DSPA}"}),
                {"namespaceSelector": {"matchLabels": {_NAME: DASHBOARD_NAMESPACE}}, **_pods(_DSPO)},
            )
        ],
    )
    workbench = {"notebook-name": "modelcar-workbench"}
    controllers = {"namespaceSelector": {"matchLabels": {_NAME: DASHBOARD_NAMESPACE}}}
    yield _policy(NAMESPACE, "modelcar-workbench-ctrl-np", workbench, [_rule([8888], controllers)])
    yield _policy(NAMESPACE, "modelcar-workbench-kube-rbac-proxy-np", workbench, [_rule([8443])])


def _policy(namespace: str, name: str, labels: Mapping[str, str], ingress: list[Object]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": dict(labels)}, "policyTypes": ["Ingress"], "ingress": ingress},
    }


def _rule(ports: list[int], *peers: Mapping[str, Any]) -> Object:
    return {"from": list(peers), "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def _pods(labels: Mapping[str, str]) -> Object:
    return {"podSelector": {"matchLabels": dict(labels)}}
