"""Faults of references, network, rights and privileges: for checks 12 to 19 and 39."""

from __future__ import annotations

from gitops_tree.mutations.registry import (
    add,
    container,
    edit,
    make,
    mutation,
    notebook_container,
    registry,
    remove,
    task,
)
from gitops_tree.tree import APPLICATION, REGISTRY, Object, Tree

ROLES = "rbac.authorization.k8s.io"
SPEC = "gitops/stage01-model-serving/promotions/granite-3-3-2b-instruct.yaml"


def _pod(tree: Tree, kind: str, name: str, application: str = APPLICATION) -> Object:
    found: Object = tree.get(kind, name, application)["spec"]["template"]["spec"]
    return found


def _policy(tree: Tree, name: str, application: str = APPLICATION) -> Object:
    found: Object = tree.get("NetworkPolicy", name, application)["spec"]
    return found


@mutation(12, also={16})
def no_config_map(tree: Tree) -> None:
    remove(tree, "ConfigMap", "modelcar-config")


@mutation(12, also={25})
def a_claim_that_is_misspelt(tree: Tree) -> None:
    _pod(tree, "Deployment", "object-store")["volumes"][0]["persistentVolumeClaim"]["claimName"] = "artifacts"


@mutation(12)
def an_account_that_is_not_there(tree: Tree) -> None:
    _pod(tree, "Job", "object-store-credentials")["serviceAccountName"] = "object-store"


@mutation(12, also={17})
def a_role_that_is_not_there(tree: Tree) -> None:
    binding = tree.get("RoleBinding", "private-ai-demo-pipelines", REGISTRY)
    binding["roleRef"]["name"] = "registry-user-model-registry"


@mutation(12)
def no_image_stream(tree: Tree) -> None:
    remove(tree, "ImageStream", "granite-3-3-2b-instruct")


@mutation(12, also={24})
def a_tag_that_nothing_builds(tree: Tree) -> None:
    notebook_container(tree)["image"] = notebook_container(tree)["image"].replace("0.1.0", "0.2.0")


@mutation(12)
def a_volume_that_the_model_lacks(tree: Tree) -> None:
    tree.get("ServingRuntime", "vllm-cuda")["spec"]["containers"][0]["volumeMounts"].append(
        {"name": "scratch", "mountPath": "/scratch"}
    )


@mutation(12, also={24})
def a_promotion_to_another_image(tree: Tree) -> None:
    tree.specs[SPEC]["image"]["repository"] += "-2"


@mutation(12)
def a_setting_that_is_needed(tree: Tree) -> None:
    env = task(tree, "resolve-model")["taskSpec"]["steps"][0]["env"]
    reference = next(one["valueFrom"]["configMapKeyRef"] for one in env if one["name"] == "HF_ENDPOINT")
    del reference["optional"]


@mutation(12)
def a_database_of_another_name(tree: Tree) -> None:
    registry(tree)["spec"]["mysql"]["host"] = "database"


@mutation(13)
def a_service_of_two(tree: Tree) -> None:
    tree.get("Service", "object-store")["spec"]["selector"] = {"app": "minio"}


@mutation(13)
def a_port_that_is_not_there(tree: Tree) -> None:
    tree.get("Service", "mysql", REGISTRY)["spec"]["ports"][0]["targetPort"] = 3307


@mutation(14, also={15})
def a_policy_for_nobody(tree: Tree) -> None:
    _policy(tree, "mysql-from-model-registry", REGISTRY)["podSelector"] = {"matchLabels": {"app": "mysql"}}


@mutation(14, also={15})
def a_peer_that_is_nobody(tree: Tree) -> None:
    peer = _policy(tree, "model-registry-from-its-users", REGISTRY)["ingress"][0]["from"][1]
    peer["podSelector"] = {"matchLabels": {"app": "tekton"}}


@mutation(15)
def no_way_to_the_registry(tree: Tree) -> None:
    remove(tree, "NetworkPolicy", "model-registry-from-its-users", REGISTRY)


@mutation(15)
def no_way_out_to_the_registry(tree: Tree) -> None:
    rules = _policy(tree, "promotions-egress")["egress"]
    rules.remove(next(one for one in rules if one.get("ports") == [{"protocol": "TCP", "port": 8443}]))


@mutation(15)
def no_names(tree: Tree) -> None:
    _policy(tree, "serving")["egress"].pop(0)


@mutation(15)
def names_by_one_protocol(tree: Tree) -> None:
    _policy(tree, "promotions-egress")["egress"][0]["ports"].pop()


