"""The opt-in right to make Argo CD look at git: asked of the real kube-apiserver as the account that has it.

Argo CD is told to leave the Application alone for that, or it would take the annotation away before anybody looks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from kubernetes import client, config

from gitops_tree.operator_made import KFP_ACCOUNT, TEKTON_ACCOUNT
from gitops_tree.tree import APPLICATION, ARGOCD_NAMESPACE, NAMESPACE, PARENT, REFRESH, REGISTRY
from real.argocd_stand_ins import kubectl
from real.argocd_tree import ArgoTree

pytestmark = [pytest.mark.argocd, pytest.mark.timeout(180)]

Patch = dict[str, Any]
ASK: Final = "argocd.argoproj.io/refresh"
LEAVE_ALONE: Final = "argocd.argoproj.io/skip-reconcile"
TEAM: Final = "example.com/team"
NOTHING_ELSE: Final = "this account may change nothing but the annotation argocd.argoproj.io/refresh"
ONLY_THESE: Final = "argocd.argoproj.io/refresh is normal or hard"
NO_RIGHT: Final = 'cannot patch resource "applications" in API group "argoproj.io"'


def annotate(**changes: str | None) -> Patch:
    return {"metadata": {"annotations": changes}}


ALLOWED: Final[dict[str, tuple[Patch, str | None]]] = {
    "normal": (annotate(**{ASK: "normal"}), "normal"),
    "hard": (annotate(**{ASK: "hard"}), "hard"),
    "taking it back": (annotate(**{ASK: None}), None),
    "nothing": ({}, "normal"),
}
REFUSED: Final[dict[str, tuple[str, str, Patch, str]]] = {
    what: (account, name, patch, message)
    for what, account, name, patch, message in (
        ("another value", TEKTON_ACCOUNT, APPLICATION, annotate(**{ASK: "always"}), ONLY_THESE),
        ("no value", TEKTON_ACCOUNT, APPLICATION, annotate(**{ASK: ""}), ONLY_THESE),
        ("the branch", TEKTON_ACCOUNT, APPLICATION, {"spec": {"source": {"targetRevision": "mine"}}}, NOTHING_ELSE),
        ("the namespace", KFP_ACCOUNT, APPLICATION, {"spec": {"destination": {"namespace": "default"}}}, NOTHING_ELSE),
        (
            "the branch, beside the annotation",
            TEKTON_ACCOUNT,
            APPLICATION,
            {**annotate(**{ASK: "hard"}), "spec": {"source": {"targetRevision": "mine"}}},
            NOTHING_ELSE,
        ),
        ("another annotation", TEKTON_ACCOUNT, APPLICATION, annotate(mine="yes"), NOTHING_ELSE),
        ("an annotation changed", TEKTON_ACCOUNT, APPLICATION, annotate(**{TEAM: "mine"}), NOTHING_ELSE),
        ("an annotation taken away", TEKTON_ACCOUNT, APPLICATION, annotate(**{TEAM: None}), NOTHING_ELSE),
        ("all annotations", TEKTON_ACCOUNT, APPLICATION, {"metadata": {"annotations": None}}, NOTHING_ELSE),
        ("a label", TEKTON_ACCOUNT, APPLICATION, {"metadata": {"labels": {"mine": "yes"}}}, NOTHING_ELSE),
        ("a label taken away", TEKTON_ACCOUNT, APPLICATION, {"metadata": {"labels": None}}, NOTHING_ELSE),
        (
            "a finalizer",
            TEKTON_ACCOUNT,
            APPLICATION,
            {"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}},
            NOTHING_ELSE,
        ),
        (
            "an owner",
            TEKTON_ACCOUNT,
            APPLICATION,
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]}},
            NOTHING_ELSE,
        ),
        ("a sync", TEKTON_ACCOUNT, APPLICATION, {"operation": {"sync": {"revision": "mine"}}}, NOTHING_ELSE),
        ("the status", TEKTON_ACCOUNT, APPLICATION, {"status": {"sourceType": "Helm"}}, NOTHING_ELSE),
        ("another Application", TEKTON_ACCOUNT, REGISTRY, annotate(**{ASK: "normal"}), NO_RIGHT),
        ("the parent", KFP_ACCOUNT, PARENT, annotate(**{ASK: "normal"}), NO_RIGHT),
        ("an account without the right", "modelcar-workbench", APPLICATION, annotate(**{ASK: "normal"}), NO_RIGHT),
    )
}


def patch(account: str, name: str, body: Patch, **options: str) -> Any:
    """Change an Application as an account of private-ai-demo."""
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{NAMESPACE}:{account}")
    where = ("argoproj.io", "v1alpha1", ARGOCD_NAMESPACE, "applications", name)
    return client.CustomObjectsApi(api).patch_namespaced_custom_object(*where, body, **options)


def refusal(account: str, name: str, body: Patch) -> str:
    """What the API server says to a change that it does not make; empty when it would make it."""
    try:
        patch(account, name, body, dry_run="All")
    except client.ApiException as error:
        return str(json.loads(error.body)["message"])
    return ""


@pytest.fixture(scope="module")
def policy(argo: ArgoTree, well: str) -> Iterator[None]:
    """An administrator applies the directory; the API server takes a moment to know its policy."""
    directory = str(argo.work / REFRESH)
    kubectl("apply", "-k", directory)
    argo.wait(lambda: refusal(TEKTON_ACCOUNT, APPLICATION, annotate(mine="yes")) != "", "the policy is known", 30)
    yield
    kubectl("delete", "-k", directory)


def test_argo_cd_looks_when_an_account_asks_and_takes_the_annotation_away(argo: ArgoTree, policy: None) -> None:
    assert patch(TEKTON_ACCOUNT, APPLICATION, annotate(**{ASK: "normal"}))["metadata"]["annotations"][ASK] == "normal"
    argo.wait(lambda: ASK not in argo.application(APPLICATION)["metadata"].get("annotations", {}), "Argo CD looks", 30)


@pytest.fixture(scope="module")
def left_alone(argo: ArgoTree, policy: None) -> Iterator[None]:
    """Argo CD leaves the Application alone, which has a label, an annotation and a wish to be refreshed."""
    words = ("application", APPLICATION, "-n", ARGOCD_NAMESPACE)
    kubectl("annotate", *words, f"{LEAVE_ALONE}=true")
    kubectl("label", *words, f"{TEAM}=ours")
    kubectl("annotate", *words, f"{TEAM}=ours", f"{ASK}=normal")
    yield
    kubectl("label", *words, f"{TEAM}-")
    kubectl("annotate", *words, f"{LEAVE_ALONE}-", f"{TEAM}-", f"{ASK}-")


@pytest.mark.parametrize("what", ALLOWED)
@pytest.mark.parametrize("account", [TEKTON_ACCOUNT, KFP_ACCOUNT])
def test_an_account_may(left_alone: None, account: str, what: str) -> None:
    body, expected = ALLOWED[what]
    done = patch(account, APPLICATION, body, dry_run="All")
    assert done["metadata"]["annotations"].get(ASK) == expected


@pytest.mark.parametrize("what", REFUSED)
def test_an_account_may_not_change(left_alone: None, what: str) -> None:
    account, name, body, message = REFUSED[what]
    said = refusal(account, name, body)
    start = f'applications.argoproj.io "{name}" is forbidden: '
    if message == NO_RIGHT:
        user = f'User "system:serviceaccount:{NAMESPACE}:{account}"'
        assert said == f'{start}{user} {NO_RIGHT} in the namespace "{ARGOCD_NAMESPACE}"'
    else:
        rule = "ValidatingAdmissionPolicy 'stage01-only-refresh' with binding 'stage01-only-refresh' denied request: "
        assert said == f"{start}{rule}{message}"
