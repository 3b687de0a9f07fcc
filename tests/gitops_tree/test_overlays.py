"""Overlays that a team may list: with each the tree still passes every check, and what it replaces is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gitops_tree.cluster import endpoints, network
from gitops_tree.mutations.registry import GRANITE
from gitops_tree.objects import annotations_of, name_of, strings
from gitops_tree.run import find_problems
from gitops_tree.tree import APPLICATION, KUSTOMIZATION, REGISTRY, ROOT, Object, Tree
from modelcar_gitops.bootstrap_secrets import SECRETS

STAGE = Path("gitops/stage01-model-serving")
SERVER, REGISTRY_APP = STAGE / "application", STAGE / "model-registry-app"
STORE, EXTERNAL = "kubernetes-pipeline-store", "external-secrets"
NO_JOB_THERE = {
    24: [
        "quay.io/modelcar-pipelines/modelcar-python:0.1.0 is listed as an image without a digest, and nothing runs it"
    ],
    36: ["Application stage01-model-registry overlooks differences of ServiceAccount, and has none"],
}
"""What is said of the Model Registry's part once no Job is in it: two allowances are for that Job only."""
With = Callable[[dict[Path, list[str]]], Tree]


@pytest.fixture(scope="session")
def with_overlays(tmp_path_factory: pytest.TempPathFactory) -> With:
    """Renders a copy of the tree in which the parts list overlays as their components."""

    def load(listed: dict[Path, list[str]]) -> Tree:
        root = tmp_path_factory.mktemp("tree")
        for directory in ("gitops", "gitops-apps", "compiled"):
            shutil.copytree(ROOT / directory, root / directory)
        for part, overlays in listed.items():
            lines = "".join(f"  - ../../overlays/{one}\n" for one in overlays)
            with (root / part / KUSTOMIZATION).open("a", encoding="utf-8") as file:
                file.write(f"components:\n{lines}")
        return Tree.load(root)

    return load


@pytest.fixture(scope="session")
def external(with_overlays: With) -> Tree:
    return with_overlays({SERVER: [f"{EXTERNAL}/application"], REGISTRY_APP: [f"{EXTERNAL}/model-registry-app"]})


@pytest.fixture(scope="session")
def stored(with_overlays: With) -> Tree:
    return with_overlays({SERVER: [STORE]})


def kinds(objects: list[Object], *wanted: str) -> list[Object]:
    return [one for one in objects if one["kind"] in wanted]


def test_with_external_secrets_every_check_passes_but_that_two_allowances_are_for_the_job(external: Tree) -> None:
    assert find_problems(external) == NO_JOB_THERE


def test_external_secrets_bring_the_whole_contract(external: Tree) -> None:
    brought = {(one["metadata"]["namespace"], name_of(one)) for one in external.of_kind("ExternalSecret")}
    assert brought == {(one.namespace, one.name) for one in SECRETS}


def test_with_external_secrets_nothing_else_makes_any_or_may(external: Tree, tree: Tree) -> None:
    makers = {"object-store-credentials", "mysql-credentials"}
    assert {name_of(one) for one in kinds(tree.objects, "Job", "Role", "RoleBinding", "ServiceAccount")} >= makers
    assert external.of_kind("Job") == []
    assert {name_of(one) for one in kinds(external.objects, "Role", "RoleBinding", "ServiceAccount")} & makers == set()


