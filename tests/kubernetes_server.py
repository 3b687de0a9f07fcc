"""A Kubernetes API server for tests: the sandbox's, or a real one where there is one."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modelcar_sandbox.kubernetes import create_app, write_kubeconfig
from modelcar_sandbox.service import Service

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, AppsV1Api, CoordinationV1Api, CoreV1Api, CustomObjectsApi

REMEMBERED = 30


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server, and a namespace in it that is this test's.

    Attributes:
        api: Of the unmodified client.
        namespace: Unique to the test.
        real: Whether it is not the sandbox's.
    """

    api: ApiClient
    namespace: str
    real: bool

    @property
    def core(self) -> CoreV1Api:
        """Calls for the core's kinds."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.api)

    @property
    def apps(self) -> AppsV1Api:
        """Calls for Deployments and ReplicaSets."""
        from kubernetes.client import AppsV1Api

        return AppsV1Api(self.api)

    @property
    def coordination(self) -> CoordinationV1Api:
        """Calls for Leases."""
        from kubernetes.client import CoordinationV1Api

        return CoordinationV1Api(self.api)

    @property
    def custom(self) -> CustomObjectsApi:
        """Calls for custom kinds."""
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self.api)

    def ask(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """The answer's JSON, whatever it is; `{ns}` in the path is the namespace's path."""
        from kubernetes.client import ApiException

        path = path.format(ns=f"namespaces/{self.namespace}")
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        options = {"auth_settings": ["BearerToken"], "_preload_content": False, "body": body}
        try:
            answer = self.api.call_api(path, method, header_params=headers, **options)[0]
        except ApiException as error:
            return json.loads(error.body)
        return json.loads(answer.data)

    def config_map(self, name: str, data: dict[str, str] | None = None, **metadata: object) -> dict[str, Any]:
        """Make one; as it was answered."""
        body = {"metadata": {"name": name, **metadata}, "data": data or {}}
        made: dict[str, Any] = self.ask("POST", "/api/v1/{ns}/configmaps", body)
        return made


@contextmanager
def double(directory: Path) -> Iterator[Cluster]:
    """The sandbox's server on a directory, with a namespace `mine`."""
    from kubernetes import config

    app = create_app(directory / "kubernetes", remembered=REMEMBERED)
    with Service(app) as service:
        write_kubeconfig(directory / "kubeconfig", service.url)
        with config.new_client_from_config(str(directory / "kubeconfig")) as api:
            cluster = Cluster(api, "mine", real=False)
            cluster.ask("POST", "/api/v1/namespaces", {"metadata": {"name": cluster.namespace}})
            yield cluster
        app.close()


@contextmanager
def real() -> Iterator[Cluster]:
    """The one that REAL_KUBECONFIG leads to, with a namespace of this test's own; skips without it."""
    from kubernetes import config

    if "REAL_KUBECONFIG" not in os.environ:
        pytest.skip("REAL_KUBECONFIG is not set")
    with config.new_client_from_config(os.environ["REAL_KUBECONFIG"]) as api:
        cluster = Cluster(api, f"modelcar-{uuid.uuid4().hex[:8]}", real=True)
        cluster.core.create_namespace({"metadata": {"name": cluster.namespace}})
        try:
            yield cluster
        finally:
            cluster.core.delete_namespace(cluster.namespace)
