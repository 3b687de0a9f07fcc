"""The pipeline server of a namespace is found by its DataSciencePipelinesApplication, or it is said why not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from canned_answers import Answer, Canned, serve_answers
from modelcar import bearer
from modelcar.errors import (
    InvalidInput,
    PipelineServerAccessDenied,
    PipelineServerError,
    PipelineServerNotFound,
    PromotionError,
)
from modelcar_pipelines import surroundings
from modelcar_pipelines.cluster import Cluster, NotAllowed, find_cluster
from modelcar_pipelines.connection import connect
from modelcar_pipelines.discovery import Found, find_server

GROUP = "/apis/datasciencepipelinesapplications.opendatahub.io"
LIST = "namespaces/private-ai-demo/datasciencepipelinesapplications"
ROUTE = "https://ds-pipeline-dspa-private-ai-demo.apps.example.com"
SERVICE = "https://ds-pipeline-dspa.private-ai-demo.svc.cluster.local:8443"
TOKEN = "planted-5ecret-token"
UNKNOWN = Answer(404, b"404 page not found\n", {"Content-Type": "text/plain"})


def status(code: int, reason: str) -> Answer:
    return Answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason})


def condition(kind: str, value: str, message: str = "", reason: str = "MinimumReplicasAvailable") -> dict[str, str]:
    return {"type": kind, "status": value, "reason": reason, "message": message}


def dspa(name: str = "dspa", *conditions: dict[str, str], url: str = SERVICE, route: str = ROUTE) -> dict[str, Any]:
    urls = {key: value for key, value in (("url", url), ("externalUrl", route)) if value}
    components = {"components": {"apiServer": urls}} if urls else {}
    return {"metadata": {"name": name}, "status": {**components, "conditions": list(conditions)}}


def applications(*items: Mapping[str, Any]) -> Answer:
    return Answer(200, {"kind": "DataSciencePipelinesApplicationList", "items": list(items)})


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This is no pod, and the proxies are none of ours."""
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "pod" / "token")
    monkeypatch.setattr(surroundings, "SDK_TOKEN", tmp_path / "pod" / "sdk-token")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def canned() -> Iterator[Canned]:
    with serve_answers(applications(dspa())) as server:
        yield server


def write_kubeconfig(directory: Path, url: str, namespace: str | None = "private-ai-demo", **cluster: str) -> Path:
    context = {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}
    path = directory / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "now",
                "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
                "contexts": [{"name": "now", "context": context}],
            }
        )
    )
    return path


@pytest.fixture
def cluster(canned: Canned, tmp_path: Path) -> Cluster:
    """As a shell sees it, by its kubeconfig."""
    return find_cluster({"KUBECONFIG": str(write_kubeconfig(tmp_path, canned.url))})


def mount_pod(directory: Path, server: Canned, certificate: Path) -> dict[str, str]:
    """Make this look like a pod of a cluster; its environment."""
    directory.mkdir()
    (directory / "token").write_text(TOKEN)
    (directory / "namespace").write_text("private-ai-demo")
    (directory / "ca.crt").write_bytes(certificate.read_bytes())
    host, port = server.url.removeprefix("https://").split(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "HOME": str(directory)}


def test_from_outside_the_route_is_taken(canned: Canned, cluster: Cluster) -> None:
    assert find_server(cluster, "private-ai-demo") == Found("dspa", ROUTE)
    assert canned.asked == [f"GET {GROUP}/v1/{LIST}"]
    assert canned.authorizations == [f"Bearer {TOKEN}"]


def test_in_a_pod_the_service_is_taken(tmp_path: Path, certificate: Path) -> None:
    with serve_answers(applications(dspa()), certificate=certificate) as server:
        pod = find_cluster(mount_pod(tmp_path / "pod", server, certificate))
        assert find_server(pod, pod.namespace) == Found("dspa", SERVICE)
        server.answers = [applications(dspa(url=""))]
        assert find_server(pod, pod.namespace) == Found("dspa", ROUTE)
    assert server.asked == [f"GET {GROUP}/v1/{LIST}"] * 2
    assert [text and text.lower() for text in server.authorizations] == [f"bearer {TOKEN}"] * 2


def test_an_older_operators_kind_is_found(canned: Canned, cluster: Cluster) -> None:
    canned.answers = [UNKNOWN, applications(dspa())]
    assert find_server(cluster, "private-ai-demo") == Found("dspa", ROUTE)
    assert canned.asked == [f"GET {GROUP}/v1/{LIST}", f"GET {GROUP}/v1alpha1/{LIST}"]


