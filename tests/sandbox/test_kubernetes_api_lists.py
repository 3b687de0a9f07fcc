"""Lists of a Kubernetes API server: selected by labels and fields, given in pages that belong together."""

from __future__ import annotations

from typing import Any

import pytest

from kubernetes_server import Cluster

MAPS = "/api/v1/{ns}/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/{ns}/leases"
RUNS = "/apis/tekton.dev/v1/{ns}/pipelineruns"


@pytest.fixture
def leases(cluster: Cluster) -> Cluster:
    """Leases, which no controller adds to, named a to e."""
    labels: dict[str, dict[str, str]] = {
        "a": {"color": "red", "size": "1"},
        "b": {"color": "blue", "size": "5"},
        "c": {"color": "red", "size": "9", "x.io/odd": ""},
        "d": {"color": "", "size": "large"},
        "e": {},
    }
    for name, given in labels.items():
        cluster.ask("POST", LEASES, {"metadata": {"name": name, "labels": given}})
    return cluster


def names(answer: dict[str, Any]) -> str:
    return "".join(one["metadata"]["name"] for one in answer["items"])


def test_a_list_names_its_kind_and_is_sorted(leases: Cluster) -> None:
    listed = leases.ask("GET", LEASES)
    assert (listed["kind"], listed["apiVersion"]) == ("LeaseList", "coordination.k8s.io/v1")
    assert names(listed) == "abcde"
    assert set(listed["metadata"]) == {"resourceVersion"}
    assert all("kind" not in one for one in listed["items"])


def test_each_of_a_list_of_custom_objects_names_its_kind(cluster: Cluster) -> None:
    run = {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"generateName": "run-"},
        "spec": {"pipelineRef": {"name": "p"}},
    }
    cluster.ask("POST", RUNS, run)
    listed = cluster.ask("GET", RUNS)
    assert (listed["kind"], listed["items"][0]["kind"]) == ("PipelineRunList", "PipelineRun")
    assert listed["metadata"]["continue"] == ""


def test_a_list_of_nothing(cluster: Cluster) -> None:
    assert cluster.coordination.list_namespaced_lease(cluster.namespace).items == []


def test_a_list_of_all_namespaces_holds_ours(leases: Cluster) -> None:
    found = leases.coordination.list_lease_for_all_namespaces(field_selector=f"metadata.namespace={leases.namespace}")
    assert [one.metadata.name for one in found.items] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("color=red", "ac"),
        ("color==red", "ac"),
        ("color!=red", "bde"),
        ("color=", "d"),
        ("color", "abcd"),
        ("!color", "e"),
        ("color in (red, blue)", "abc"),
        ("color in (red,)", "acd"),
        ("color notin (red)", "bde"),
        ("color=red,size=1", "a"),
        ("color, !x.io/odd", "abd"),
        ("x.io/odd=", "c"),
        ("size>4", "bc"),
        ("size<9", "ab"),
        (" color = red ", "ac"),
        ("nothing", ""),
        ("", "abcde"),
    ],
)
def test_labels_select(leases: Cluster, selector: str, expected: str) -> None:
    listed = leases.coordination.list_namespaced_lease(leases.namespace, label_selector=selector)
    assert "".join(one.metadata.name for one in listed.items) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("metadata.name=b", "b"), ("metadata.name!=b", "acde"), ("metadata.name==b,metadata.name=c", "")],
)
def test_fields_select(leases: Cluster, selector: str, expected: str) -> None:
    listed = leases.coordination.list_namespaced_lease(leases.namespace, field_selector=selector)
    assert "".join(one.metadata.name for one in listed.items) == expected


def test_pods_are_selected_by_phase(cluster: Cluster) -> None:
    cluster.core.create_namespaced_service_account(cluster.namespace, {"metadata": {"name": "mine"}})
    container = {"name": "main", "image": "registry.example/never:1"}
    spec = {"containers": [container], "serviceAccountName": "mine", "nodeSelector": {"no": "where"}}
    for name in ("p", "q"):
        cluster.core.create_namespaced_pod(cluster.namespace, {"metadata": {"name": name}, "spec": spec})
    told = {"status": {"phase": "Succeeded"}}
    cluster.core.patch_namespaced_pod_status("p", cluster.namespace, told)
    listed = cluster.core.list_namespaced_pod(cluster.namespace, field_selector="status.phase=Succeeded")
    assert [one.metadata.name for one in listed.items] == ["p"]


@pytest.mark.parametrize("query", ["labelSelector=a in", "labelSelector==,=", "labelSelector=a>b", "labelSelector=a b"])
def test_a_selector_that_cannot_be_read_is_refused(cluster: Cluster, query: str) -> None:
    refused = cluster.ask("GET", f"{LEASES}?{query.replace(' ', '%20').replace('>', '%3E')}")
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")


def test_a_field_that_cannot_be_selected_by_is_refused(cluster: Cluster) -> None:
    refused = cluster.ask("GET", MAPS + "?fieldSelector=data.a%3D1")
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")
    assert refused["message"].endswith(
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


def test_pages_belong_together(leases: Cluster) -> None:
    first = leases.coordination.list_namespaced_lease(leases.namespace, limit=2)
    assert first.metadata.remaining_item_count == 3
    # What happens between two pages is in neither.
    leases.coordination.delete_namespaced_lease("d", leases.namespace)
    leases.ask("POST", LEASES, {"metadata": {"name": "cc"}})
    second = leases.coordination.list_namespaced_lease(leases.namespace, limit=2, _continue=first.metadata._continue)
    third = leases.coordination.list_namespaced_lease(leases.namespace, limit=2, _continue=second.metadata._continue)
    pages = [[one.metadata.name for one in page.items] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert first.metadata.resource_version == second.metadata.resource_version
    assert third.metadata._continue is None
    assert names(leases.ask("GET", LEASES)) == "abccce"


def test_of_what_is_selected_nobody_counts_what_is_left(leases: Cluster) -> None:
    page = leases.coordination.list_namespaced_lease(leases.namespace, limit=1, label_selector="color")
    assert (page.metadata.remaining_item_count, bool(page.metadata._continue)) == (None, True)


def test_a_page_that_is_made_up_is_refused(cluster: Cluster) -> None:
    refused = cluster.ask("GET", LEASES + "?limit=1&continue=nonsense")
    assert (refused["code"], refused["reason"]) == (400, "BadRequest")


def test_a_list_of_a_version_is_as_it_was(leases: Cluster) -> None:
    version = leases.ask("GET", LEASES)["metadata"]["resourceVersion"]
    leases.ask("DELETE", LEASES + "/a")
    then = leases.ask("GET", f"{LEASES}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert (names(then), then["metadata"]["resourceVersion"]) == ("abcde", version)
    since = leases.ask("GET", f"{LEASES}?resourceVersion={version}")
    assert int(since["metadata"]["resourceVersion"]) >= int(version)  # a real one may be a moment behind


def test_a_version_to_come_is_not_waited_for_without_end(cluster: Cluster) -> None:
    version = int(cluster.ask("GET", LEASES)["metadata"]["resourceVersion"]) + 1_000_000
    refused = cluster.ask("GET", f"{LEASES}?resourceVersion={version}")
    assert (refused["code"], refused["reason"]) == (504, "Timeout")
    assert refused["message"].startswith(f"Timeout: Too large resource version: {version}, current: ")
