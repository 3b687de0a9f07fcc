"""Patches of a Kubernetes API server: merge, JSON and strategic ones make what a real server makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernetes_server import Cluster
from modelcar_sandbox.kubernetes.patches import apply_operations, merge, merge_strategically

MAPS = "/api/v1/{ns}/configmaps"
DEPLOYMENTS = "/apis/apps/v1/{ns}/deployments"
ROUTES = "/apis/route.openshift.io/v1/{ns}/routes"
JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def deployment() -> dict[str, Any]:
    return {
        "metadata": {"name": "d", "labels": {"a": "1"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {
                    "containers": [
                        {
                            "name": "one",
                            "image": "x/one:1",
                            "args": ["a", "b"],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        },
                        {"name": "two", "image": "x/two:1"},
                    ]
                },
            },
        },
    }


def containers(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What was wanted of each; a real server fills in more."""
    members = ("name", "image", "args", "env")
    return [
        {member: one[member] for member in members if member in one}
        for one in answer["spec"]["template"]["spec"]["containers"]
    ]


def of_containers(*patches: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(patches)}}}}


ONE = deployment()["spec"]["template"]["spec"]["containers"][0]
TWO = deployment()["spec"]["template"]["spec"]["containers"][1]
THREE = {"name": "three", "image": "x/three:1"}
STRATEGIES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "one is changed": (of_containers({"name": "two", "image": "x/two:2"}), [ONE, TWO | {"image": "x/two:2"}]),
    "one is new": (of_containers(THREE), [THREE, ONE, TWO]),
    "one is new, the last is changed": (
        of_containers(TWO | {"image": "x/two:2"}, THREE),
        [ONE, TWO | {"image": "x/two:2"}, THREE],
    ),
    "one is removed": (of_containers({"name": "one", "$patch": "delete"}), [TWO]),
    "all are replaced": (of_containers(THREE, {"$patch": "replace"}), [THREE]),
    "a list of texts is replaced": (of_containers({"name": "one", "args": ["c"]}), [ONE | {"args": ["c"]}, TWO]),
    "lists within are merged": (
        of_containers({"name": "one", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}),
        [
            ONE
            | {
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "value": "3"},
                    {"name": "C", "value": "4"},
                ]
            },
            TWO,
        ],
    ),
    "a member is removed": (
        of_containers({"name": "one", "args": None}),
        [{k: ONE[k] for k in ONE if k != "args"}, TWO],
    ),
}


@pytest.mark.parametrize("case", STRATEGIES)
def test_lists_of_objects_are_merged_strategically(cluster: Cluster, case: str) -> None:
    patch, expected = STRATEGIES[case]
    cluster.ask("POST", DEPLOYMENTS, deployment())
    assert containers(cluster.ask("PATCH", DEPLOYMENTS + "/d", patch, STRATEGIC)) == expected


def test_the_client_merges_strategically_by_itself(cluster: Cluster) -> None:
    cluster.apps.create_namespaced_deployment(cluster.namespace, deployment())
    patch = of_containers({"name": "two", "image": "x/two:2"})
    changed = cluster.apps.patch_namespaced_deployment("d", cluster.namespace, patch)
    assert [one.image for one in changed.spec.template.spec.containers] == ["x/one:1", "x/two:2"]
    assert changed.metadata.generation == 2


def test_finalizers_are_a_set_and_can_be_taken_from_it(cluster: Cluster) -> None:
    cluster.config_map("a", finalizers=["x.io/a", "x.io/b"])
    more = cluster.ask("PATCH", MAPS + "/a", {"metadata": {"finalizers": ["x.io/c"]}}, STRATEGIC)
    assert set(more["metadata"]["finalizers"]) == {"x.io/a", "x.io/b", "x.io/c"}
    fewer = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.io/a", "x.io/b", "x.io/c"]}}
    assert "finalizers" not in cluster.ask("PATCH", MAPS + "/a", fewer, STRATEGIC)["metadata"]


def test_a_merge_patch_replaces_lists_and_removes_what_is_null(cluster: Cluster) -> None:
    cluster.ask("POST", DEPLOYMENTS, deployment())
    patch = {"metadata": {"labels": {"a": None, "b": "2"}}} | of_containers(THREE)
    merged = cluster.ask("PATCH", DEPLOYMENTS + "/d", patch, MERGE)
    assert (containers(merged), merged["metadata"]["labels"]) == ([THREE], {"b": "2"})


def test_a_custom_object_is_merged(cluster: Cluster) -> None:
    body = {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": "r"},
        "spec": {"to": {"kind": "Service", "name": "s"}, "path": "/a"},
    }
    where = ("route.openshift.io", "v1", cluster.namespace, "routes")
    cluster.custom.create_namespaced_custom_object(*where, body)
    patch = {"spec": {"to": {"name": "t"}, "path": None}}
    changed = cluster.custom.patch_namespaced_custom_object(*where, "r", patch)
    assert changed["spec"]["to"]["name"] == "t"
    assert changed["spec"]["to"]["kind"] == "Service"
    assert "path" not in changed["spec"]
    refused = cluster.ask("PATCH", ROUTES + "/r", {"spec": {}}, STRATEGIC)
    assert (refused["code"], refused["reason"], refused["message"]) == (
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        # Server-side apply is not in the sandbox's.
        + ", ".join((JSON, MERGE, "application/apply-patch+yaml") if cluster.real else (JSON, MERGE)),
    )