@pytest.mark.parametrize("other", ["PersistenceAgentReady", "MLMDProxyReady", "Ready"])
def test_other_parts_may_fail(canned: Canned, cluster: Cluster, other: str) -> None:
    conditions = condition("APIServerReady", "True"), condition(other, "False", "it does not start")
    canned.answers = [applications(dspa("dspa", *conditions))]
    assert find_server(cluster, "private-ai-demo") == Found("dspa", ROUTE)


@dataclass(frozen=True)
class Case:
    """What a cluster answers, and what becomes of it; `URL` is the cluster's address."""

    kind: type[Exception]
    text: str
    hint: str
    answers: list[Answer] = field(default_factory=list)


CASES = {
    "none in the namespace": Case(
        PipelineServerNotFound,
        "namespace private-ai-demo has no pipeline server",
        "Name another one with --namespace",
        [applications()],
    ),
    "several": Case(
        InvalidInput,
        "namespace private-ai-demo has several pipeline servers: a, b",
        "Name one with --endpoint: https://a.example.com or https://b.example.com.",
        [applications(dspa("b", route="https://b.example.com"), dspa("a", route="https://a.example.com"))],
    ),
    "several without routes": Case(
        InvalidInput,
        "namespace private-ai-demo has several pipeline servers: a, b",
        "Name one with --endpoint.",
        [applications(dspa("b", route=""), dspa("a", route=""))],
    ),
    "nobody knows the kind": Case(
        PipelineServerNotFound,
        "the cluster at URL has no pipeline servers of OpenShift AI: it does not know "
        "datasciencepipelinesapplications.datasciencepipelinesapplications.opendatahub.io",
        "Check which cluster the kubeconfig names",
        [UNKNOWN],
    ),
    "not ready": Case(
        PipelineServerError,
        "the pipeline server dspa in namespace private-ai-demo is not ready: "
        "APIServerReady, FailingToDeploy: database is not there",
        "oc describe dspa dspa --namespace private-ai-demo",
        [applications(dspa("dspa", condition("APIServerReady", "False", "database is\nnot there", "FailingToDeploy")))],
    ),
    "being set up": Case(
        PipelineServerError,
        "the pipeline server dspa in namespace private-ai-demo is not ready: DatabaseAvailable, Deploying",
        "Look at its pods",
        [applications(dspa("dspa", condition("DatabaseAvailable", "False", "", "Deploying"), url="", route=""))],
    ),
    "just made": Case(
        PipelineServerError,
        "the pipeline server dspa in namespace private-ai-demo is not ready: nobody has set it up yet",
        "Look at its pods",
        [applications({"metadata": {"name": "dspa"}})],
    ),
    "no route": Case(
        PipelineServerError,
        "the pipeline server dspa in namespace private-ai-demo has no route, and this is no pod of its cluster",
        "Forward its port, for instance 8443 of service/ds-pipeline-dspa, and name that with --endpoint.",
        [applications(dspa(route=""))],
    ),
    "no permission": Case(
        NotAllowed,
        "the cluster at URL does not let you list "
        "datasciencepipelinesapplications.datasciencepipelinesapplications.opendatahub.io "
        "in namespace private-ai-demo (403)",
        "ask for the role view in it",
        [status(403, "Forbidden")],
    ),
    "an old login": Case(
        PipelineServerAccessDenied,
        "the cluster at URL does not know who you are (401)",
        "Log in again, for instance with oc login.",
        [status(401, "Unauthorized")],
    ),
    "busy": Case(
        PipelineServerError,
        "the cluster at URL answered 503",
        "Try again later.",
        [Answer(503, b"", {"Retry-After": "0"})],
    ),
    "a page": Case(
        PipelineServerError, "URL is not a cluster's API", "something else answers there", [Answer(200, b"<html>")]
    ),
    "a page, missing": Case(
        PipelineServerError, "URL is not a cluster's API", "something else answers there", [Answer(404, b"<html>")]
    ),
    "bytes": Case(
        PipelineServerError, "URL is not a cluster's API", "something else answers there", [Answer(200, b'"\xff"')]
    ),
    "JSON of something else": Case(
        PipelineServerError, "URL is not a cluster's API", "something else answers there", [Answer(200, {"items": 1})]
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_why_there_is_no_server(canned: Canned, cluster: Cluster, name: str) -> None:
    case = CASES[name]
    canned.answers = list(case.answers)
    with pytest.raises(case.kind) as raised:
        find_server(cluster, "private-ai-demo")
    assert type(raised.value) is case.kind
    assert str(raised.value) == case.text.replace("URL", canned.url)
    assert case.hint in raised.value.hint  # type: ignore[attr-defined]
    assert TOKEN not in f"{raised.value!s} {vars(raised.value)}"


def test_a_cluster_that_is_busy_for_a_moment_is_asked_again(canned: Canned, cluster: Cluster) -> None:
    canned.answers = [Answer(503, b"", {"Retry-After": "0"}), applications(dspa())]
    assert find_server(cluster, "private-ai-demo") == Found("dspa", ROUTE)


def fail(kubeconfig: Path) -> PromotionError:
    with pytest.raises(PromotionError) as raised:
        connect(env={"KUBECONFIG": str(kubeconfig)})
    return raised.value


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcar_pipelines.cluster.CONTACT_ATTEMPTS", 1)


@pytest.mark.usefixtures("_at_once")
def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = fail(write_kubeconfig(tmp_path, url))
    assert str(error) == f"the cluster at {url} cannot be reached: Connection refused"
    assert error.hint is not None
    assert "KF_PIPELINES_ENDPOINT to do without" in error.hint


def test_a_cluster_behind_an_unknown_ca(tmp_path: Path, certificate: Path) -> None:
    with serve_answers(applications(), certificate=certificate) as server:
        error = fail(write_kubeconfig(tmp_path, server.url))
        assert str(error).startswith(f"the cluster at {server.url} cannot be trusted: self")
        assert server.asked == []
        known = write_kubeconfig(tmp_path, server.url, **{"certificate-authority": str(certificate)})
        assert str(fail(known)) == "namespace private-ai-demo has no pipeline server"


def test_no_kubeconfig_and_no_pod(tmp_path: Path) -> None:
    with pytest.raises(PipelineServerNotFound) as raised:
        connect(env={"HOME": str(tmp_path)})
    assert str(raised.value) == (f"there is no cluster to ask: no kubeconfig at {tmp_path}/.kube/config")
    assert raised.value.hint == (
        "Log in to the cluster with oc login. "
        "Name the pipeline server with --endpoint or KF_PIPELINES_ENDPOINT to do without."
    )


BROKEN = {
    "no YAML": ("users: [{token: planted-5ecret-token", ": it does not parse as one"),
    "no object": ("planted-5ecret-token", ": it does not parse as one"),
    "empty": ("", ""),
    "no context of that name": (
        "{kind: Config, current-context: gone, contexts: [], users: [], clusters: []}",
        ": Expected object with name gone in",
    ),
    "no such CA file": (
        json.dumps(
            {
                "current-context": "now",
                "clusters": [{"name": "c", "cluster": {"server": "https://c", "certificate-authority": "/none.pem"}}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
                "contexts": [{"name": "now", "context": {"cluster": "c", "user": "u"}}],
            }
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    content, detail = BROKEN[name]
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    error = fail(path)
    assert str(error).startswith(f"the kubeconfig {path} cannot be used{detail}")
    assert "oc login" in (error.hint or "")
    assert TOKEN not in str(error)


def test_the_found_server_gets_the_kubeconfigs_token_when_there_is_no_other(canned: Canned, tmp_path: Path) -> None:
    env = {"KUBECONFIG": str(write_kubeconfig(tmp_path, canned.url))}
    server = connect(env=env)
    assert (server.url, server.namespace) == (ROUTE, "private-ai-demo")
    assert server._token.text == TOKEN
    assert connect(env={**env, "KF_PIPELINES_TOKEN": "mine"})._token.text == "mine"
    canned.answers = [applications(dspa(route="http://pipelines.example.com"))]
    assert not connect(env=env)._token


def test_the_namespace_is_the_arguments_the_environments_or_the_contexts(canned: Canned, tmp_path: Path) -> None:
    env = {"KUBECONFIG": str(write_kubeconfig(tmp_path, canned.url, None))}
    assert connect(env=env).namespace == "default"
    assert connect(env={**env, "KF_PIPELINES_NAMESPACE": "b"}).namespace == "b"
    assert connect(namespace="a", env={**env, "KF_PIPELINES_NAMESPACE": "b"}).namespace == "a"
    asked = [path.split("/")[5] for path in canned.asked]
    assert asked == ["default", "b", "a"]


def test_a_kubeconfig_that_is_named_goes_before_the_pod(canned: Canned, tmp_path: Path, certificate: Path) -> None:
    with serve_answers(applications(dspa()), certificate=certificate) as own:
        pod = mount_pod(tmp_path / "pod", own, certificate)
        assert connect(env=pod).url == SERVICE
        assert connect(env={**pod, "KUBECONFIG": str(write_kubeconfig(tmp_path, canned.url))}).url == ROUTE
    assert len(own.asked) == 1


def test_a_cluster_shows_no_token(cluster: Cluster) -> None:
    assert cluster.token == TOKEN
    assert TOKEN not in repr(cluster)
