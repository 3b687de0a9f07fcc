"""How clients are told of the server."""

from __future__ import annotations

import json
from pathlib import Path

from modelcar_sandbox.atomic import write_atomically

_CONTEXT = "modelcar-sandbox"


def write_kubeconfig(path: Path, url: str, namespace: str = "default") -> None:
    """Write a kubeconfig for a server that lets everybody in.

    Args:
        path: Of the file; its directory exists.
        url: Of the server.
        namespace: That is used where none is named.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": _CONTEXT,
        "clusters": [{"name": _CONTEXT, "cluster": {"server": url}}],
        "users": [{"name": _CONTEXT, "user": {}}],
        "contexts": [{"name": _CONTEXT, "context": {"cluster": _CONTEXT, "user": _CONTEXT, "namespace": namespace}}],
    }
    write_atomically(path, json.dumps(document, indent=2) + "\n")  # JSON is YAML, and kubeconfigs are YAML
