"""Faults of sizes, models and the workbench: for checks 20 to 31."""

from __future__ import annotations

from gitops_tree.mutations.registry import (
    add,
    annotations_in,
    container,
    edit,
    make,
    model,
    mutation,
    notebook,
    notebook_container,
    served,
)
from gitops_tree.tree import APPLICATION, PARENT, REGISTRY, Tree

WAVE = "argocd.argoproj.io/sync-wave"


def _quota(tree: Tree) -> dict[str, str]:
    found: dict[str, str] = tree.get("ResourceQuota", "private-ai-demo")["spec"]["hard"]
    return found


@mutation(20)
def no_gpu_for_a_rolling_update(tree: Tree) -> None:
    _quota(tree)["requests.nvidia.com/gpu"] = "2"


@mutation(20)
def a_quota_without_a_run(tree: Tree) -> None:
    _quota(tree)["requests.memory"] = "96Gi"


@mutation(20)
def limits_of_gpus(tree: Tree) -> None:
    _quota(tree)["limits.nvidia.com/gpu"] = "8"


@mutation(21)
def a_least_above_a_modelcars(tree: Tree) -> None:
    tree.get("LimitRange", "private-ai-demo")["spec"]["limits"][0]["min"] = {"cpu": "10m", "memory": "16Mi"}


@mutation(21)
def a_model_larger_than_allowed(tree: Tree) -> None:
    served(tree)["resources"]["limits"]["cpu"] = "64"


@mutation(21)
def a_request_above_the_default_limit(tree: Tree) -> None:
    container(tree)["resources"] = {"requests": {"memory": "2Gi"}}


@mutation(21)
def a_volume_larger_than_allowed(tree: Tree) -> None:
    tree.get("LimitRange", "private-ai-demo")["spec"]["limits"][1]["max"]["storage"] = "80Gi"


@mutation(22)
def volumes_beyond_the_quota(tree: Tree) -> None:
    tree.get("PersistentVolumeClaim", "pipeline-artifacts")["spec"]["resources"]["requests"]["storage"] = "450Gi"


@mutation(22)
def too_many_volumes(tree: Tree) -> None:
    _quota(tree)["persistentvolumeclaims"] = "5"


@mutation(23)
def a_workspace_smaller_than_a_model(tree: Tree) -> None:
    (claim,) = tree.sample_runs["compiled/tekton/samples/promote-model-workspace-run.yaml"]["spec"]["workspaces"]
    claim["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"] = "10Gi"


@mutation(23, also={34})
def a_workspace_smaller_than_a_model_on_kfp(tree: Tree) -> None:
    edit(tree, "compiled/kfp/promote-model-workspace.yaml", "size: 100Gi", "size: 10Gi")


@mutation(24, also={12})
def a_model_by_tag(tree: Tree) -> None:
    served(tree)["storageUri"] = served(tree)["storageUri"].partition("@")[0] + ":latest"


@mutation(24, also={12})
def a_model_that_its_promotions_do_not_push(tree: Tree) -> None:
    served(tree)["storageUri"] = served(tree)["storageUri"].replace("granite", "marble")


@mutation(24)
def an_image_by_latest(tree: Tree) -> None:
    container(tree)["image"] = "quay.io/minio/minio:latest"


@mutation(24)
def an_image_from_anywhere(tree: Tree) -> None:
    container(tree)["image"] = "docker.io/minio/minio@sha256:" + "0" * 64


@mutation(24)
def a_model_that_runs_before_it_is_built(tree: Tree) -> None:
    annotations_in(model(tree))["serving.kserve.io/stop"] = "false"


@mutation(25, also={29, 37})
def a_claim_for_nobody(tree: Tree) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    add(tree, make("v1", "PersistentVolumeClaim", "spare", spec=spec))


@mutation(25, also={26})
def a_claim_before_its_consumer(tree: Tree) -> None:
    annotations_in(tree.get("PersistentVolumeClaim", "pipeline-artifacts"))[WAVE] = "-1"


@mutation(26)
def a_later_wave(tree: Tree) -> None:
    annotations_in(tree.get("RoleBinding", "private-ai-demo-pipelines", REGISTRY))[WAVE] = "3"


@mutation(26)
def a_hook(tree: Tree) -> None:
    annotations_in(tree.get("Job", "object-store-credentials"))["argocd.argoproj.io/hook"] = "PreSync"


@mutation(26)
def a_refused_commit_for_ever(tree: Tree) -> None:
    del tree.applications[PARENT]["spec"]["syncPolicy"]["retry"]["refresh"]


@mutation(26)
def a_job_with_every_commit(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["syncPolicy"]["syncOptions"].remove("ApplyOutOfSyncOnly=true")


@mutation(27, also={12, 19, 24, 30})
def a_runtime_that_is_not_there(tree: Tree) -> None:
    served(tree)["runtime"] = "vllm"


@mutation(27)
def a_format_of_another_runtime(tree: Tree) -> None:
    served(tree)["modelFormat"]["name"] = "onnx"


@mutation(27)
def an_argument_of_the_runtime(tree: Tree) -> None:
    served(tree)["args"].append("--port=8081")


@mutation(27)
def shards_without_gpus(tree: Tree) -> None:
    served(tree)["args"].append("--tensor-parallel-size=2")


@mutation(27, also={20, 21})
def more_gpus_asked_than_allowed(tree: Tree) -> None:
    served(tree)["resources"]["requests"]["nvidia.com/gpu"] = "2"


@mutation(28)
def serverless(tree: Tree) -> None:
    annotations_in(model(tree))["serving.kserve.io/deploymentMode"] = "Serverless"


@mutation(28)
def an_annotation_of_istio(tree: Tree) -> None:
    annotations_in(tree.get("ServingRuntime", "vllm-cuda"))["sidecar.istio.io/inject"] = "true"


@mutation(29)
def a_model_that_is_not_shown(tree: Tree) -> None:
    del model(tree)["metadata"]["labels"]["opendatahub.io/dashboard"]


@mutation(29)
def a_volume_without_a_name_for_people(tree: Tree) -> None:
    del annotations_in(tree.get("PersistentVolumeClaim", "modelcar-workbench"))["openshift.io/display-name"]


@mutation(30)
def no_shared_memory(tree: Tree) -> None:
    spec = tree.get("ServingRuntime", "vllm-cuda")["spec"]
    spec["volumes"] = [{"name": "shm", "emptyDir": {}}]


@mutation(30)
def less_memory_than_weights(tree: Tree) -> None:
    for kind in ("requests", "limits"):
        served(tree)["resources"][kind]["memory"] = "6Gi"


@mutation(31)
def a_container_of_another_name(tree: Tree) -> None:
    notebook_container(tree)["name"] = "notebook"


@mutation(31)
def a_path_of_another_workbench(tree: Tree) -> None:
    (arguments,) = (one for one in notebook_container(tree)["env"] if one["name"] == "NOTEBOOK_ARGS")
    arguments["value"] = arguments["value"].replace("base_url=/notebook/private-ai-demo", "base_url=/notebook/demo")


@mutation(31)
def auth_of_openshift_ai_2(tree: Tree) -> None:
    annotations = annotations_in(notebook(tree))
    annotations["notebooks.opendatahub.io/inject-oauth"] = annotations.pop("notebooks.opendatahub.io/inject-auth")


@mutation(31)
def a_probe_that_asks_elsewhere(tree: Tree) -> None:
    notebook_container(tree)["readinessProbe"]["httpGet"] = {"path": "/api", "port": "notebook-port"}