@mutation(15)
def a_database_for_all(tree: Tree) -> None:
    remove(tree, "NetworkPolicy", "mysql-from-model-registry", REGISTRY)


@mutation(15)
def a_database_for_its_whole_namespace(tree: Tree) -> None:
    _policy(tree, "mysql-from-model-registry", REGISTRY)["ingress"][0]["from"] = [{"podSelector": {}}]


@mutation(16)
def plain_http(tree: Tree) -> None:
    address = "http://private-ai-model-registry.rhoai-model-registries.svc:8080"
    tree.get("ConfigMap", "modelcar-config")["data"]["MODEL_REGISTRY_URL"] = address


@mutation(16)
def an_address_of_another(tree: Tree) -> None:
    address = "https://model-registry.rhoai-model-registries.svc:8443"
    tree.get("ConfigMap", "modelcar-config")["data"]["MODEL_REGISTRY_URL"] = address


@mutation(17)
def an_account_that_is_not_let_in(tree: Tree) -> None:
    tree.get("RoleBinding", "private-ai-demo-pipelines", REGISTRY)["subjects"].pop(1)


@mutation(17)
def an_account_that_may_not_push(tree: Tree) -> None:
    tree.get("RoleBinding", "modelcar-image-builders")["subjects"].pop(0)


@mutation(17)
def a_run_as_another_account(tree: Tree) -> None:
    for run in tree.sample_runs.values():
        run["spec"]["taskRunTemplate"]["serviceAccountName"] = "modelcar-serving"


@mutation(18)
def every_verb(tree: Tree) -> None:
    tree.get("Role", "modelcar-run-reader")["rules"][0]["verbs"] = ["*"]


@mutation(18)
def all_secrets(tree: Tree) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
    tree.get("Role", "object-store-credentials")["rules"].append(rule)


@mutation(18)
def binding(tree: Tree) -> None:
    rule = {"apiGroups": [ROLES], "resources": ["roles"], "verbs": ["bind"]}
    tree.get("Role", "modelcar-pipeline-user")["rules"].append(rule)


@mutation(18, also={4, 6})
def a_right_for_the_cluster(tree: Tree) -> None:
    role = {"apiGroup": ROLES, "kind": "ClusterRole", "name": "view"}
    add(tree, make(f"{ROLES}/v1", "ClusterRoleBinding", "all", "", roleRef=role, subjects=[]))


@mutation(18, also={12})
def another_constraint(tree: Tree) -> None:
    role = {"apiGroup": ROLES, "kind": "ClusterRole", "name": "system:openshift:scc:anyuid"}
    add(tree, make(f"{ROLES}/v1", "RoleBinding", "anyuid", roleRef=role, subjects=[]))


@mutation(19)
def a_fixed_user(tree: Tree) -> None:
    container(tree, "mysql", REGISTRY)["securityContext"]["runAsUser"] = 27


@mutation(19)
def a_fixed_group(tree: Tree) -> None:
    _pod(tree, "Deployment", "mysql", REGISTRY)["securityContext"]["fsGroup"] = 1000970000


@mutation(19)
def a_capability(tree: Tree) -> None:
    step = task(tree, "build-and-push-modelcar")["taskSpec"]["steps"][0]
    step["securityContext"]["capabilities"]["add"] = ["SETFCAP"]


@mutation(19)
def no_profile(tree: Tree) -> None:
    del _pod(tree, "Job", "object-store-credentials")["securityContext"]["seccompProfile"]


@mutation(19)
def a_path_of_the_host(tree: Tree) -> None:
    volumes = tree.get("ServingRuntime", "vllm-cuda")["spec"]["volumes"]
    volumes.append({"name": "models", "hostPath": {"path": "/models"}})


@mutation(19)
def privileges(tree: Tree) -> None:
    notebook_container(tree)["securityContext"]["privileged"] = True


@mutation(19)
def a_run_that_is_not_restricted(tree: Tree) -> None:
    for run in tree.sample_runs.values():
        del run["spec"]["taskRunTemplate"]["podTemplate"]["securityContext"]


@mutation(39)
def labels_in_selectors(tree: Tree) -> None:
    path = "gitops/stage01-model-serving/application/kustomization.yaml"
    edit(tree, path, "includeSelectors: false", "includeSelectors: true")


@mutation(39, also={14, 15})
def a_policy_by_an_injected_label(tree: Tree) -> None:
    selector = _policy(tree, "mysql-from-model-registry", REGISTRY)["podSelector"]
    selector["matchLabels"]["app.kubernetes.io/part-of"] = "private-ai-demo"
