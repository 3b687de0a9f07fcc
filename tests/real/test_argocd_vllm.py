"""A commit becomes a model that answers: the GitOps tree on a real Argo CD, KServe and vLLM, on a real node.

The node's admission imitates OpenShift's restricted-v2 SCC. Argo CD, KServe, vLLM, kubelet and Kubernetes' own
controllers are real. The operators of OpenShift AI are not there, and nothing stands in for them: the ModelRegistry,
the pipeline server, the workbench and the builds stay objects. MySQL, MinIO and the step image cannot be pulled here,
and their pods wait for ever: no Application needs them to be synced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from gitops_tree.tree import APPLICATION, NAMESPACE
from real.argocd_stand_ins import kubectl
from real.served_tree import MODEL, ServedTree, image_ids, served_tree
from real_servers import require

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(900)]

LACKING = "sha256:" + "b" * 64
VARIABLES = (
    "REAL_VLLM_IMAGE",
    "REAL_ARGOCD_NAMESPACE",
    "REAL_KSERVE",
    "REAL_OCI_REGISTRY",
    "REAL_CTR",
    "REAL_KUBECONFIG",
    "REAL_BIN",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedTree]:
    """The tree, of which only the bootstrap directory was applied by hand."""
    require(*VARIABLES)
    with served_tree(tmp_path_factory.mktemp("served")) as made:
        made.tree.wait_until_synced(made.tree.apply())
        yield made


@pytest.fixture(scope="module")
def first(served: ServedTree) -> tuple[Any, str]:
    """The pod of the first promotion, and what its model says."""
    pod = served.wait_until_serving(served.promote())
    return pod, served.complete(pod)


@pytest.fixture(scope="module")
def second(served: ServedTree, first: tuple[Any, str]) -> tuple[Any, str]:
    """The same of the second promotion, of other weights."""
    served.train(2)
    pod = served.wait_until_serving(served.promote())
    return pod, served.complete(pod)


@pytest.fixture(scope="module")
def unwell(served: ServedTree, second: tuple[Any, str]) -> str:
    """What Argo CD finds unwell while the second serves: what has no controller here, or no image."""
    served.wait_until_alone(second[0].metadata.name)
    return _unwell(served)


@pytest.fixture(scope="module")
def stuck(served: ServedTree, unwell: str) -> Any:
    """The pod of a third, of an image that the registry does not have."""
    served.tree.wait_until_synced(served.patch(LACKING), APPLICATION)
    return served.wait_until_stuck("ImagePullBackOff")


def test_before_its_first_promotion_a_model_has_no_pod(served: ServedTree) -> None:
    assert served.inference_service()["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"
    assert served.pods() == []


def test_a_promotion_becomes_a_vllm_pod_of_the_digest_in_git(served: ServedTree, first: tuple[Any, str]) -> None:
    pod, _ = first
    digest = served.digest_in_git()
    images = {one.name: one.image for one in (*pod.spec.init_containers, *pod.spec.containers)}
    assert images == {
        "kserve-container": os.environ["REAL_VLLM_IMAGE"],
        "modelcar-init": f"{served.repository}@{digest}",
        "modelcar": f"{served.repository}@{digest}",
    }


def test_a_second_promotion_replaces_the_pod_and_changes_what_the_model_says(
    served: ServedTree, first: tuple[Any, str], second: tuple[Any, str]
) -> None:
    pod, text = second
    served.wait_until_alone(pod.metadata.name)
    assert served.complete(pod) == text != first[1]


def test_an_image_that_cannot_start_leaves_the_old_pod_serving(
    served: ServedTree, second: tuple[Any, str], stuck: Any
) -> None:
    pod, text = second
    assert {one.metadata.name for one in served.pods()} == {pod.metadata.name, stuck.metadata.name}
    assert served.complete(pod) == text


def test_neither_kserve_nor_argo_cd_says_that_an_image_cannot_start(
    served: ServedTree, unwell: str, stuck: Any
) -> None:
    status = served.inference_service()["status"]
    assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"
    assert status["modelStatus"]["transitionStatus"] == "UpToDate"
    assert served.tree.application(APPLICATION)["status"]["sync"]["status"] == "Synced"
    served.tree.wait(lambda: _unwell(served) == unwell, f"Argo CD finds unwell what it did: {unwell}")


def test_the_doctor_says_which_model_cannot_start_and_which_serves(
    served: ServedTree, second: tuple[Any, str], stuck: Any
) -> None:
    ran = served.modelcar("doctor", "--namespace", NAMESPACE)
    (line,) = (line.split(maxsplit=2) for line in ran.stdout.splitlines() if f" {MODEL} " in line)
    serving = image_ids(second[0])["modelcar"].partition("@sha256:")[2]
    assert (ran.returncode, ran.stderr) == (1, "")
    assert line[1] == MODEL
    assert line[2].startswith(f"the new model {'b' * 12} cannot start: ")
    assert line[2].endswith(f"; the old {serving[:12]} still serves")


def test_every_pod_runs_as_the_user_of_its_namespaces_range_with_nothing_granted(
    served: ServedTree, stuck: Any
) -> None:
    core = client.CoreV1Api(served.tree.api)
    annotations = core.read_namespace(NAMESPACE).metadata.annotations
    user = int(annotations["openshift.io/sa.scc.uid-range"].partition("/")[0])
    pods = core.list_namespaced_pod(NAMESPACE).items
    expected = {f"isvc.{MODEL}-predictor", "object-store", "modelcar-credentials"}
    assert expected <= {one.metadata.labels.get("app") for one in pods}
    found = {(pod.metadata.name, one.name): _rights(pod, one) for pod in pods for one in _containers(pod)}
    restricted = {
        "user": user,
        "non-root": True,
        "escalation": False,
        "privileged": False,
        "dropped": ["ALL"],
        "added": [],
        "seccomp": "RuntimeDefault",
        "group of files": user,
    }
    assert found == dict.fromkeys(found, restricted)


def test_what_vllm_runs_as_is_that_user(served: ServedTree, second: tuple[Any, str]) -> None:
    script = "import os; print(os.getuid(), os.getgid())"
    words = ["exec", "-n", NAMESPACE, second[0].metadata.name, "-c", "kserve-container", "--", "python", "-c", script]
    assert kubectl(*words) == "1000680000 0\n"


def test_a_pod_that_asks_for_root_is_refused(served: ServedTree) -> None:
    container = {"name": "root", "image": "docker.io/local/busybox:1", "securityContext": {"runAsUser": 0}}
    pod = {"metadata": {"name": "root"}, "spec": {"containers": [container]}}
    with pytest.raises(client.ApiException) as refused:
        client.CoreV1Api(served.tree.api).create_namespaced_pod(NAMESPACE, pod)
    assert (
        "unable to validate against any security context constraint: "
        "runAsUser: must be in the ranges: [1000680000, 1000689999]"
    ) in refused.value.body


def test_a_revert_in_git_takes_the_image_away_and_the_old_pod_serves_on(
    served: ServedTree, second: tuple[Any, str], stuck: Any
) -> None:
    pod, text = second
    served.tree.git("revert", "--no-edit", "HEAD")
    served.tree.wait_until_synced(served.tree.push())
    served.wait_until_alone(pod.metadata.name)
    assert served.complete(pod) == text


def _unwell(served: ServedTree) -> str:
    """What Argo CD gives as the cause of the Application's health."""
    return str(served.tree.application(APPLICATION)["status"]["health"].get("message"))


def _containers(pod: Any) -> list[Any]:
    return [*(pod.spec.init_containers or ()), *pod.spec.containers]


def _rights(pod: Any, container: Any) -> dict[str, Any]:
    """What a container may, by its own security context, then its pod's."""
    of_pod, own = pod.spec.security_context, container.security_context
    return {
        "user": own.run_as_user,
        "non-root": own.run_as_non_root,
        "escalation": own.allow_privilege_escalation,
        "privileged": bool(own.privileged),
        "dropped": own.capabilities.drop,
        "added": own.capabilities.add or [],
        "seccomp": (own.seccomp_profile or of_pod.seccomp_profile).type,
        "group of files": of_pod.fs_group,
    }
