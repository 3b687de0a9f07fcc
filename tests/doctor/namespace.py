"""A namespace in which no controller runs: these tests write the statuses that controllers and the kubelet would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from doctor.objects import Object
from kubernetes_server import Cluster
from modelcar_gitops.bootstrap_secrets import REGISTRY_NAMESPACE

_PATHS = {
    "InferenceService": "/apis/serving.kserve.io/v1beta1/{ns}/inferenceservices",
    "Deployment": "/apis/apps/v1/{ns}/deployments",
    "Pod": "/api/v1/{ns}/pods",
    "Job": "/apis/batch/v1/{ns}/jobs",
    "Secret": "/api/v1/{ns}/secrets",
    "ConfigMap": "/api/v1/{ns}/configmaps",
    "ServiceAccount": "/api/v1/{ns}/serviceaccounts",
}
_MERGE = "application/merge-patch+json"


class Namespace:
    """The namespace of one test.

    Attributes:
        name: Unique to the test where the cluster is real.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.name = cluster.namespace
        # Pods are admitted with an account only; it is a controller that makes the usual one.
        self.put({"kind": "ServiceAccount", "metadata": {"name": "default"}})

    def put(self, *given: Object) -> None:
        """Make objects, and write their statuses in the place of their controllers."""
        for one in given:
            path = _PATHS[one["kind"]]
            self._ask("POST", path, {key: value for key, value in one.items() if key != "status"})
            if "status" in one:
                name = one["metadata"]["name"]
                self._ask("PATCH", f"{path}/{name}/status", {"status": one["status"]}, _MERGE)

    def secret(self, name: str, **values: str) -> None:
        """Make a Secret."""
        self.put({"kind": "Secret", "metadata": {"name": name}, "stringData": values})

    def let_in(self, account: str, role: Object | None) -> str:
        """Make an account that has a role here, or none; returns a token of it. Only a real cluster can."""
        self.put({"kind": "ServiceAccount", "metadata": {"name": account}})
        if role is not None:
            roles = "/apis/rbac.authorization.k8s.io/v1/{ns}"
            self._ask("POST", f"{roles}/roles", {**role, "metadata": {"name": role["metadata"]["name"]}})
            bound = {
                "metadata": {"name": account},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.name}],
            }
            self._ask("POST", f"{roles}/rolebindings", bound)
        path = f"{_PATHS['ServiceAccount']}/{account}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
        return str(self._ask("POST", path, asked)["status"]["token"])

    @contextmanager
    def registry_login(self) -> Iterator[None]:
        """The Secret that is in the Model Registry's namespace, which is one for the whole cluster."""
        name, namespaces = "mysql-credentials", "/api/v1/namespaces"
        self._cluster.ask("POST", namespaces, {"metadata": {"name": REGISTRY_NAMESPACE}})  # it may be there
        where = f"{namespaces}/{REGISTRY_NAMESPACE}/secrets"
        self._ask("POST", where, {"metadata": {"name": name}, "stringData": {"password": "x", "root-password": "y"}})
        try:
            yield
        finally:
            self._ask("DELETE", f"{where}/{name}")

    def _ask(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        answer = self._cluster.ask(method, path, body, content_type)
        assert answer.get("status") != "Failure", answer
        return answer
