"""A machine on which nobody has logged in, all services of the sandbox, and a cluster without controllers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from cli.command import modelcar
from doctor.namespace import Namespace
from kubernetes_server import double, real
from modelcar_sandbox.sandbox import Sandbox

__all__ = ["few_certificates", "home", "modelcar"]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def shell(sandbox: Sandbox, home: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell that uses the sandbox, all but its cluster."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUBECONFIG")
    return monkeypatch


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.argocd)])
def namespace(request: pytest.FixtureRequest, shell: pytest.MonkeyPatch, home: Path) -> Iterator[Namespace]:
    """An empty one, in the cluster that the shell is logged in to: one whose controllers the tests stand in for."""
    with real() if request.param == "real" else double(home) as cluster:
        shell.setenv("KUBECONFIG", os.environ["REAL_KUBECONFIG"] if cluster.real else str(home / "kubeconfig"))
        yield Namespace(cluster)