OPERATIONS: dict[str, tuple[list[dict[str, Any]], dict[str, str]]] = {
    "add": ([{"op": "add", "path": "/data/c", "value": "3"}], {"a": "1", "b": "2", "c": "3"}),
    "add over": ([{"op": "add", "path": "/data/a", "value": "3"}], {"a": "3", "b": "2"}),
    "replace": ([{"op": "replace", "path": "/data/a", "value": "3"}], {"a": "3", "b": "2"}),
    "remove": ([{"op": "remove", "path": "/data/a"}], {"b": "2"}),
    "move": ([{"op": "move", "from": "/data/a", "path": "/data/c"}], {"b": "2", "c": "1"}),
    "copy": ([{"op": "copy", "from": "/data/a", "path": "/data/c"}], {"a": "1", "b": "2", "c": "1"}),
    "test": (
        [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "replace", "path": "/data", "value": {"x": "y"}}],
        {"x": "y"},
    ),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_operations_are_applied(cluster: Cluster, case: str) -> None:
    operations, expected = OPERATIONS[case]
    cluster.config_map("m", {"a": "1", "b": "2"})
    changed = cluster.core.patch_namespaced_config_map("m", cluster.namespace, operations)
    assert changed.data == expected


def test_a_key_with_a_slash_is_escaped(cluster: Cluster) -> None:
    cluster.config_map("m", annotations={"x.io/a": "1"})
    operations = [{"op": "replace", "path": "/metadata/annotations/x.io~1a", "value": "2"}]
    changed = cluster.core.patch_namespaced_config_map("m", cluster.namespace, operations)
    assert changed.metadata.annotations == {"x.io/a": "2"}


@pytest.mark.parametrize("key", ["a~b", "~1", "/~01", ""])
def test_any_key_can_be_escaped(key: str) -> None:
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    assert apply_operations({key: 1}, [{"op": "replace", "path": path, "value": 2}]) == {key: 2}


def test_what_is_replaced_need_not_be_there(cluster: Cluster) -> None:
    cluster.config_map("m", {"a": "1"})
    operations = [{"op": "replace", "path": "/data/b", "value": "2"}]
    changed = cluster.core.patch_namespaced_config_map("m", cluster.namespace, operations)
    assert changed.data == {"a": "1", "b": "2"}


def test_operations_reach_into_lists(cluster: Cluster) -> None:
    cluster.ask("POST", DEPLOYMENTS, deployment())
    args = "/spec/template/spec/containers/0/args"
    operations = [
        {"op": "add", "path": args + "/-", "value": "c"},
        {"op": "add", "path": args + "/0", "value": "z"},
        {"op": "remove", "path": args + "/1"},
        {"op": "replace", "path": args + "/1", "value": "y"},
    ]
    changed = cluster.ask("PATCH", DEPLOYMENTS + "/d", operations, JSON)
    assert containers(changed)[0]["args"] == ["z", "y", "c"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "remove", "path": "/data/nothing"},
        {"op": "replace", "path": "/metadata/finalizers/0", "value": "1"},
        {"op": "move", "from": "/data/nothing", "path": "/data/b"},
        {"op": "invent", "path": "/data/b"},
        {"op": "add", "path": "/nothing/at/all", "value": "1"},
    ],
    ids=lambda operation: f"{operation['op']} {operation['path']}",
)
def test_operations_that_do_not_fit_change_nothing(cluster: Cluster, operation: dict[str, Any]) -> None:
    cluster.config_map("m", {"a": "1"})
    operations = [{"op": "add", "path": "/data/c", "value": "3"}, operation]
    refused = cluster.ask("PATCH", MAPS + "/m", operations, JSON)
    assert (refused["code"], refused["reason"], refused["message"]) == (
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
    assert cluster.ask("GET", MAPS + "/m")["data"] == {"a": "1"}


def test_a_patch_can_insist_on_what_was_read(cluster: Cluster) -> None:
    version = cluster.config_map("m")["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "data": {"a": "1"}}
    assert cluster.ask("PATCH", MAPS + "/m", patch, MERGE)["data"] == {"a": "1"}
    refused = cluster.ask("PATCH", MAPS + "/m", patch | {"data": {"a": "2"}}, MERGE)
    assert (refused["code"], refused["reason"]) == (409, "Conflict")


def test_a_name_cannot_be_patched(cluster: Cluster) -> None:
    cluster.config_map("m")
    refused = cluster.ask("PATCH", MAPS + "/m", {"metadata": {"name": "n"}}, MERGE)
    assert (refused["code"], refused["message"]) == (
        400,
        "the name of the object (n) does not match the name on the URL (m)",
    )


def test_what_was_given_by_the_server_cannot_be_patched(cluster: Cluster) -> None:
    made = cluster.config_map("m")["metadata"]
    patch = {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "deletionTimestamp": None}}
    changed = cluster.ask("PATCH", MAPS + "/m", patch, MERGE)["metadata"]
    assert changed["creationTimestamp"] == made["creationTimestamp"]


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386(target: Any, patch: Any, merged: Any) -> None:
    assert merge(target, patch) == merged


TREES = st.recursive(
    st.none() | st.integers(0, 2) | st.text("ab", max_size=1),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)


@given(TREES, TREES)
def test_a_patch_without_lists_merges_the_same_either_way_and_twice_as_once(target: Any, patch: Any) -> None:
    merged = merge(target, patch)
    assert merge(merged, patch) == merged
    assert merge_strategically(target, patch) == merged