def test_external_secrets_take_the_store_and_every_key_from_one_place(external: Tree) -> None:
    for one in external.of_kind("ExternalSecret"):
        assert "SET" not in set(strings(one))
        assert one["spec"]["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "vault"}
        assert {each["remoteRef"]["key"] for each in one["spec"]["data"]} == {f"stage01/{name_of(one)}"}


def test_with_the_kubernetes_store_every_check_passes(stored: Tree) -> None:
    assert find_problems(stored) == {}


def test_both_overlays_go_together(with_overlays: With) -> None:
    both = with_overlays({SERVER: [f"{EXTERNAL}/application", STORE], REGISTRY_APP: [f"{EXTERNAL}/model-registry-app"]})
    assert find_problems(both) == NO_JOB_THERE


def test_the_kubernetes_store_has_each_pipeline_with_a_version_that_names_it(stored: Tree) -> None:
    own = [one for one in stored.rendered[APPLICATION] if one["apiVersion"] == "pipelines.kubeflow.org/v2beta1"]
    pipelines = {name_of(one) for one in kinds(own, "Pipeline")}
    assert pipelines == {"promote-model", "promote-model-workspace", "promote-models", "retrain-and-promote"}
    assert {one["spec"]["pipelineName"] for one in kinds(own, "PipelineVersion")} == pipelines


def test_every_step_of_a_stored_pipeline_runs_in_the_image_that_the_cluster_builds(stored: Tree) -> None:
    images = {
        executor["container"]["image"]
        for one in stored.of_kind("PipelineVersion")
        for executor in one["spec"]["pipelineSpec"]["deploymentSpec"]["executors"].values()
    }
    internal = "image-registry.openshift-image-registry.svc:5000/private-ai-demo/modelcar-python:0.1.0"
    trainer = "{{$.inputs.parameters['pipelinechannel--resolve-training-trainer_image']}}"
    assert images == {internal, trainer}


def test_pipelines_that_git_has_no_more_stay_and_are_no_difference(stored: Tree) -> None:
    for one in stored.of_kind("PipelineVersion"):
        assert annotations_of(one) == {
            "argocd.argoproj.io/sync-options": "Delete=false,Prune=false",
            "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        }


def test_with_the_kubernetes_store_the_server_is_told_and_only_schedules_are_applied(stored: Tree) -> None:
    dspa = stored.get("DataSciencePipelinesApplication", "dspa")
    assert dspa["spec"]["apiServer"]["pipelineStore"] == "kubernetes"
    job = stored.get("CronJob", "modelcar-pipelines")["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["modelcar", "pipeline", "apply", "--no-upload", "/etc/modelcar/schedules"]


def test_behind_a_proxy_every_check_passes_and_its_port_is_open_to_steps_alone(with_overlays: With) -> None:
    behind = with_overlays({SERVER: ["proxy"]})
    assert find_problems(behind) == {}
    there, lets = endpoints(behind), network(behind, blocks_match_pods=False).lets
    for name in ("Tekton step", "Kubeflow step", "workbench"):
        assert lets(there[name], there["internet"], 3128), name
        assert lets(there[name], there["internet by IPv6"], 3128), name
        assert not lets(there[name], there["cloud's metadata"], 3128), name
    assert not lets(there[GRANITE], there["internet"], 3128)


def test_builds_of_a_private_repository_have_the_login_of_promotions(with_overlays: With) -> None:
    private = with_overlays({SERVER: ["private-repository"]})
    builds = {name_of(one): one["spec"]["source"].get("sourceSecret") for one in private.of_kind("BuildConfig")}
    assert builds == {name: {"name": "modelcar-git"} for name in ("modelcar-python", "modelcar-workbench")}
    assert find_problems(private) == {}


def test_where_a_node_has_no_gpus_for_two_versions_the_old_one_ends_first(with_overlays: With) -> None:
    recreated = with_overlays({SERVER: ["recreate"]})
    strategies = [one["spec"]["predictor"]["deploymentStrategy"] for one in recreated.of_kind("InferenceService")]
    assert strategies == [{"type": "Recreate"}, {"type": "Recreate"}]
    assert find_problems(recreated) == {}


def test_without_overlays_the_database_has_the_pipelines_and_jobs_make_the_secrets(tree: Tree) -> None:
    dspa = tree.get("DataSciencePipelinesApplication", "dspa")
    assert "pipelineStore" not in dspa["spec"]["apiServer"]
    assert tree.of_kind("PipelineVersion", "ExternalSecret") == []
    assert {name_of(one) for one in kinds(tree.rendered[REGISTRY], "Job")} == {"mysql-credentials"}
