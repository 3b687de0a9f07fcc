"""Objects of a Kubernetes API server: made, read, replaced, removed, and refused as a real one does."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubernetes_server import Cluster

MAPS = "/api/v1/{ns}/configmaps"
SERVICES = "/apis/serving.kserve.io/v1beta1/{ns}/inferenceservices"
SERVERS = "/apis/datasciencepipelinesapplications.opendatahub.io/v1/{ns}/datasciencepipelinesapplications"
APPLICATIONS = "/apis/argoproj.io/v1alpha1/{ns}/applications"
SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "demo"},
    "spec": {"predictor": {"minReplicas": 1}},
}
SERVER = {
    "apiVersion": "datasciencepipelinesapplications.opendatahub.io/v1",
    "kind": "DataSciencePipelinesApplication",
    "metadata": {"name": "demo"},
    "spec": {"objectStorage": {}, "podToPodTLS": True},
}
"""A custom kind that no controller of a test cluster writes to or refuses, as KServe's does InferenceServices."""
POD_SPEC = {"containers": [{"name": "main", "image": "registry.example/never:1"}]}
DEPLOYMENT = {
    "metadata": {"name": "demo"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "demo"}},
        "template": {"metadata": {"labels": {"app": "demo"}}, "spec": POD_SPEC},
    },
}


def status(code: int, reason: str, message: str, **details: object) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        **({"details": details} if details else {}),
        "code": code,
    }


