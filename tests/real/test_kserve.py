"""What a promotion writes into git becomes a pod that serves the model: on a real KServe, from a real registry."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from modelcar.distribution.client import Access
from modelcar.promotion import promote
from modelcar.spec import parse_spec
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox
from real.cluster import Namespace, fetch, push_busybox
from real_servers import require

SMALL = {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"cpu": "1", "memory": "200Mi"}}

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(600)]


@pytest.fixture
def namespace() -> Any:
    require("REAL_KSERVE")
    with Namespace(require("REAL_KUBECONFIG")).created() as namespace:
        yield namespace


@pytest.fixture
def busybox(tmp_path: Path) -> str:
    require("REAL_OCI_REGISTRY", "REAL_CTR")
    return push_busybox(tmp_path)


def _service(sandbox: Sandbox, path: str) -> dict[str, Any]:
    """The InferenceService as git has it, without what it needs of the tree around it."""
    git_directory = sandbox.git_url.removeprefix("file://")
    show = ["git", "--git-dir", git_directory, "show", f"main:{path}"]
    text = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    service: dict[str, Any] = next(iter(YAML(typ="safe").load_all(text)))
    for part in ("affinity", "serviceAccountName", "volumes"):
        del service["spec"]["predictor"][part]
    return service


def test_two_promotions_become_two_rollouts_that_serve_the_promoted_files(
    tmp_path: Path, namespace: Namespace, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = require("REAL_OCI_REGISTRY")
    with Sandbox(tmp_path / "sandbox") as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        spec = parse_spec(
            sandbox.promotion_spec.read_text()
            .replace(sandbox.base_image, busybox)
            .replace(f"{sandbox.registry_address}/", f"{registry}/{namespace.name}/"),
            name="promotion.yaml",
        )
        for variant in (1, 2):
            model = tmp_path / f"model-{variant}"
            write_demo_model(model, variant=variant)
            sandbox.hub.publish(DEMO_MODEL, model)
            promotion = promote(spec, access=Access(plain_http=True))
            service = _service(sandbox, spec.inference_service.path)
            service["metadata"] |= {"namespace": namespace.name}
            # A server of files needs no GPU, and both pods of a rolling update must fit on a small node.
            service["spec"]["predictor"]["model"] |= {"runtime": "file-server", "resources": SMALL}
            namespace.apply(service)

            pod_ip = namespace.wait_for_digest(str(promotion.push.digest))

            for file in promotion.push.snapshot.files:
                served = hashlib.sha256(fetch(pod_ip, file.path)).hexdigest()
                assert served == hashlib.sha256((model / file.path).read_bytes()).hexdigest(), file.path
