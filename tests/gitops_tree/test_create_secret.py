"""`modelcar gitops create-secret`: a password that nobody knows is made once, and never again."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from canned_answers import Answer, serve_answers
from cli.command import Run, modelcar
from kubernetes_server import Cluster as Server
from kubernetes_server import double, real
from modelcar.errors import InvalidInput
from modelcar_gitops.secrets import create_secret
from modelcar_pipelines.cluster import Cluster
from modelcar_sandbox.kubernetes import write_kubeconfig

__all__ = ["few_certificates", "home", "modelcar"]

KEYS = ("password", "root-password")


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with double(tmp_path) if request.param == "sandbox" else real() as made:
        yield made


@pytest.fixture
def cluster(server: Server) -> Cluster:
    return Cluster("the server", server.namespace, inside=False, token="", client=server.api, instead="")


def values(server: Server, name: str = "mysql") -> dict[str, str]:
    data = server.core.read_namespaced_secret(name, server.namespace).data
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_each_value_is_random(server: Server, cluster: Cluster) -> None:
    assert create_secret(cluster, server.namespace, "mysql", KEYS)
    assert create_secret(cluster, server.namespace, "other", KEYS)
    found = [*values(server).values(), *values(server, "other").values()]
    assert sorted(values(server)) == sorted(KEYS)
    assert len(set(found)) == 4
    assert {len(value) for value in found} == {32}


def test_a_secret_that_is_there_is_left_as_it_is(server: Server, cluster: Cluster) -> None:
    create_secret(cluster, server.namespace, "mysql", KEYS)
    before = values(server)
    assert not create_secret(cluster, server.namespace, "mysql", KEYS)
    assert values(server) == before


def test_of_many_at_once_one_makes_it(server: Server, cluster: Cluster) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_secret(cluster, server.namespace, "mysql", KEYS), range(8)))
    assert sorted(made) == [False] * 7 + [True]


def test_a_secret_that_lacks_a_key_is_told(server: Server, cluster: Cluster) -> None:
    create_secret(cluster, server.namespace, "mysql", KEYS[:1])
    with pytest.raises(InvalidInput, match="the Secret mysql is there and has no root-password") as raised:
        create_secret(cluster, server.namespace, "mysql", KEYS)
    assert raised.value.hint == "Add it, or delete the Secret if nothing uses it yet."


def test_the_command_prints_nothing_of_what_it_made(modelcar: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with double(home) as server:
        monkeypatch.setenv("KUBECONFIG", str(home / "kubeconfig"))
        words = ("gitops", "create-secret", "mysql", "--random", "password", "--namespace", server.namespace)
        first, second = modelcar(*words), modelcar(*words)
        [password] = values(server).values()
    assert (first.code, first.stdout) == (0, "mysql in namespace mine was made\n")
    assert (second.code, second.stdout) == (0, "mysql in namespace mine was there\n")
    assert password not in first.stdout + first.stderr + second.stdout + second.stderr


@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [
        (Answer(403, {"kind": "Status"}), 1, "does not let you create the Secret mysql in team (403)"),
        (Answer(500, {"kind": "Status"}), 1, "does not let you create the Secret mysql in team (500)"),
    ],
)
def test_a_cluster_that_refuses_is_told(
    modelcar: Run, home: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, code: int, sentence: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("modelcar.retry.time.sleep", lambda _: None)
    with serve_answers(answer) as canned:
        write_kubeconfig(home / "kubeconfig", canned.url, "team")
        monkeypatch.setenv("KUBECONFIG", str(home / "kubeconfig"))
        ran = modelcar("gitops", "create-secret", "mysql", "--random", "password")
    assert (ran.code, ran.stdout) == (code, "")
    assert sentence in ran.stderr
