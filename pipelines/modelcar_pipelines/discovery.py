"""Where the pipeline server of a namespace is, as OpenShift AI's operator wrote it down.

Source: https://github.com/opendatahub-io/data-science-pipelines-operator, DataSciencePipelinesApplication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelcar.errors import InvalidInput, PipelineServerError, PipelineServerNotFound
from modelcar_pipelines.cluster import Cluster

GROUP: Final = "datasciencepipelinesapplications.opendatahub.io"
PLURAL: Final = "datasciencepipelinesapplications"
VERSIONS: Final = ("v1", "v1alpha1")
"""Newest first."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pipeline server of a namespace.

    Attributes:
        name: Of its DataSciencePipelinesApplication.
        url: By which it is reached from here.
    """

    name: str
    url: str


def find_server(cluster: Cluster, namespace: str) -> Found:
    """The one pipeline server of a namespace.

    Args:
        cluster: To ask.
        namespace: To look in.

    Returns:
        With the address of its service when this is a pod of the cluster, else of its route.

    Raises:
        PipelineServerNotFound: The cluster has no such servers, or the namespace has none.
        InvalidInput: It has several.
        PipelineServerError: It is not ready, or cannot be reached from here; or the cluster refuses, fails, or cannot
            be reached.
    """
    servers = _list_servers(cluster, namespace)
    if not servers:
        raise PipelineServerNotFound(
            f"namespace {namespace} has no pipeline server",
            hint="Name another one with --namespace, or configure a pipeline server in that project.",
        )
    if len(servers) > 1:
        names = ", ".join(sorted(_name(one) for one in servers))
        urls = " or ".join(sorted(filter(None, (_find_url(cluster, one) for one in servers))))
        raise InvalidInput(
            f"namespace {namespace} has several pipeline servers: {names}",
            hint=f"Name one with --endpoint{': ' + urls if urls else ''}.",
        )
    return _check(cluster, namespace, servers[0])


def _list_servers(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    for version in VERSIONS:
        servers = cluster.list_objects(GROUP, version, namespace, PLURAL)
        if servers is not None:
            return servers
    raise PipelineServerNotFound(
        f"the cluster at {cluster.url} has no pipeline servers of OpenShift AI: it does not know {PLURAL}.{GROUP}",
        hint="Check which cluster the kubeconfig names, or name the pipeline server with --endpoint.",
    )


def _check(cluster: Cluster, namespace: str, server: Mapping[str, Any]) -> Found:
    name = _name(server)
    url = _find_url(cluster, server)
    failing = _find_failing(server)
    if failing is None and not _components(server):
        failing = "nobody has set it up yet"
    if failing is not None:
        raise PipelineServerError(
            f"the pipeline server {name} in namespace {namespace} is not ready: {failing}",
            hint=f"Look at its pods, and at: oc describe dspa {name} --namespace {namespace}",
        )
    if not url:
        raise PipelineServerError(
            f"the pipeline server {name} in namespace {namespace} has no route, and this is no pod of its cluster",
            hint=f"Forward its port, for instance 8443 of service/ds-pipeline-{name}, and name that with --endpoint.",
        )
    return Found(name, url)


def _find_url(cluster: Cluster, server: Mapping[str, Any]) -> str:
    """Empty when there is no way from here."""
    written = _components(server)
    outside = str(written.get("externalUrl") or "")
    return (str(written.get("url") or "") or outside) if cluster.inside else outside


def _components(server: Mapping[str, Any]) -> Mapping[str, Any]:
    status = server.get("status") or {}
    found: Mapping[str, Any] = (status.get("components") or {}).get("apiServer") or {}
    return found


def _find_failing(server: Mapping[str, Any]) -> str | None:
    """Why the API server does not run, in the operator's words; other parts of it may fail without harm to us."""
    conditions = (server.get("status") or {}).get("conditions") or []
    own = [one for one in conditions if one.get("type") == "APIServerReady"]
    relevant = own if _components(server) else [*own, *conditions]
    for condition in relevant:
        if condition.get("status") != "True":
            text = f"{condition.get('type')}, {condition.get('reason')}: {condition.get('message') or ''}"
            return " ".join(text.split()).rstrip(": ")
    return None


def _name(server: Mapping[str, Any]) -> str:
    return str(server["metadata"]["name"])
