"""A Kubernetes API server for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubernetes_server import Cluster, double, real


@pytest.fixture(params=["double", pytest.param("real", marks=pytest.mark.real)])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """The sandbox's server, and a real one that has to answer the same."""
    with real() if request.param == "real" else double(tmp_path) as cluster:
        yield cluster
