"""Check 7 in full: every object against its schema, strictly, by a program or by a kube-apiserver that is asked.

What is inside a Pipeline's taskSpec has no schema; the check of that number beside the others looks there.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from gitops_tree.objects import describe
from gitops_tree.tree import ROOT, Object, Tree, render

Validate = Callable[[list[Object]], list[str]]
PROGRAM, CLUSTER = "MODELCAR_VALIDATE_MANIFESTS", "REAL_KUBECONFIG"
WITHOUT_SCHEMA: Final = ("BuildConfig",)
"""Kinds that OpenShift serves without a published schema; only a cluster can be asked about them."""

pytestmark = pytest.mark.real


@pytest.fixture(params=[PROGRAM, CLUSTER])
def validate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Validate]:
    """Gives the problems of objects: as the program named by the environment sees them, or the cluster."""
    if not os.environ.get(request.param):
        neither = not os.environ.get(PROGRAM) and not os.environ.get(CLUSTER)
        pytest.skip(f"neither {PROGRAM} nor {CLUSTER} is set" if neither else f"{request.param} is not set")
    if request.param == PROGRAM:
        yield lambda objects: _ask_program(objects, tmp_path / "manifests.yaml")
    else:
        with _Cluster(os.environ[CLUSTER]) as cluster:
            yield lambda objects: [problem for one in objects for problem in cluster.problems(one)]


def _ask_program(objects: list[Object], path: Path) -> list[str]:
    known = [one for one in objects if one["kind"] not in WITHOUT_SCHEMA]
    path.write_text(yaml.safe_dump_all(known), encoding="utf-8")
    command = [*shlex.split(os.environ[PROGRAM]), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [done.stdout + done.stderr] if done.returncode else []


class _Cluster:
    """A kube-apiserver that is asked to make objects in a namespace of their own, and not to keep them."""

    def __init__(self, kubeconfig: str) -> None:
        from kubernetes import client, config

        self._api = config.new_client_from_config(kubeconfig)
        self._core = client.CoreV1Api(self._api)
        self._refused = client.ApiException
        self._namespace = f"modelcar-schemas-{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> _Cluster:
        self._core.create_namespace({"metadata": {"name": self._namespace}})
        return self

    def __exit__(self, *_: object) -> None:
        self._core.delete_namespace(self._namespace)
        self._api.close()

    def problems(self, one: Object) -> Iterator[str]:
        """What the cluster has against an object."""
        base = f"/apis/{one['apiVersion']}" if "/" in one["apiVersion"] else f"/api/{one['apiVersion']}"
        resource = _resources(self, base).get(one["kind"])
        if resource is None:
            yield f"{describe(one)}: the cluster has no {one['kind']} of {one['apiVersion']}"
            return
        name, namespaced = resource
        where = f"{base}/namespaces/{self._namespace}/{name}" if namespaced else f"{base}/{name}"
        metadata = {key: value for key, value in one["metadata"].items() if key not in ("namespace", "name")}
        body = {**one, "metadata": {**metadata, "name": f"modelcar-{uuid.uuid4().hex[:8]}"}}
        try:
            self._call("POST", where, [("dryRun", "All"), ("fieldValidation", "Strict")], body)
        except self._refused as error:
            yield f"{describe(one)}: {json.loads(error.body)['message']}"

    def get(self, path: str) -> Any:
        """A path of the API."""
        return self._call("GET", path, [], None)

    def _call(self, verb: str, path: str, query: list[tuple[str, str]], body: Object | None) -> Any:
        return self._api.call_api(
            path,
            verb,
            query_params=query,
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            response_type="object",
            _return_http_data_only=True,
        )


@cache
def _resources(cluster: _Cluster, base: str) -> dict[str, tuple[str, bool]]:
    """Of a group and version, by kind: what the API calls it, and whether it is in a namespace."""
    try:
        listed = cluster.get(base)["resources"]
    except cluster._refused:
        return {}
    return {one["kind"]: (one["name"], one["namespaced"]) for one in listed if "/" not in one["name"]}


def _everything(tree: Tree) -> list[Object]:
    return [*tree.objects, *tree.sample_runs.values()]


def test_no_object_has_a_field_or_a_value_that_its_schema_does_not_know(tree: Tree, validate: Validate) -> None:
    assert validate(_everything(tree)) == []


OVERLAYS = [
    *(f"example/{part}" for part in ("bootstrap", "stage01", "model-registry-app", "application")),
    "kubernetes-pipeline-store/pipelines",
]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nor_has_one_of_an_overlay(overlay: str, validate: Validate) -> None:
    assert validate(render(ROOT / "gitops/overlays" / overlay)) == []


def _time_pipeline(tree: Tree) -> Object:
    pipeline = tree.get("Pipeline", "promote-model")
    pipeline["spec"]["timeouts"] = {"pipeline": "1h"}
    return pipeline


def _name_account(tree: Tree) -> Object:
    run = next(iter(tree.sample_runs.values()))
    run["spec"]["serviceAccountName"] = "pipeline"
    return run


def _misspell_format(tree: Tree) -> Object:
    service = tree.get("InferenceService", "granite-3-3-2b-instruct")
    service["spec"]["predictor"]["model"]["modelFormat"] = {"nam": "vLLM"}
    return service


@pytest.mark.parametrize("spoil", [_time_pipeline, _name_account, _misspell_format])
def test_a_field_that_is_not_known_is_found(spoil: Callable[[Tree], Object], tree: Tree, validate: Validate) -> None:
    (problem,) = validate([spoil(tree.copy())])
    assert any(field in problem for field in ("timeouts", "serviceAccountName", "nam"))
