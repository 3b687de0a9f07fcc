"""What the AppProjects and the children's admission policy do not allow is refused by a real Argo CD, which says so.

Each fault is a commit, and the commit that takes it back has to arrive by itself.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from gitops_tree.tree import APPLICATION, PARENT
from real.argocd_stand_ins import try_kubectl
from real.argocd_tree import OVERLAY, ArgoTree

pytestmark = [pytest.mark.argocd, pytest.mark.timeout(180)]

ANOTHER_APPLICATION: Final = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: intruder, namespace: openshift-gitops}
spec:
  project: default
  source: {repoURL: https://git.example.com/somebody/else.git, targetRevision: main, path: .}
  destination: {server: https://kubernetes.default.svc, namespace: kube-system}
"""
CONFIG_MAP: Final = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: intruder, namespace: {}}}\n"
CLUSTER_ROLE: Final = (
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: intruder}\nrules: []\n"
)
SECRET: Final = "apiVersion: v1\nkind: Secret\nmetadata: {name: intruder, namespace: private-ai-demo}\n"
DENIED: Final = "ValidatingAdmissionPolicy 'stage01-children' with binding 'stage01-children' denied request: "
SCC: Final = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: intruder, namespace: private-ai-demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:openshift:scc:privileged}
subjects: [{kind: ServiceAccount, name: modelcar-serving, namespace: private-ai-demo}]
"""
ROLE: Final = (
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
    "metadata: {{name: intruder, namespace: private-ai-demo}}\nrules: [{{{}}}]\n"
)
USE: Final = (
    "apiGroups: [security.openshift.io], resources: [securitycontextconstraints], "
    "resourceNames: [privileged], verbs: [use]"
)
READ: Final = 'apiGroups: [""], resources: [secrets], verbs: [get, list]'
RIGHTS: Final = "ValidatingAdmissionPolicy 'stage01-{0}' with binding 'stage01-{0}' denied request: "
REFUSED: Final = {
    "a right to be root on a node": (
        APPLICATION,
        SCC,
        f'rolebindings.rbac.authorization.k8s.io "intruder" is forbidden: {RIGHTS.format("role-bindings")}'
        "stage 01 binds Roles of its own namespace and the ClusterRole system:image-builder, and no other",
    ),
    "the same by a Role": (
        APPLICATION,
        ROLE.format(USE),
        f'roles.rbac.authorization.k8s.io "intruder" is forbidden: {RIGHTS.format("roles")}'
        "a Role of stage 01 has no wildcard, uses no SCC, runs nothing in others' pods and gives no rights that it has "
        "not",
    ),
    "a right to read every Secret": (
        APPLICATION,
        ROLE.format(READ),
        f'roles.rbac.authorization.k8s.io "intruder" is forbidden: {RIGHTS.format("roles")}'
        "a Role of stage 01 makes Secrets or gets some by name, and does nothing else to them",
    ),
    "a kind": (APPLICATION, SECRET, "resource :Secret is not permitted in project stage01"),
    "a kind of the cluster": (
        APPLICATION,
        CLUSTER_ROLE,
        "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project stage01",
    ),
    "a namespace": (
        APPLICATION,
        CONFIG_MAP.format("kube-system"),
        "namespace kube-system is not permitted in project 'stage01'",
    ),
    "an Application in a child's path": (
        APPLICATION,
        ANOTHER_APPLICATION,
        "resource argoproj.io:Application is not permitted in project stage01",
    ),
    "a third Application": (
        PARENT,
        ANOTHER_APPLICATION,
        f'applications.argoproj.io "intruder" is forbidden: {DENIED}'
        "stage01-model-serving makes the Applications stage01-model-registry and stage01-application, and no other",
    ),
    "another kind in the parent's path": (
        PARENT,
        CONFIG_MAP.format("openshift-gitops"),
        "resource :ConfigMap is not permitted in project stage01-apps",
    ),
}
PARTS: Final = {PARENT: f"{OVERLAY}/stage01", APPLICATION: f"{OVERLAY}/application"}


def added(argo: ArgoTree, application: str, manifest: str) -> dict[str, str]:
    """The files of a commit that adds an object to an Application's path."""
    listed = f"{PARTS[application]}/kustomization.yaml"
    text = (argo.work / listed).read_text(encoding="utf-8")
    changed = text.replace("resources:\n", "resources:\n  - intruder.yaml\n", 1)
    return {f"{PARTS[application]}/intruder.yaml": manifest, listed: changed}