def test_what_was_made_is_read_back(cluster: Cluster) -> None:
    made = cluster.core.create_namespaced_config_map(cluster.namespace, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    read = cluster.core.read_namespaced_config_map("a", cluster.namespace)
    assert read == made
    assert read.data == {"k": "v"}
    assert (read.kind, read.api_version) == ("ConfigMap", "v1")
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", read.metadata.uid)
    assert read.metadata.resource_version.isdecimal()
    assert read.metadata.creation_timestamp is not None
    assert read.metadata.generation is None


def test_a_name_is_generated(cluster: Cluster) -> None:
    body = {"metadata": {"generateName": "run-"}}
    names = {cluster.core.create_namespaced_config_map(cluster.namespace, body).metadata.name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch("run-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


def test_a_secret_is_kept_in_base64(cluster: Cluster) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"password": "geheim"}}
    made = cluster.core.create_namespaced_secret(cluster.namespace, body)
    assert (made.data, made.string_data, made.type) == ({"password": "Z2VoZWlt"}, None, "Opaque")


def test_a_replacement_leaves_nothing_of_what_was_there_but_its_identity(cluster: Cluster) -> None:
    made = cluster.config_map("a", {"old": "1"}, labels={"x": "y"})
    new = cluster.ask("PUT", MAPS + "/a", {"metadata": {"name": "a"}, "data": {"new": "2"}})
    assert new["data"] == {"new": "2"}
    assert "labels" not in new["metadata"]
    for member in ("uid", "creationTimestamp"):
        assert new["metadata"][member] == made["metadata"][member]
    assert int(new["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_of_two_writers_who_have_read_the_same_the_second_is_told(cluster: Cluster) -> None:
    from kubernetes.client import ApiException

    cluster.config_map("a")
    mine, theirs = (cluster.core.read_namespaced_config_map("a", cluster.namespace) for _ in range(2))
    theirs.data = {"k": "theirs"}
    mine.data = {"k": "mine"}
    cluster.core.replace_namespaced_config_map("a", cluster.namespace, theirs)
    with pytest.raises(ApiException) as refused:
        cluster.core.replace_namespaced_config_map("a", cluster.namespace, mine)
    assert (refused.value.status, refused.value.reason) == (409, "Conflict")
    assert cluster.core.read_namespaced_config_map("a", cluster.namespace).data == {"k": "theirs"}


def test_a_change_that_changes_nothing_makes_no_new_version(cluster: Cluster) -> None:
    made = cluster.config_map("a", {"k": "v"})
    same = cluster.ask("PUT", MAPS + "/a", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_what_was_removed_is_gone(cluster: Cluster) -> None:
    uid = cluster.config_map("a")["metadata"]["uid"]
    answer = cluster.ask("DELETE", MAPS + "/a")
    assert (answer["status"], answer["details"]) == ("Success", {"name": "a", "kind": "configmaps", "uid": uid})
    assert cluster.ask("GET", MAPS + "/a")["code"] == 404


def test_another_object_of_the_same_name_is_not_removed(cluster: Cluster) -> None:
    cluster.config_map("a")
    refused = cluster.ask("DELETE", MAPS + "/a", {"preconditions": {"uid": "another"}})
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert cluster.ask("GET", MAPS + "/a")["metadata"]["name"] == "a"


def test_an_object_with_a_finalizer_waits_until_it_is_taken_off(cluster: Cluster) -> None:
    cluster.config_map("a", finalizers=["example.com/wait"])
    assert "deletionTimestamp" in cluster.ask("DELETE", MAPS + "/a")["metadata"]
    assert "deletionTimestamp" in cluster.ask("GET", MAPS + "/a")["metadata"]
    patch = {"metadata": {"finalizers": None}}
    cluster.ask("PATCH", MAPS + "/a", patch, "application/merge-patch+json")
    assert cluster.ask("GET", MAPS + "/a")["code"] == 404


def test_a_dry_run_keeps_nothing(cluster: Cluster) -> None:
    body = {"metadata": {"name": "a"}}
    made = cluster.core.create_namespaced_config_map(cluster.namespace, body, dry_run="All")
    assert made.metadata.name == "a"
    assert cluster.ask("GET", MAPS + "/a")["code"] == 404


def test_all_that_a_selector_leaves_are_removed_at_once(cluster: Cluster) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        cluster.config_map(name, labels={"color": color})
    cluster.core.delete_collection_namespaced_config_map(cluster.namespace, label_selector="color=red")
    listed = cluster.core.list_namespaced_config_map(cluster.namespace, label_selector="color")
    assert [one.metadata.name for one in listed.items] == ["b"]


def test_with_a_namespace_goes_what_is_in_it(cluster: Cluster) -> None:
    namespace = cluster.core.read_namespace(cluster.namespace)
    assert namespace.status.phase == "Active"
    assert namespace.metadata.labels == {"kubernetes.io/metadata.name": cluster.namespace}
    cluster.config_map("a")
    ending = cluster.ask("DELETE", "/api/v1/{ns}")
    assert (ending["metadata"]["name"], ending["status"]["phase"]) == (cluster.namespace, "Terminating")
    assert "deletionTimestamp" in ending["metadata"]
    if not cluster.real:  # there it takes a controller some seconds
        assert cluster.ask("GET", MAPS + "/a")["code"] == cluster.config_map("late")["code"] == 404


def test_generation_counts_what_is_wanted_and_nothing_else(cluster: Cluster) -> None:
    assert cluster.ask("POST", SERVERS, SERVER)["metadata"]["generation"] == 1
    merge = "application/merge-patch+json"
    labelled = cluster.ask("PATCH", SERVERS + "/demo", {"metadata": {"labels": {"a": "b"}}}, merge)
    assert labelled["metadata"]["generation"] == 1
    wanted = cluster.ask("PATCH", SERVERS + "/demo", {"spec": {"podToPodTLS": False}}, merge)
    assert wanted["metadata"]["generation"] == 2
    told = cluster.ask(
        "PATCH", SERVERS + "/demo/status", {"status": {"components": {"apiServer": {"url": "x"}}}}, merge
    )
    assert (told["metadata"]["generation"], told["status"]) == (2, {"components": {"apiServer": {"url": "x"}}})


def test_the_status_is_written_by_its_own_path_only_and_nothing_else_is(cluster: Cluster) -> None:
    made = cluster.ask("POST", SERVERS, SERVER | {"status": {"components": {"apiServer": {"url": "early"}}}})
    assert "status" not in made
    merge = "application/merge-patch+json"
    both = {"spec": {"objectStorage": {}, "podToPodTLS": False}, "status": {"components": {"apiServer": {"url": "x"}}}}
    wanted = cluster.ask("PATCH", SERVERS + "/demo", both, merge)
    assert (wanted["spec"]["podToPodTLS"], "status" in wanted) == (False, False)
    told = cluster.ask(
        "PATCH", SERVERS + "/demo/status", {"spec": None, "status": {"components": {"apiServer": {"url": "x"}}}}, merge
    )
    assert (told["spec"], told["status"]) == (wanted["spec"], {"components": {"apiServer": {"url": "x"}}})
    replaced = cluster.ask(
        "PUT", SERVERS + "/demo/status", told | {"status": {"components": {"apiServer": {"url": "y"}}}}
    )
    assert cluster.ask("GET", SERVERS + "/demo/status") == replaced
    assert replaced["status"] == {"components": {"apiServer": {"url": "y"}}}


def test_a_kind_without_status_path_is_written_whole(cluster: Cluster) -> None:
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "demo"},
        "spec": {"destination": {"namespace": "x"}, "project": "default"},
        "status": {"sync": {"status": "Synced"}},
    }
    assert cluster.ask("POST", APPLICATIONS, application)["status"] == {"sync": {"status": "Synced"}}
    merge = "application/merge-patch+json"
    told = cluster.ask("PATCH", APPLICATIONS + "/demo", {"status": {"sync": {"status": "OutOfSync"}}}, merge)
    assert told["metadata"]["generation"] == 2
    assert cluster.ask("GET", APPLICATIONS + "/demo/status")["code"] == 404


def test_pods_and_deployments_are_kept(cluster: Cluster) -> None:
    cluster.core.create_namespaced_service_account(cluster.namespace, {"metadata": {"name": "mine"}})
    # There is no such node: a real scheduler lets it wait.
    spec = POD_SPEC | {"serviceAccountName": "mine", "nodeSelector": {"no": "where"}}
    pod = cluster.core.create_namespaced_pod(cluster.namespace, {"metadata": {"name": "p"}, "spec": spec})
    assert (pod.status.phase, pod.spec.containers[0].name, pod.metadata.generation) == ("Pending", "main", 1)
    deployment = cluster.apps.create_namespaced_deployment(cluster.namespace, DEPLOYMENT)
    deployment.metadata.resource_version = None  # a real controller writes, too
    deployment.spec.template.spec.containers[0].image = "registry.example/never:2"
    changed = cluster.apps.replace_namespaced_deployment("demo", cluster.namespace, deployment)
    assert changed.metadata.generation == 2
    pod = cluster.core.delete_namespaced_pod("p", cluster.namespace, grace_period_seconds=0)
    assert pod.metadata.name == "p"


def test_a_lease_is_taken_over_by_one_only(cluster: Cluster) -> None:
    from kubernetes.client import ApiException

    body = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    made = cluster.coordination.create_namespaced_lease(cluster.namespace, body)
    made.spec.holder_identity = "b"
    cluster.coordination.replace_namespaced_lease("leader", cluster.namespace, made)
    made.spec.holder_identity = "c"
    with pytest.raises(ApiException) as refused:
        cluster.coordination.replace_namespaced_lease("leader", cluster.namespace, made)
    assert refused.value.status == 409
    assert cluster.coordination.read_namespaced_lease("leader", cluster.namespace).spec.holder_identity == "b"


RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
REFUSALS: dict[str, tuple[str, str, object, dict[str, Any]]] = {
    "not there": (
        "GET",
        MAPS + "/b",
        None,
        status(404, "NotFound", 'configmaps "b" not found', name="b", kind="configmaps"),
    ),
    "custom, not there": (
        "GET",
        SERVICES + "/b",
        None,
        status(
            404,
            "NotFound",
            'inferenceservices.serving.kserve.io "b" not found',
            name="b",
            group="serving.kserve.io",
            kind="inferenceservices",
        ),
    ),
    "namespace not there": (
        "POST",
        "/api/v1/namespaces/nowhere-at-all/configmaps",
        {"metadata": {"name": "b"}},
        status(404, "NotFound", 'namespaces "nowhere-at-all" not found', name="nowhere-at-all", kind="namespaces"),
    ),
    "taken": (
        "POST",
        MAPS,
        {"metadata": {"name": "a"}},
        status(409, "AlreadyExists", 'configmaps "a" already exists', name="a", kind="configmaps"),
    ),
    "changed meanwhile": (
        "PUT",
        MAPS + "/a",
        {"metadata": {"name": "a", "resourceVersion": "1"}},
        status(
            409,
            "Conflict",
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
            "to the latest version and try again",
            name="a",
            kind="configmaps",
        ),
    ),
    "no name": (
        "POST",
        MAPS,
        {"metadata": {}},
        status(
            422,
            "Invalid",
            'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
            kind="ConfigMap",
            causes=[
                {
                    "reason": "FieldValueRequired",
                    "message": "Required value: name or generateName is required",
                    "field": "metadata.name",
                }
            ],
        ),
    ),
    "wrong name": (
        "POST",
        MAPS,
        {"metadata": {"name": "A"}},
        status(
            422,
            "Invalid",
            f'ConfigMap "A" is invalid: metadata.name: Invalid value: "A": {RULE}',
            name="A",
            kind="ConfigMap",
            causes=[
                {
                    "reason": "FieldValueInvalid",
                    "message": f'Invalid value: "A": {RULE}',
                    "field": "metadata.name",
                }
            ],
        ),
    ),
    "other name than in the path": (
        "PUT",
        MAPS + "/a",
        {"metadata": {"name": "b"}},
        status(400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"),
    ),
    "other namespace than in the path": (
        "POST",
        MAPS,
        {"metadata": {"name": "b", "namespace": "other"}},
        status(
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ),
    "custom, other version": (
        "POST",
        SERVICES,
        SERVICE | {"apiVersion": "serving.kserve.io/v1"},
        status(
            400,
            "BadRequest",
            "the API version in the data (serving.kserve.io/v1) does not match the expected API version "
            "(serving.kserve.io/v1beta1)",
        ),
    ),
    "data that is no text": (
        "POST",
        MAPS,
        {"metadata": {"name": "b"}, "data": {"k": 1}},
        status(
            400,
            "BadRequest",
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
            "field ConfigMap.data of type string",
        ),
    ),
    "no such kind": (
        "GET",
        "/api/v1/{ns}/nothings",
        None,
        status(404, "NotFound", "the server could not find the requested resource") | {"details": {}},
    ),
    "no such verb": (
        "PUT",
        MAPS,
        {},
        status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        | {"details": {}},
    ),
    "a label's value": (
        "POST",
        MAPS,
        {"metadata": {"name": "b", "labels": {"a": "b c"}}},
        status(
            422,
            "Invalid",
            'ConfigMap "b" is invalid: metadata.labels: Invalid value: "b c": a valid label must be an empty string or '
            "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
            "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            name="b",
            kind="ConfigMap",
            causes=[
                {
                    "reason": "FieldValueInvalid",
                    "message": 'Invalid value: "b c": a valid label must be an empty string or consist of '
                    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
                    "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
                    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                    "field": "metadata.labels",
                }
            ],
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_a_status(cluster: Cluster, case: str) -> None:
    method, path, body, expected = REFUSALS[case]
    cluster.config_map("a")
    assert cluster.ask(method, path, body) == expected


def test_a_custom_object_is_replaced_with_its_resource_version_only(cluster: Cluster) -> None:
    cluster.ask("POST", SERVERS, SERVER)
    refused = cluster.ask("PUT", SERVERS + "/demo", SERVER)
    assert (refused["code"], refused["reason"]) == (422, "Invalid")
    assert refused["message"] == (
        'datasciencepipelinesapplications.datasciencepipelinesapplications.opendatahub.io "demo" is invalid: '
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    )


def test_a_body_of_another_format_is_refused(cluster: Cluster) -> None:
    refused = cluster.ask("POST", MAPS, '{"metadata": {"name": "b"}}', "text/plain")
    assert (refused["code"], refused["reason"]) == (415, "UnsupportedMediaType")
    start = "the body of the request was in an unknown format - accepted media types include: application/json"
    assert refused["message"].startswith(start)


def test_a_kept_namespace_stays(cluster: Cluster) -> None:
    refused = cluster.ask("DELETE", "/api/v1/namespaces/default")
    assert refused == status(
        403,
        "Forbidden",
        'namespaces "default" is forbidden: this namespace may not be deleted',
        name="default",
        kind="namespaces",
    )


def test_it_tells_its_kinds(cluster: Cluster) -> None:
    from kubernetes.client import ApisApi, VersionApi

    assert VersionApi(cluster.api).get_code().major == "1"
    groups = {group.name: group.preferred_version.version for group in ApisApi(cluster.api).get_api_versions().groups}
    wanted = {"serving.kserve.io": "v1beta1", "tekton.dev": "v1", "argoproj.io": "v1alpha1", "apps": "v1"}
    assert wanted.items() <= groups.items()
    pods = next(one for one in cluster.core.get_api_resources().resources if one.name == "pods")
    assert (pods.kind, pods.namespaced, pods.short_names) == ("Pod", True, ["po"])
    names = {one["name"]: one["kind"] for one in cluster.ask("GET", "/apis/serving.kserve.io/v1beta1")["resources"]}
    assert names["inferenceservices/status"] == "InferenceService"
