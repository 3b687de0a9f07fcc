"""An unmodified kubectl works with the sandbox's Kubernetes API, as far as that speaks its language."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kubernetes_server import double

MANIFESTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: {app: demo}}
data: {k: v}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: demo}
spec: {predictor: {minReplicas: 1}}
"""


def test_what_is_applied_is_found_waited_for_and_deleted(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    (tmp_path / "manifests.yaml").write_text(MANIFESTS)

    def kubectl(*words: str) -> str:
        options = ["--kubeconfig", "kubeconfig", "--cache-dir", "cache", "--namespace", "mine"]
        done = subprocess.run(["kubectl", *options, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    with double(tmp_path):
        apply = ("apply", "--validate=false", "-f", "manifests.yaml")
        assert kubectl(*apply) == "configmap/a created\ninferenceservice.serving.kserve.io/demo created\n"
        assert kubectl(*apply) == "configmap/a unchanged\ninferenceservice.serving.kserve.io/demo unchanged\n"
        assert kubectl("get", "cm", "-l", "app=demo", "-o", "name") == "configmap/a\n"
        ready = '{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}'
        kubectl("patch", "isvc", "demo", "--subresource", "status", "--type", "merge", "-p", ready)
        assert kubectl("wait", "isvc/demo", "--for=condition=Ready").endswith("/demo condition met\n")
        assert kubectl("delete", "-f", "manifests.yaml").count(" deleted") == 2
        assert kubectl("get", "cm,isvc", "-o", "name") == ""