def patched(argo: ArgoTree, path: str, value: str) -> dict[str, str]:
    """The files of a commit that changes a child, behind what the overlay changes by itself."""
    listed = f"{PARTS[PARENT]}/kustomization.yaml"
    text = (argo.work / listed).read_text(encoding="utf-8")
    text += "  - target: {kind: Application, name: stage01-application}\n    patch: |\n"
    return {listed: f"{text}      - {{op: replace, path: {path}, value: {value}}}\n"}


def failed(argo: ArgoTree, application: str) -> dict[str, str]:
    """What an Application's last sync says of each object that it did not take, by kind and name."""
    result = argo.application(application)["status"].get("operationState", {}).get("syncResult", {})
    return {
        f"{one['kind']}/{one['name']}": one["message"]
        for one in result.get("resources", ())
        if one.get("status") == "SyncFailed"
    }


def wait_until_failed(argo: ArgoTree, application: str) -> dict[str, str]:
    """The same, as soon as a sync has failed; the next attempt begins with nothing said."""
    said: dict[str, str] = {}

    def has_failed() -> bool:
        said.update(failed(argo, application))
        return said != {}

    argo.wait(has_failed, f"{application} refuses")
    return said


def conditions(argo: ArgoTree, application: str) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = argo.application(application)["status"].get("conditions", [])
    return [(one["type"], one["message"]) for one in found]


@pytest.mark.parametrize("what", REFUSED)
def test_a_commit_is_refused_that_adds(argo: ArgoTree, well: str, what: str) -> None:
    application, manifest, message = REFUSED[what]
    kind = yaml.safe_load(manifest)["kind"]
    with argo.commits(f"Add {what}", added(argo, application, manifest)) as commit:
        assert wait_until_failed(argo, application) == {f"{kind}/intruder": message}
        sync = argo.application(application)["status"]["sync"]
        assert (sync["status"], sync["revision"]) == ("OutOfSync", commit)
        where = yaml.safe_load(manifest)["metadata"].get("namespace", "default")
        assert try_kubectl("get", kind, "intruder", "-n", where).stderr.startswith("Error from server (NotFound)")


def test_another_repository_is_refused(argo: ArgoTree, well: str) -> None:
    url = "https://git.example.com/somebody/else.git"
    with argo.commits("Follow another repository", patched(argo, "/spec/source/repoURL", url)):
        argo.wait(lambda: conditions(argo, APPLICATION) != [], "another repository is refused")
        message = f"application repo {url} is not permitted in project 'stage01'"
        assert conditions(argo, APPLICATION) == [("InvalidSpecError", message)]


def test_another_namespace_of_a_child_is_refused(argo: ArgoTree, well: str) -> None:
    with argo.commits("Go elsewhere", patched(argo, "/spec/destination/namespace", "openshift-gitops")):
        argo.wait(lambda: conditions(argo, APPLICATION) != [], "another namespace is refused")
        message = (
            "application destination server 'https://kubernetes.default.svc' and namespace 'openshift-gitops' "
            "do not match any of the allowed destinations in project 'stage01'"
        )
        assert conditions(argo, APPLICATION) == [("InvalidSpecError", message)]


def test_a_child_cannot_leave_its_project(argo: ArgoTree, well: str) -> None:
    with argo.commits("Allow myself everything", patched(argo, "/spec/project", "default")):
        message = f'applications.argoproj.io "stage01-application" is forbidden: {DENIED}'
        message += "a child of stage01-model-serving is in the AppProject stage01"
        assert wait_until_failed(argo, PARENT) == {"Application/stage01-application": message}
        assert argo.application(APPLICATION)["spec"]["project"] == "stage01"
