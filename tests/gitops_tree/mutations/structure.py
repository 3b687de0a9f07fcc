"""Faults of structure, schema and secrets: for checks 2 to 11, 32 and 41; those of files on a disk are in the test."""

from __future__ import annotations

import copy

from gitops_tree.mutations.registry import (
    GRANITE_FILE,
    add,
    container,
    edit,
    make,
    model,
    mutation,
    registry,
    task,
)
from gitops_tree.tree import (
    APPLICATION,
    ARGOCD_NAMESPACE,
    NAMESPACE,
    PARENT,
    PARENTS_PROJECT,
    PROJECT,
    REGISTRY,
    Tree,
)

SAMPLE = "compiled/tekton/samples/promote-model-run.yaml"


@mutation(2, also={3})
def a_path_that_is_not_there(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["source"]["path"] += "s"


@mutation(2)
def a_source_that_was_not_built(tree: Tree) -> None:
    del tree.complaints[tree.applications[REGISTRY]["spec"]["source"]["path"]]


@mutation(2, also={6})
def another_repository(tree: Tree) -> None:
    tree.applications[REGISTRY]["spec"]["source"]["repoURL"] = "https://git.example.com/team/other.git"


@mutation(2)
def promotions_to_another_repository(tree: Tree) -> None:
    tree.get("ConfigMap", "modelcar-config")["data"]["MODELCAR_GIT_URL"] = "https://git.example.com/team/other.git"


@mutation(2)
def no_branch(tree: Tree) -> None:
    del tree.applications[APPLICATION]["spec"]["source"]["targetRevision"]


@mutation(3)
def waves_swapped(tree: Tree) -> None:
    for name, wave in ((APPLICATION, "2"), (REGISTRY, "3")):
        tree.applications[name]["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] = wave


@mutation(3)
def a_fourth_application(tree: Tree) -> None:
    another = copy.deepcopy(tree.applications[APPLICATION])
    another["metadata"]["name"] = "stage01-another"
    another["spec"]["ignoreDifferences"] = []
    tree.rendered[PARENT].append(another)


@mutation(3, also={4, 6})
def an_application_of_another_namespace(tree: Tree) -> None:
    tree.applications[REGISTRY]["spec"]["destination"]["namespace"] = "model-registry"


@mutation(4, also={12})
def an_object_in_the_registrys_namespace(tree: Tree) -> None:
    tree.get("ConfigMap", "modelcar-ca")["metadata"]["namespace"] = "rhoai-model-registries"


@mutation(4, also={37})
def another_namespace_made(tree: Tree) -> None:
    add(tree, make("v1", "Namespace", "private-ai-test", ""))


@mutation(5, also={4})
def an_object_of_both(tree: Tree) -> None:
    add(tree, tree.get("ConfigMap", "modelcar-config"), REGISTRY)


@mutation(6)
def a_kind_that_is_not_allowed(tree: Tree) -> None:
    add(tree, make("v1", "Endpoints", "mysql"))


@mutation(6)
def a_wildcard(tree: Tree) -> None:
    tree.projects[PROJECT]["spec"]["namespaceResourceWhitelist"].append({"group": "*", "kind": "*"})


@mutation(6)
def the_project_default(tree: Tree) -> None:
    tree.applications[APPLICATION]["spec"]["project"] = "default"


@mutation(6)
def a_namespace_that_is_not_allowed(tree: Tree) -> None:
    tree.projects[PROJECT]["spec"]["destinations"].pop(0)


@mutation(6)
def applications_from_a_childs_path(tree: Tree) -> None:
    tree.projects[PROJECT]["spec"]["namespaceResourceWhitelist"].append({"group": "argoproj.io", "kind": "Application"})


@mutation(6)
def a_child_in_argo_cds_namespace(tree: Tree) -> None:
    there = {"server": "https://kubernetes.default.svc", "namespace": ARGOCD_NAMESPACE}
    tree.projects[PROJECT]["spec"]["destinations"].append(there)


@mutation(6)
def a_parent_that_makes_more_than_applications(tree: Tree) -> None:
    kind = {"group": "argoproj.io", "kind": "AppProject"}
    tree.projects[PARENTS_PROJECT]["spec"]["namespaceResourceWhitelist"].append(kind)


@mutation(6)
def a_parent_that_reaches_elsewhere(tree: Tree) -> None:
    there = {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE}
    tree.projects[PARENTS_PROJECT]["spec"]["destinations"].append(there)


@mutation(6)
def a_child_in_the_parents_project(tree: Tree) -> None:
    tree.applications[REGISTRY]["spec"]["project"] = PARENTS_PROJECT


@mutation(7)
def resources_of_a_step(tree: Tree) -> None:
    step = task(tree, "register-model")["taskSpec"]["steps"][0]
    step["resources"] = step["computeResources"]


@mutation(7)
def timeouts_of_a_pipeline(tree: Tree) -> None:
    tree.get("Pipeline", "promote-model")["spec"]["timeouts"] = {"pipeline": "1h"}


@mutation(7)
def an_account_where_v1beta1_had_it(tree: Tree) -> None:
    tree.sample_runs[SAMPLE]["spec"]["serviceAccountName"] = "modelcar-pipelines"


@mutation(7)
def a_misspelt_field(tree: Tree) -> None:
    model(tree)["spec"]["predictors"] = {}


@mutation(8)
def two_databases(tree: Tree) -> None:
    registry(tree)["spec"]["postgres"] = {"host": "postgres", "database": "modelregistry"}


@mutation(8)
def the_old_proxy(tree: Tree) -> None:
    registry(tree)["spec"]["oauthProxy"] = registry(tree)["spec"].pop("kubeRBACProxy")


@mutation(9)
def an_old_version(tree: Tree) -> None:
    registry(tree)["apiVersion"] = "modelregistry.opendatahub.io/v1alpha1"


@mutation(9)
def an_old_version_in_a_file(tree: Tree) -> None:
    edit(tree, GRANITE_FILE, "serving.kserve.io/v1beta1", "serving.kserve.io/v1alpha2")


@mutation(10)
def a_secret_with_data(tree: Tree) -> None:
    tree.files["gitops/secret.yaml"] = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: simple}\n"


@mutation(10, also={6})
def a_secret_that_is_synced(tree: Tree) -> None:
    add(tree, make("v1", "Secret", "mysql-credentials", data={"password": "cGFzcw=="}))


@mutation(10)
def a_token_in_a_file(tree: Tree) -> None:
    edit(tree, GRANITE_FILE, "# A promotion", "# hf_" + "aBcDeFgHiJkLmNoPqRsTuVwX" + " A promotion")


@mutation(10)
def something_random_in_a_config_map(tree: Tree) -> None:
    tree.get("ConfigMap", "modelcar-config")["data"]["SALT"] = "9f86d081884c7d659a2feaa0c55ad015"


@mutation(10)
def a_login_in_a_config_map(tree: Tree) -> None:
    tree.get("ConfigMap", "modelcar-ca")["data"] = {"config.json": '{"auths": {"quay.io": {}}}'}


@mutation(10)
def a_password_in_an_address(tree: Tree) -> None:
    tree.get("ConfigMap", "modelcar-config")["data"]["HTTPS_PROXY"] = "http://me:simple@proxy.example.com:3128"


@mutation(11)
def a_secret_that_nobody_makes(tree: Tree) -> None:
    container(tree)["env"][0]["valueFrom"]["secretKeyRef"]["name"] = "object-store"


@mutation(11)
def a_key_that_the_secret_has_not(tree: Tree) -> None:
    registry(tree)["spec"]["mysql"]["passwordSecret"]["key"] = "database-password"


@mutation(11)
def a_need_for_what_may_be_left_out(tree: Tree) -> None:
    volume = task(tree, "register-model")["taskSpec"]["volumes"][1]
    del volume["secret"]["optional"]


@mutation(11)
def a_job_that_makes_another_key(tree: Tree) -> None:
    job = tree.get("Job", "mysql-credentials", REGISTRY)
    job["spec"]["template"]["spec"]["containers"][0]["command"][-1] = "admin-password"


@mutation(32, also={6})
def a_run_that_is_synced(tree: Tree) -> None:
    add(tree, {**tree.sample_runs[SAMPLE], "metadata": {"name": "run", "namespace": "private-ai-demo"}})


@mutation(32)
def a_parameter_that_the_pipeline_has_not(tree: Tree) -> None:
    tree.sample_runs[SAMPLE]["spec"]["params"].append({"name": "hf_repo", "value": "x"})


@mutation(32, also={23})
def a_run_without_its_workspace(tree: Tree) -> None:
    del tree.sample_runs[SAMPLE.replace("model-run", "model-workspace-run")]["spec"]["workspaces"]


@mutation(41, also={35})
def a_key_that_stands_twice(tree: Tree) -> None:
    edit(tree, GRANITE_FILE, "    minReplicas: 1\n", "    minReplicas: 1\n    minReplicas: 2\n")


@mutation(41)
def a_file_without_an_end(tree: Tree) -> None:
    tree.files[GRANITE_FILE] = tree.files[GRANITE_FILE].rstrip()


@mutation(41)
def a_tab(tree: Tree) -> None:
    edit(tree, "gitops-apps/stage01/kustomization.yaml", "resources:\n", "resources:\t# what\n")


@mutation(41, also={24})
def a_model_with_a_long_name(tree: Tree) -> None:
    model(tree)["metadata"]["name"] = "granite-" + "x" * 50


@mutation(41)
def a_name_with_capitals(tree: Tree) -> None:
    tree.get("LimitRange", "private-ai-demo")["metadata"]["name"] = "Private_AI"
