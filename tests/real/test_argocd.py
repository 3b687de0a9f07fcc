"""The GitOps tree on a real Argo CD and kube-apiserver: the parent alone is applied, and git does the rest.

Controllers that are not there are stood in for by the test, which writes their status where one is needed: KServe, the
operators of OpenShift AI, and everything that would make pods.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from kubernetes import client

from gitops_tree.tree import APPLICATION, NAMESPACE, PARENT, REGISTRY
from real.argocd_stand_ins import kubectl, say_how_a_model_is
from real.argocd_tree import APPLICATIONS, OVERLAY, ArgoTree

pytestmark = [pytest.mark.argocd, pytest.mark.timeout(180)]

COMMAND: Final = str(Path(sys.executable).parent / "modelcar")
GRANITE, MISTRAL = "granite-3-3-2b-instruct", "mistral-small-24b-w4a16"
SERVED: Final = "gitops/stage01-model-serving/application/vllm"


def promote(argo: ArgoTree, service: str, digest: str) -> str:
    """Commit what a promotion commits."""
    path = argo.work / SERVED / f"{service}.yaml"
    uri = f"oci://registry.example/team/{service}@sha256:{digest * 64}"
    words = ["patch", str(path), "--name", service, "--storage-uri", uri, "--write"]
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return argo.commit(f"Promote {service}")


def served(argo: ArgoTree, name: str) -> dict[str, Any]:
    """An InferenceService of the cluster."""
    where = ("serving.kserve.io", "v1beta1", NAMESPACE, "inferenceservices", name)
    found: dict[str, Any] = client.CustomObjectsApi(argo.api).get_namespaced_custom_object(*where)
    return found


def storage_uri(argo: ArgoTree, name: str) -> str:
    return str(served(argo, name)["spec"]["predictor"]["model"]["storageUri"])


def all_objects(argo: ArgoTree) -> dict[tuple[str, str], dict[str, Any]]:
    """What the children have in the cluster, by kind and name, and without what controllers say of it."""
    rendered = [one for part in ("model-registry-app", "application") for one in render(argo, part)]
    found = yaml.safe_load(kubectl("get", "-f", "-", "-o", "yaml", text=yaml.safe_dump_all(rendered)))["items"]
    for one in found:
        one.pop("status", None)
        del one["metadata"]["resourceVersion"]  # the API server moves it once for a claim that is applied as it is
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def render(argo: ArgoTree, part: str) -> list[dict[str, Any]]:
    """What a part of the overlay is."""
    return list(yaml.safe_load_all(kubectl("kustomize", str(argo.work / OVERLAY / part))))


def test_the_workload_waits_for_the_registry_where_argo_cd_knows_how_an_application_is(
    argo: ArgoTree, begun: str
) -> None:
    message = "waiting for healthy state of argoproj.io/Application/stage01-model-registry"
    argo.wait(lambda: message in str(argo.describe(PARENT)["operation"]), "the parent waits")
    assert argo.application(APPLICATION) == {}


def test_the_parent_alone_brings_everything_up_in_the_order_of_waves(argo: ArgoTree, there: str) -> None:
    made = [argo.application(name)["metadata"]["creationTimestamp"] for name in APPLICATIONS]
    assert made == sorted(made)
    assert made[1] < made[2]
    projects = [argo.application(name)["spec"]["project"] for name in APPLICATIONS]
    assert projects == ["stage01-apps", "stage01", "stage01"]


@pytest.mark.parametrize(("name", "part"), [(REGISTRY, "model-registry-app"), (APPLICATION, "application")])
def test_every_object_of_a_path_is_there(argo: ArgoTree, there: str, name: str, part: str) -> None:
    found = {(one["kind"], one["name"]): one["status"] for one in argo.resources(name)}
    assert found == {(one["kind"], one["metadata"]["name"]): "Synced" for one in render(argo, part)}


def test_a_sync_ends_though_nothing_of_it_has_started(argo: ArgoTree, there: str) -> None:
    operation = argo.application(APPLICATION)["status"]["operationState"]
    assert (operation["phase"], operation["message"]) == ("Succeeded", "successfully synced (all tasks run)")
    assert argo.health(APPLICATION) == "Progressing"


def test_a_model_that_waits_for_its_first_promotion_is_healthy_and_so_is_all(argo: ArgoTree, well: str) -> None:
    stopped = [served(argo, name)["metadata"]["annotations"]["serving.kserve.io/stop"] for name in (GRANITE, MISTRAL)]
    assert stopped == ["true", "true"]
    assert {name: argo.health(name) for name in APPLICATIONS} == dict.fromkeys(APPLICATIONS, "Healthy")


def test_a_second_look_finds_nothing_to_do(argo: ArgoTree, well: str) -> None:
    before = {name: argo.application(name)["status"].get("history", []) for name in APPLICATIONS}
    looked = {name: argo.application(name)["status"]["reconciledAt"] for name in APPLICATIONS}
    written = all_objects(argo)
    argo.refresh()
    for name in APPLICATIONS:
        argo.wait(lambda name=name: argo.application(name)["status"]["reconciledAt"] > looked[name], f"{name} again")  # type: ignore[misc]
        assert argo.application(name)["status"]["sync"]["status"] == "Synced", argo.describe(name)
        assert argo.describe(name)["out of sync"] == []
    assert {name: argo.application(name)["status"].get("history", []) for name in APPLICATIONS} == before
    assert all_objects(argo) == written


def test_the_first_promotion_changes_and_starts_one_inference_service_and_nothing_else(
    argo: ArgoTree, well: str
) -> None:
    before = all_objects(argo)
    argo.wait_until_synced(promote(argo, GRANITE, "a"), APPLICATION)
    after = all_objects(argo)
    assert {key for key in after if after[key] != before.get(key)} == {("InferenceService", GRANITE)}
    assert storage_uri(argo, GRANITE) == f"oci://registry.example/team/{GRANITE}@sha256:{'a' * 64}"
    assert served(argo, GRANITE)["metadata"]["annotations"]["serving.kserve.io/stop"] == "false"
    argo.wait_until_health(APPLICATION, "Progressing")  # until somebody says more
    say_how_a_model_is(argo.api, GRANITE, "True")
    argo.wait_until_health(APPLICATION, "Healthy")


def test_a_model_that_never_gets_ready_does_not_hold_back_the_commit_that_mends_it(argo: ArgoTree, well: str) -> None:
    argo.wait_until_synced(promote(argo, GRANITE, "b"), APPLICATION)
    say_how_a_model_is(argo.api, GRANITE, "False", "ErrImagePull")
    argo.wait_until_health(APPLICATION, "Degraded")
    argo.wait_until_synced(promote(argo, GRANITE, "c"), APPLICATION)
    assert storage_uri(argo, GRANITE) == f"oci://registry.example/team/{GRANITE}@sha256:{'c' * 64}"
    say_how_a_model_is(argo.api, GRANITE, "True")
    argo.wait_until_health(APPLICATION, "Healthy")


def test_a_hand_edit_is_put_back(argo: ArgoTree, well: str) -> None:
    before = storage_uri(argo, MISTRAL)
    edit = {"spec": {"predictor": {"model": {"storageUri": "oci://registry.example/by/hand:latest"}}}}
    where = ("serving.kserve.io", "v1beta1", NAMESPACE, "inferenceservices", MISTRAL)
    edited = client.CustomObjectsApi(argo.api).patch_namespaced_custom_object(*where, edit)
    assert edited["spec"]["predictor"]["model"]["storageUri"] == "oci://registry.example/by/hand:latest"
    argo.wait(lambda: storage_uri(argo, MISTRAL) == before, "the hand edit is put back")
