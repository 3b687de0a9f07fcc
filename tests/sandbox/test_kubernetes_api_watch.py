"""Watches of a Kubernetes API server: told while it happens, from a version on, until it is forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kubernetes_server import REMEMBERED, Cluster, double

LEASES = "/apis/coordination.k8s.io/v1/{ns}/leases"
SERVERS = "/apis/datasciencepipelinesapplications.opendatahub.io/v1/{ns}/datasciencepipelinesapplications"
FORGOTTEN = "1"
"""The first version of all: a real server has forgotten it, and the sandbox's after some changes."""


def add(cluster: Cluster, name: str, **labels: str) -> str:
    """Make a lease; its resourceVersion."""
    made = cluster.ask("POST", LEASES, {"metadata": {"name": name, "labels": labels}})
    return str(made["metadata"]["resourceVersion"])


def relabel(cluster: Cluster, name: str, **labels: str | None) -> str:
    patch = {"metadata": {"labels": labels}}
    changed = cluster.ask("PATCH", f"{LEASES}/{name}", patch, "application/merge-patch+json")
    return str(changed["metadata"]["resourceVersion"])


def seen(cluster: Cluster, count: int, **options: Any) -> list[tuple[str, str]]:
    """The first events of a watch on leases: what happened to which."""
    from kubernetes.watch import Watch

    events = Watch().stream(cluster.coordination.list_namespaced_lease, cluster.namespace, **options)
    with closing(events):
        return [(event["type"], event["object"].metadata.name) for _, event in zip(range(count), events, strict=False)]


def test_without_a_version_it_begins_with_what_is_there(cluster: Cluster) -> None:
    add(cluster, "a")
    add(cluster, "b")
    assert sorted(seen(cluster, 2, timeout_seconds=30)) == [("ADDED", "a"), ("ADDED", "b")]


def test_with_a_version_it_tells_what_happened_after_it(cluster: Cluster) -> None:
    version = add(cluster, "a")
    add(cluster, "b")
    relabel(cluster, "a", color="red")
    cluster.ask("DELETE", LEASES + "/b")
    assert seen(cluster, 3, resource_version=version, timeout_seconds=30) == [
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]


def test_what_happens_is_told_while_it_is_watched(cluster: Cluster) -> None:
    from kubernetes.watch import Watch

    version = add(cluster, "a")
    events = Watch().stream(
        cluster.coordination.list_namespaced_lease, cluster.namespace, resource_version=version, timeout_seconds=30
    )
    later = threading.Thread(target=relabel, args=(cluster, "a"), kwargs={"color": "red"})
    with closing(events):
        later.start()
        assert next(events)["object"].metadata.labels == {"color": "red"}
        later.join()
        relabel(cluster, "a", color="blue")
        assert next(events)["object"].metadata.labels == {"color": "blue"}


def test_it_answers_before_anything_has_happened(cluster: Cluster) -> None:
    version = add(cluster, "a")
    answer = cluster.coordination.list_namespaced_lease(
        cluster.namespace, resource_version=version, watch=True, _preload_content=False, _request_timeout=20
    )
    with closing(answer):
        add(cluster, "b")
        assert next(line for line in answer if line.strip())


def test_it_ends_when_its_time_is_over(cluster: Cluster) -> None:
    version = add(cluster, "a")
    assert seen(cluster, 1, resource_version=version, timeout_seconds=1) == []


def test_what_begins_to_fit_is_new_and_what_ceases_to_is_gone(cluster: Cluster) -> None:
    version = add(cluster, "a")
    add(cluster, "b", color="red")
    relabel(cluster, "a", color="red")
    relabel(cluster, "a", color="red", size="1")
    relabel(cluster, "a", color="blue")
    cluster.ask("DELETE", LEASES + "/a")
    cluster.ask("DELETE", LEASES + "/b")
    assert seen(cluster, 5, resource_version=version, label_selector="color=red", timeout_seconds=30) == [
        ("ADDED", "b"),
        ("ADDED", "a"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("DELETED", "b"),
    ]


def test_what_is_gone_is_as_it_was_with_the_version_of_its_end(cluster: Cluster) -> None:
    from kubernetes.watch import Watch

    version = add(cluster, "a", color="red")
    cluster.ask("DELETE", LEASES + "/a")
    events = Watch().stream(
        cluster.coordination.list_namespaced_lease, cluster.namespace, resource_version=version, timeout_seconds=30
    )
    with closing(events):
        gone = next(events)["object"]
    assert gone.metadata.labels == {"color": "red"}
    assert int(gone.metadata.resource_version) > int(version)


def test_one_object_is_watched_by_its_name(cluster: Cluster) -> None:
    version = add(cluster, "a")
    add(cluster, "b")
    options = {"resource_version": version, "timeout_seconds": 30}
    assert seen(cluster, 1, field_selector="metadata.name=b", **options) == [("ADDED", "b")]


def test_a_custom_object_is_watched_until_it_is_ready(cluster: Cluster) -> None:
    from kubernetes.watch import Watch

    # No controller of a test cluster writes to it or refuses it, as KServe's does InferenceServices.
    server = {
        "apiVersion": "datasciencepipelinesapplications.opendatahub.io/v1",
        "kind": "DataSciencePipelinesApplication",
        "metadata": {"name": "demo"},
        "spec": {"objectStorage": {}, "podToPodTLS": True},
    }
    cluster.ask("POST", SERVERS, server)
    told = {"status": {"components": {"apiServer": {"url": "https://demo"}}}}
    cluster.ask("PATCH", SERVERS + "/demo/status", told, "application/merge-patch+json")
    where = (*SERVERS.split("/")[2:4], cluster.namespace, "datasciencepipelinesapplications")
    events = Watch().stream(cluster.custom.list_namespaced_custom_object, *where, timeout_seconds=30)
    with closing(events):
        ready = next(event["object"] for event in events if "status" in event["object"])
    assert ready["status"] == told["status"]


def test_a_list_and_a_watch_from_its_version_miss_nothing(cluster: Cluster) -> None:
    numbers = range(12)
    writer = threading.Thread(target=lambda: [add(cluster, f"n{number}") for number in numbers])
    writer.start()
    listed = cluster.coordination.list_namespaced_lease(cluster.namespace)
    there = [one.metadata.name for one in listed.items]
    version = listed.metadata.resource_version
    told = seen(cluster, len(numbers) - len(there), resource_version=version, timeout_seconds=30)
    writer.join()
    assert sorted([*there, *(name for _, name in told)]) == sorted(f"n{number}" for number in numbers)


def test_what_is_forgotten_cannot_be_watched(tmp_path: Path) -> None:
    from kubernetes.client import ApiException

    # Not asked of a real server, which forgets after five minutes: what it answers was looked up by hand.
    with double(tmp_path) as cluster:
        for number in range(REMEMBERED):
            add(cluster, f"n{number}")
        with pytest.raises(ApiException) as refused:
            seen(cluster, 1, resource_version=FORGOTTEN, timeout_seconds=30)
    assert refused.value.status == 410
    assert refused.value.reason.startswith("Expired: too old resource version: 1 (")


def test_many_watch_at_once(cluster: Cluster) -> None:
    version = add(cluster, "a")
    found: list[list[tuple[str, str]]] = []
    options = {"resource_version": version, "timeout_seconds": 30}
    watchers = [threading.Thread(target=lambda: found.append(seen(cluster, 1, **options))) for _ in range(8)]
    for one in watchers:
        one.start()
    add(cluster, "b")
    for one in watchers:
        one.join()
    assert found == [[("ADDED", "b")]] * 8


def lines(answer: Any) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in answer if line.strip())


def test_a_watch_of_everything_selects_by_namespace(cluster: Cluster) -> None:
    version = add(cluster, "a")
    add(cluster, "b")
    answer = cluster.coordination.list_lease_for_all_namespaces(
        resource_version=version,
        watch=True,
        timeout_seconds=30,
        field_selector=f"metadata.namespace={cluster.namespace}",
        _preload_content=False,
    )
    with closing(answer):
        assert next(lines(answer))["object"]["metadata"]["name"] == "b"
