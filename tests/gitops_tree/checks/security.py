"""Checks 17 to 19: rights that are enough and no more, and containers without privileges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import annotations_of, contents, describe, name_of, values_at
from gitops_tree.operator_made import IMAGE_BUILDER, MODEL_REGISTRY, TEKTON_ACCOUNT
from gitops_tree.pods import Pod, pods
from gitops_tree.rbac_simulation import Deed, may_in
from gitops_tree.tree import NAMESPACE, REGISTRY_NAMESPACE, Object, Tree

ASK_REGISTRY: Final = Deed("get", "services", REGISTRY_NAMESPACE, MODEL_REGISTRY)
PUSH_IMAGE: Final = Deed("update", "imagestreams/layers.image.openshift.io", NAMESPACE)
ESCALATING: Final = frozenset({"bind", "escalate", "impersonate"})
CLUSTER_ROLES: Final = frozenset({IMAGE_BUILDER})
"""Those of OpenShift that the tree may bind."""
VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""What restricted-v2 lets a pod mount."""
NO_FIXED: Final = ("fsGroup", "runAsGroup", "runAsUser", "supplementalGroups")


@check(17, "Every account that a step runs as may ask the Model Registry and push images")
def loop(tree: Tree) -> Iterator[str]:
    for who, account in _accounts(tree):
        for what, deed in (("ask the Model Registry", ASK_REGISTRY), ("push images", PUSH_IMAGE)):
            if not may_in(tree, (NAMESPACE, account), deed):
                yield f"ServiceAccount {NAMESPACE}/{account}, as which {who} runs, may not {what}"


def _accounts(tree: Tree) -> Iterator[tuple[str, str]]:
    for path, run in tree.sample_runs.items():
        yield path, run["spec"].get("taskRunTemplate", {}).get("serviceAccountName", TEKTON_ACCOUNT)
    for one in tree.of_kind("DataSciencePipelinesApplication"):
        yield describe(one), f"pipeline-runner-{name_of(one)}"
    for one in tree.of_kind("Notebook"):
        yield describe(one), one["spec"]["template"]["spec"].get("serviceAccountName", "default")


@check(18, "No Role has a wildcard, lists Secrets or escalates; nothing is bound cluster-wide or to another SCC")
def roles(tree: Tree) -> Iterator[str]:
    for one in tree.objects:
        if one["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            yield f"{describe(one)} is for the whole cluster"
        if one["kind"] in ("Role", "ClusterRole"):
            for rule in one["rules"]:
                yield from (f"{describe(one)} {problem}" for problem in _excess(rule))
        bound = one.get("roleRef", {})
        if bound.get("kind") == "ClusterRole" and bound["name"] not in CLUSTER_ROLES:
            yield f"{describe(one)} binds ClusterRole {bound['name']}"
        if "openshift.io/scc" in annotations_of(one) or "openshift.io/required-scc" in contents(tree, one).texts:
            yield f"{describe(one)} asks for another security context constraint"


def _excess(rule: Object) -> Iterator[str]:
    for field in ("apiGroups", "resources", "verbs"):
        if "*" in rule[field]:
            yield f"has a wildcard in {field}"
    if "secrets" in rule["resources"] and {"list", "watch"} & set(rule["verbs"]):
        yield "lists Secrets"
    for verb in sorted(ESCALATING & set(rule["verbs"])):
        yield f"may {verb}"
    for resource in ("securitycontextconstraints", "serviceaccounts/token"):
        if resource in rule["resources"]:
            yield f"has {resource}"


@check(19, "Every container is as restricted-v2 would have it, and no user or group is fixed")
def restricted(tree: Tree) -> Iterator[str]:
    for pod in pods(tree):
        yield from (f"{pod.owner}: {problem}" for problem in _unrestricted(pod))
    for path, run in tree.sample_runs.items():
        template = run["spec"].get("taskRunTemplate", {}).get("podTemplate", {})
        context = template.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{path}: Tekton's own containers are not restricted by the run's podTemplate"
        yield from (f"{path} fixes {field}" for field in NO_FIXED if any(values_at(template, field)))


def _unrestricted(pod: Pod) -> Iterator[str]:
    spec = pod.spec
    yield from (f"it has {field}" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field))
    yield from (f"it fixes {field}" for field in NO_FIXED if field in spec.get("securityContext", {}))
    for volume in spec.get("volumes", ()):
        yield from (f"it mounts a {kind}" for kind in sorted(set(volume) - VOLUMES - {"name"}))
    if pod.kind == "BuildConfig":
        return  # OpenShift's own builder runs it, under an SCC of its own
    for container in pod.own_containers:
        for problem in _too_free(container, spec.get("securityContext", {})):
            yield f"container {container['name']} {problem}"


def _too_free(container: Object, outer: Object) -> Iterator[str]:
    context: dict[str, Any] = container.get("securityContext", {})
    capabilities = context.get("capabilities", {})
    wanted = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for field, value in wanted.items():
        if context.get(field, outer.get(field)) != value:
            yield f"does not say {field}"
    if context.get("allowPrivilegeEscalation", True):
        yield "allows privilege escalation"
    if capabilities.get("drop") != ["ALL"] or "add" in capabilities:
        yield f"has the capabilities {capabilities or 'of the runtime'}"
    yield from (f"fixes {field}" for field in NO_FIXED if field in context)
    if context.get("privileged"):
        yield "is privileged"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "has a port of the host"
