"""Faults of pipelines, promotions and what Argo CD is told: for checks 33 to 38 and 40."""

from __future__ import annotations

from gitops_tree.mutations.registry import (
    GRANITE,
    GRANITE_FILE,
    annotations_in,
    edit,
    model,
    mutation,
    registry,
    task,
)
from gitops_tree.tree import APPLICATION, REGISTRY, Object, Tree

KFP = "compiled/kfp/promote-model.yaml"


def _health_check(tree: Tree, kind: str) -> Object:
    return next(one for one in tree.health_checks if one["kind"] == kind)


@mutation(33)
def a_result_that_no_task_gives(tree: Tree) -> None:
    task(tree, "register-model")["params"][0]["value"] = "$(tasks.resolve-model.results.commit)"


@mutation(33)
def a_parameter_that_is_not_given(tree: Tree) -> None:
    task(tree, "register-model")["params"].pop()


@mutation(33)
def a_parameter_of_another_type(tree: Tree) -> None:
    tree.get("Pipeline", "promote-model")["spec"]["params"][0]["type"] = "array"


@mutation(33)
def a_circle(tree: Tree) -> None:
    task(tree, "resolve-model")["runAfter"] = ["report-promotion"]


@mutation(33)
def a_workspace_that_is_not_given(tree: Tree) -> None:
    del task(tree, "download-model", "promote-model-workspace")["workspaces"]


@mutation(33)
def a_last_task_that_needs_a_skipped_one(tree: Tree) -> None:
    (_, name) = task(tree, "report-failure")["params"]
    name["value"] = "$(tasks.register-model.results.version)"


@mutation(33)
def tasks_longer_than_the_run(tree: Tree) -> None:
    task(tree, "build-and-push-modelcar")["timeout"] = "12h"


@mutation(33)
def a_step_that_names_a_parameter_of_the_pipeline(tree: Tree) -> None:
    step = task(tree, "report-skipped")["taskSpec"]["steps"][0]
    step["env"].append({"name": "SPEC", "value": "$(params.spec)"})


@mutation(34)
def a_change_of_what_is_compiled(tree: Tree) -> None:
    edit(tree, "compiled/tekton/promote-model.yaml", "timeout: 6h", "timeout: 7h")


@mutation(34)
def a_secret_as_a_parameter(tree: Tree) -> None:
    edit(tree, KFP, "      source:\n        defaultValue", "      hub_token:\n        defaultValue")


@mutation(35)
def a_manifest_without_the_links(tree: Tree) -> None:
    link = '    modelregistry.opendatahub.io/model-version-id: "0" # and which version of it\n'
    edit(tree, GRANITE_FILE, link, "")


@mutation(35, also={12})
def a_model_in_another_file(tree: Tree) -> None:
    edit(tree, GRANITE_FILE, f"  name: {GRANITE}\n", "  name: granite\n")


@mutation(36)
def a_whole_spec_overlooked(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["ignoreDifferences"].append(
        {"group": "serving.kserve.io", "kind": "InferenceService", "jsonPointers": ["/spec"]}
    )


@mutation(36)
def a_group_that_argo_cd_takes_out(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["ignoreDifferences"][0]["group"] = ""


@mutation(36)
def differences_that_syncs_undo(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["syncPolicy"]["syncOptions"].remove("RespectIgnoreDifferences=true")


@mutation(37)
def a_database_that_is_pruned(tree: Tree) -> None:
    del annotations_in(tree.get("PersistentVolumeClaim", "mysql-data", REGISTRY))["argocd.argoproj.io/sync-options"]


@mutation(37)
def a_registry_that_is_deleted_with_its_application(tree: Tree) -> None:
    annotations_in(registry(tree))["argocd.argoproj.io/sync-options"] = "Prune=false"


@mutation(37)
def a_registry_application_that_prunes(tree: Tree) -> None:
    tree.applications[REGISTRY]["spec"]["syncPolicy"]["automated"]["prune"] = True


@mutation(38)
def an_instance_label(tree: Tree) -> None:
    model(tree)["metadata"]["labels"]["argocd.argoproj.io/instance"] = "stage01-application"


@mutation(40)
def no_health_check_of_applications(tree: Tree) -> None:
    tree.health_checks.remove(_health_check(tree, "Application"))


@mutation(40)
def a_stopped_model_that_is_not_healthy(tree: Tree) -> None:
    entry = _health_check(tree, "InferenceService")
    entry["check"] = entry["check"].replace('"serving.kserve.io/stop"', '"serving.kserve.io/stopped"')


@mutation(40)
def lua_that_fails_without_a_status(tree: Tree) -> None:
    entry = _health_check(tree, "ModelRegistry")
    entry["check"] = entry["check"].replace("(obj.status or {}).conditions or {}", "obj.status.conditions")
