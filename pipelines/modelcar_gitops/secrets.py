"""Secrets that are made in the cluster, once: passwords that nobody needs to know."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Any, Final

from modelcar.errors import InvalidInput, PipelineServerError
from modelcar_pipelines.cluster import Cluster

BYTES: Final = 24
"""Of randomness in each value; 32 letters."""


def create_secret(cluster: Cluster, namespace: str, name: str, keys: Sequence[str]) -> bool:
    """Create a Secret whose values are random, if there is none of that name.

    Args:
        cluster: Where.
        namespace: In which namespace.
        name: Of the Secret; one that is there is left as it is.
        keys: A value is made for each.

    Returns:
        Whether it was made.

    Raises:
        InvalidInput: One that is there lacks a key.
        PipelineServerError: The cluster refuses, fails, or cannot be reached.
    """
    from kubernetes.client import ApiException, CoreV1Api
    from urllib3.exceptions import HTTPError

    api = CoreV1Api(cluster.client)
    data = {key: base64.b64encode(secrets.token_urlsafe(BYTES).encode()).decode() for key in keys}
    body = {"metadata": {"name": name}, "type": "Opaque", "data": data}
    try:
        try:
            api.create_namespaced_secret(namespace, body)
        except ApiException as error:
            if error.status != 409:
                raise
            _check_keys(api.read_namespaced_secret(name, namespace), keys)
            return False
    except ApiException as error:
        raise PipelineServerError(
            f"the cluster at {cluster.url} does not let you create the Secret {name} in {namespace} ({error.status})",
            hint="The account needs create on secrets, and get on this one.",
            retryable=error.status >= 500,
        ) from error
    except HTTPError as error:
        raise PipelineServerError(
            f"the cluster at {cluster.url} cannot be reached: {type(error).__name__}", hint="Try again.", retryable=True
        ) from error
    return True


def _check_keys(found: Any, keys: Sequence[str]) -> None:
    missing = sorted(set(keys) - set(found.data or {}))
    if missing:
        raise InvalidInput(
            f"the Secret {found.metadata.name} is there and has no {missing[0]}",
            hint="Add it, or delete the Secret if nothing uses it yet.",
        )
