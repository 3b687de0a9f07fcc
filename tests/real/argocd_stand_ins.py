"""What controllers would do that a cluster without a node does not have: tests do it in their place, and say so."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final

from kubernetes import client

from gitops_tree.operator_made import IMAGE_BUILDER, KFP_ACCOUNT, REGISTRY_USER, TEKTON_ACCOUNT
from gitops_tree.rbac_simulation import ROLES
from gitops_tree.tree import NAMESPACE, REGISTRY_NAMESPACE

Object = dict[str, Any]
NOW: Final = "2026-01-01T00:00:00Z"
PIPELINE_RUNNER: Final = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/log", "services"], "verbs": ["*"]},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["*"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
    {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": ["create", "get", "patch"]},
]
"""What the operator of Data Science Pipelines lets its runner do, as far as it concerns this tree."""


IMAGE_EDITOR: Final = [
    {
        "apiGroups": ["image.openshift.io"],
        "resources": ["imagestreams", "imagestreamtags"],
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    },
]
"""What OpenShift adds to `edit` for images, beside pushing and pulling."""


def kubectl(*words: str, text: str = "") -> str:
    """Run kubectl as an administrator does."""
    done = try_kubectl(*words, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_kubectl(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """The same where it may be refused."""
    command = [f"{os.environ['REAL_BIN']}/kubectl", "--kubeconfig", os.environ["REAL_KUBECONFIG"], *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def bring_up_the_registry(api: Any) -> None:
    """Write what the controllers of Deployments, claims and Jobs, and the operator of Model Registries, would write."""
    _start(api, REGISTRY_NAMESPACE, "mysql", "mysql-data", "mysql-credentials")
    _say(api, "modelregistry.opendatahub.io/v1beta1", "modelregistries", "private-ai-model-registry", "Available")


def bring_up_the_application(api: Any) -> None:
    """The same for what is in private-ai-demo, where the models are stopped, and the workbench too."""
    _start(api, NAMESPACE, "object-store", "pipeline-artifacts", "object-store-credentials")
    group = "datasciencepipelinesapplications.opendatahub.io"
    _say(api, f"{group}/v1", "datasciencepipelinesapplications", "dspa", "Ready")


def say_how_a_model_is(api: Any, name: str, ready: str, message: str = "") -> None:
    """Write the status that KServe would write once it has seen the newest change."""
    objects = client.CustomObjectsApi(api)
    where = ("serving.kserve.io", "v1beta1", NAMESPACE, "inferenceservices", name)
    generation = objects.get_namespaced_custom_object(*where)["metadata"]["generation"]
    condition = {"type": "Ready", "status": ready, "message": message, "lastTransitionTime": NOW}
    status = {"observedGeneration": generation, "conditions": [condition]}
    objects.patch_namespaced_custom_object_status(*where, {"status": status})


def make_what_operators_make(api: Any) -> None:
    """The roles of others that the tree binds, and the rights that operators give their own accounts.

    OpenShift Pipelines binds `edit` to its account: what Kubernetes itself puts into that, and OpenShift for images, is
    the part of it that is here. Operators that add their kinds to `edit` are not.
    """
    builder = {"metadata": {"name": IMAGE_BUILDER}, "rules": ROLES["ClusterRole", "", IMAGE_BUILDER]}
    objects = [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", **builder}]
    objects.append(_role(REGISTRY_NAMESPACE, REGISTRY_USER, ROLES["Role", REGISTRY_NAMESPACE, REGISTRY_USER]))
    objects.append(_role(NAMESPACE, KFP_ACCOUNT, PIPELINE_RUNNER))
    objects.append(_binding(KFP_ACCOUNT, "Role", KFP_ACCOUNT, KFP_ACCOUNT))
    objects.append(_role(NAMESPACE, "openshift-edit", IMAGE_EDITOR))
    objects.append(_binding("openshift-edit", "Role", "openshift-edit", TEKTON_ACCOUNT))
    objects.append(_binding("openshift-pipelines-edit", "ClusterRole", "system:aggregate-to-edit", TEKTON_ACCOUNT))
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def end_namespaces(api: Any, *names: str) -> None:
    """Delete namespaces with all that is in them, in place of the controller manager where there is none."""
    if os.environ.get("REAL_NODE_IP"):  # it comes with the node, and ends the pods as well
        kubectl("delete", "namespace", *names, "--ignore-not-found", "--timeout=240s")
        return
    core = client.CoreV1Api(api)
    kinds = kubectl("api-resources", "--namespaced", "--verbs=delete,list", "-o", "name").split()
    for name in names:
        if try_kubectl("get", "namespace", name).returncode == 0:
            left = kubectl("get", ",".join(kinds), "-n", name, "-o", "name").split()
            if left:
                kubectl("patch", *left, "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
                kubectl("delete", *left, "-n", name, "--cascade=background", "--wait=false", "--ignore-not-found")
            core.delete_namespace(name)
            body = {"metadata": {"name": name}, "spec": {"finalizers": []}}
            core.replace_namespace_finalize(name, body)


def _start(api: Any, namespace: str, deployment: str, claim: str, job: str) -> None:
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    ready = {"observedGeneration": 1, **dict.fromkeys(counts, 1)}
    client.AppsV1Api(api).patch_namespaced_deployment_status(deployment, namespace, {"status": ready})
    bound = {"status": {"phase": "Bound"}}
    client.CoreV1Api(api).patch_namespaced_persistent_volume_claim_status(claim, namespace, bound)
    ended = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
    status = {"startTime": NOW, "completionTime": NOW, "succeeded": 1, "conditions": ended}
    client.BatchV1Api(api).patch_namespaced_job_status(job, namespace, {"status": status})


def _say(api: Any, version: str, plural: str, name: str, condition: str) -> None:
    group, _, version = version.partition("/")
    namespace = REGISTRY_NAMESPACE if plural == "modelregistries" else NAMESPACE
    said = {"type": condition, "status": "True", "reason": condition, "message": "", "lastTransitionTime": NOW}
    where = (group, version, namespace, plural, name)
    client.CustomObjectsApi(api).patch_namespaced_custom_object_status(*where, {"status": {"conditions": [said]}})


def _role(namespace: str, name: str, rules: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}


def _binding(name: str, kind: str, role: str, account: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }
