"""The pipeline server of a namespace is found in the sandbox's cluster as it is in a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubernetes_server import Cluster, double, real
from modelcar.errors import PipelineServerError, PipelineServerNotFound
from modelcar_pipelines.connection import Server, connect
from modelcar_pipelines.discovery import GROUP, PLURAL

ROUTE = "https://ds-pipeline-dspa-mine.apps.example.com"
DSPA = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "DataSciencePipelinesApplication",
    "metadata": {"name": "dspa"},
    "spec": {"objectStorage": {}},
}


@pytest.fixture(params=["double", pytest.param("real", marks=pytest.mark.real)])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    with real() if request.param == "real" else double(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def env(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    """Of a shell that is logged in to the cluster."""
    return {"KUBECONFIG": os.environ["REAL_KUBECONFIG"] if cluster.real else str(tmp_path / "kubeconfig")}


def find(cluster: Cluster, env: dict[str, str]) -> Server:
    return connect(namespace=cluster.namespace, env=env)


def tell(cluster: Cluster, status: dict[str, Any]) -> None:
    """Write the status, as the operator does."""
    cluster.custom.patch_namespaced_custom_object_status(
        GROUP, "v1", cluster.namespace, PLURAL, "dspa", {"status": status}
    )


def test_a_server_is_found_when_the_operator_has_set_it_up(cluster: Cluster, env: dict[str, str]) -> None:
    with pytest.raises(PipelineServerNotFound) as none:
        find(cluster, env)
    assert str(none.value) == f"namespace {cluster.namespace} has no pipeline server"
    cluster.custom.create_namespaced_custom_object(GROUP, "v1", cluster.namespace, PLURAL, DSPA)
    with pytest.raises(PipelineServerError, match="is not ready: nobody has set it up yet"):
        find(cluster, env)
    condition = {"type": "APIServerReady", "reason": "Deploying", "lastTransitionTime": "2026-11-25T12:00:00Z"}
    urls = {"components": {"apiServer": {"url": "https://ds-pipeline-dspa.mine.svc:8443", "externalUrl": ROUTE}}}
    tell(cluster, {**urls, "conditions": [{**condition, "status": "False", "message": "pods are starting"}]})
    with pytest.raises(PipelineServerError, match="is not ready: APIServerReady, Deploying: pods are starting"):
        find(cluster, env)
    tell(cluster, {**urls, "conditions": [{**condition, "status": "True", "message": ""}]})
    assert find(cluster, env).url == ROUTE


def test_a_namespace_that_is_not_there_has_none(cluster: Cluster, env: dict[str, str]) -> None:
    with pytest.raises(PipelineServerNotFound):
        connect(namespace=f"{cluster.namespace}-not", env=env)
