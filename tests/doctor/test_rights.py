"""`modelcar doctor` as somebody with few rights, on a real kube-apiserver: it reads no more than its page says."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.command import Run
from doctor.namespace import Namespace
from doctor.objects import BACK_OFF, NEW, OLD, pod, service, surging, waiting
from doctor.told import lines

pytestmark = [
    pytest.mark.argocd,
    pytest.mark.parametrize("namespace", ["real"], indirect=True),
]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "doctor.md"


def role_of_the_page() -> dict[str, Any]:
    """The Role that the page tells to ask for."""
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    role: dict[str, Any] = YAML(typ="safe").load(text)
    return role


def log_in(home: Path, shell: pytest.MonkeyPatch, token: str) -> None:
    """Use the cluster with this token from now on."""
    yaml = YAML(typ="safe")
    kubeconfig = yaml.load(Path(os.environ["REAL_KUBECONFIG"]))
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    yaml.dump(kubeconfig, home / "kubeconfig-of-somebody")
    shell.setenv("KUBECONFIG", str(home / "kubeconfig-of-somebody"))


def test_with_the_role_of_its_page_it_tells_all_but_secrets(
    namespace: Namespace, modelcar: Run, home: Path, shell: pytest.MonkeyPatch
) -> None:
    new = pod(NEW, init=waiting("ImagePullBackOff", BACK_OFF))
    namespace.put(service(), surging(), pod(OLD, ready=True), new)
    namespace.put({"kind": "ConfigMap", "metadata": {"name": "modelcar-config"}, "data": {}})
    token = namespace.let_in("somebody", role_of_the_page())
    log_in(home, shell, token)
    shell.delenv("KF_PIPELINES_ENDPOINT")
    ran = modelcar("doctor", "--namespace", namespace.name)
    told = {name: lines(ran.stdout, name)[0] for name in ("Kubernetes API", "pipeline server", "granite")}
    assert told["Kubernetes API"].startswith("ok Kubernetes API https://")
    assert told["pipeline server"] == f"missing pipeline server namespace {namespace.name} has no pipeline server"
    assert told["granite"].endswith("; the old 0a0a0a0a0a0a still serves")
    assert lines(ran.stdout, namespace.name)[0].startswith(
        f"cannot tell {namespace.name} may not read Secrets in {namespace.name}: dspa-object-store, "
    )
    assert "(403)" not in ran.stdout
    assert token not in ran.stdout + ran.stderr


def test_without_any_rights_nothing_is_told_and_nothing_crashes(
    namespace: Namespace, modelcar: Run, home: Path, shell: pytest.MonkeyPatch
) -> None:
    log_in(home, shell, namespace.let_in("somebody", None))
    ran = modelcar("doctor", "--namespace", namespace.name)
    assert (ran.code, ran.stderr) == (0, "")
    assert lines(ran.stdout, "Kubernetes API")[0].startswith("cannot tell Kubernetes API https://")


def test_a_token_that_is_no_good_is_told_once(
    namespace: Namespace, modelcar: Run, home: Path, shell: pytest.MonkeyPatch
) -> None:
    expired = base64.urlsafe_b64encode(b"expired").decode()
    log_in(home, shell, expired)
    ran = modelcar("doctor", "--namespace", namespace.name)
    assert (ran.code, ran.stderr) == (1, "")
    told, way_out = lines(ran.stdout, "Kubernetes API")
    assert told.endswith(" does not know who you are (401)")
    assert way_out == "-> Log in again, for instance with oc login."
    assert ran.stdout.count("401") == 1
    assert expired not in ran.stdout
