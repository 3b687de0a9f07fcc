"""Kubernetes' own first kinds (pods, Secrets, namespaces), asked for as `kubernetes.client.CustomObjectsApi` asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class CoreObjects:
    """The calls of CustomObjectsApi that read, for the group without a name, whose paths begin otherwise.

    Answers are parsed JSON, as they came: no value of a Secret is decoded.
    """

    def __init__(self, client: Any) -> None:
        """Prepare.

        Args:
            client: A `kubernetes.client.ApiClient`.
        """
        self._client = client

    def list_namespaced_custom_object(
        self, _group: str, version: str, namespace: str, plural: str, *, label_selector: str = "", **limits: Any
    ) -> Any:
        """Objects of a kind in a namespace."""
        query = [("labelSelector", label_selector)] if label_selector else []
        where = {"version": version, "namespace": namespace, "plural": plural}
        return self._get("/api/{version}/namespaces/{namespace}/{plural}", where, query, limits)

    def get_namespaced_custom_object(
        self, _group: str, version: str, namespace: str, plural: str, name: str, **limits: Any
    ) -> Any:
        """One object."""
        where = {"version": version, "namespace": namespace, "plural": plural, "name": name}
        return self._get("/api/{version}/namespaces/{namespace}/{plural}/{name}", where, [], limits)

    def get_namespace(self, name: str, **limits: Any) -> Any:
        """The namespace itself."""
        return self._get("/api/v1/namespaces/{name}", {"name": name}, [], limits)

    def _get(self, path: str, where: Mapping[str, str], query: list[tuple[str, str]], limits: Mapping[str, Any]) -> Any:
        return self._client.call_api(
            path,
            "GET",
            path_params=dict(where),
            query_params=query,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            response_type="object",
            _return_http_data_only=True,
            **limits,
        )
