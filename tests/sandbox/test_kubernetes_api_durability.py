"""The sandbox's Kubernetes API keeps what it has answered, forgets by number, and ends when it is told to."""

from __future__ import annotations

import json
import re
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kubernetes_server import REMEMBERED, Cluster, double
from modelcar_sandbox.kubernetes import create_app, write_kubeconfig
from modelcar_sandbox.service import THREADS, Service

MAPS = "/api/v1/{ns}/configmaps"


def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    with double(tmp_path) as cluster:
        cluster.config_map("gone")
        cluster.ask("DELETE", MAPS + "/gone")
        kept = cluster.config_map("kept", {"k": "v"}, labels={"a": "b"})
        before = cluster.ask("GET", "/api/v1/namespaces")
    with double(tmp_path) as cluster:
        assert cluster.ask("GET", MAPS + "/kept") == kept
        assert cluster.ask("GET", MAPS + "/gone")["code"] == 404
        assert cluster.ask("GET", "/api/v1/namespaces")["items"] == before["items"]
        assert [one["metadata"]["name"] for one in before["items"]] == ["default", "kube-public", "kube-system", "mine"]


def test_versions_go_on_after_a_restart(tmp_path: Path) -> None:
    with double(tmp_path) as cluster:
        cluster.config_map("a")
        last = cluster.ask("DELETE", MAPS + "/a") and cluster.ask("GET", MAPS)["metadata"]["resourceVersion"]
    with double(tmp_path) as cluster:
        assert int(cluster.config_map("a")["metadata"]["resourceVersion"]) == int(last) + 1


def test_nothing_unfinished_is_left(tmp_path: Path) -> None:
    with double(tmp_path) as cluster:
        cluster.config_map("a")
    assert [path.name for path in (tmp_path / "kubernetes").iterdir()] == ["objects.json"]


def test_a_page_of_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    with double(tmp_path) as cluster:
        for name in ("a", "b", "c"):
            cluster.config_map(name)
        token = cluster.ask("GET", MAPS + "?limit=2")["metadata"]["continue"]
        for number in range(REMEMBERED + 1):
            cluster.config_map(f"more-{number}")
        refused = cluster.ask("GET", f"{MAPS}?limit=2&continue={token}")
    assert (refused["code"], refused["reason"]) == (410, "Expired")


def test_writers_who_try_again_lose_nothing(tmp_path: Path) -> None:
    from kubernetes import client

    with double(tmp_path) as cluster:
        cluster.config_map("counter", {"n": "0"})
        writers = [threading.Thread(target=_count, args=(cluster, 5)) for _ in range(4)]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        found: client.V1ConfigMap = cluster.core.read_namespaced_config_map("counter", cluster.namespace)
    assert found.data == {"n": "20"}


def _count(cluster: Cluster, times: int) -> None:
    while times:
        read = cluster.ask("GET", MAPS + "/counter")
        read["data"]["n"] = str(int(read["data"]["n"]) + 1)
        times -= "code" not in cluster.ask("PUT", MAPS + "/counter", read)


def test_a_watch_ends_with_the_server(tmp_path: Path) -> None:
    from kubernetes import client, config

    app = create_app(tmp_path)
    with Service(app) as service:
        write_kubeconfig(tmp_path / "kubeconfig", service.url)
        with config.new_client_from_config(str(tmp_path / "kubeconfig")) as api:
            answer = client.CoreV1Api(api).list_namespace(watch=True, _preload_content=False)
            with closing(answer):
                app.close()
                names = re.findall('"name": "([^"]+)"', answer.data.decode())
    assert names == ["default", "kube-public", "kube-system"]


def test_a_kubeconfig_names_the_server_and_a_namespace(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", "models")
    written = json.loads((tmp_path / "kubeconfig").read_text())
    assert written["clusters"][0]["cluster"] == {"server": "http://127.0.0.1:1"}
    assert written["contexts"][0]["context"]["namespace"] == "models"
    assert written["current-context"] == written["contexts"][0]["name"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "x", "objects": []}', '{"version": 1, "objects": 1}'])
def test_a_file_of_nonsense_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "objects.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "objects.json"))):
        create_app(tmp_path)


def test_watches_that_nobody_listens_to_any_more_hold_nothing_up(tmp_path: Path) -> None:
    with double(tmp_path) as cluster:
        for _ in range(2 * THREADS):
            answer = cluster.core.list_namespace(watch=True, _preload_content=False)
            assert b"default" in next(line for line in answer if line.strip())
            answer.close()
        assert cluster.config_map("a")["metadata"]["name"] == "a"
