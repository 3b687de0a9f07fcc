"""What runs left in the object store of a real Kubeflow Pipelines."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess

from kubernetes import client, config


def read_artifact(run_id: str, task: str, name: str) -> str:
    """An output artifact of a run's task, from the object store that Kubeflow keeps it in."""
    core = client.CoreV1Api(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    launcher = core.read_namespaced_config_map("kfp-launcher", os.environ["REAL_KFP_NAMESPACE"]).data
    endpoint = json.loads(launcher["providers"])["minio"]["default"]["endpoint"]
    secret = core.read_namespaced_secret("mlpipeline-minio-artifact", os.environ["REAL_KFP_NAMESPACE"]).data
    user = ":".join(base64.b64decode(secret[key]).decode() for key in ("accesskey", "secretkey"))

    def get(path: str) -> str:
        command = ["curl", "-sSf", "--aws-sigv4", "aws:amz:us-east-1:s3", "-K", "-", f"http://{endpoint}/{path}"]
        done = subprocess.run(command, input=f'user = "{user}"\n', check=True, capture_output=True, text=True)
        return done.stdout

    keys = re.findall(r"<Key>([^<]+)</Key>", get("mlpipeline?list-type=2&prefix=v2/artifacts/"))
    [key] = [key for key in keys if f"/{run_id}/{task}/" in key and key.endswith(f"/{name}")]
    return get(f"mlpipeline/{key}")
