from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_registry_server import Mortal, Server
from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies, no authorities and no tokens but those of the test; nobody waits."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith("MODEL_REGISTRY_"):
            monkeypatch.delenv(name)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """The sandbox's Model Registry, behind one that writes down what reaches it."""
    return Recorder(create_app(tmp_path / "model-registry"))


@pytest.fixture
def faults(recorder: Recorder) -> Faults:
    return Faults(recorder)


@pytest.fixture
def mortal(faults: Faults) -> Mortal:
    return Mortal(faults)


@pytest.fixture
def sandbox(mortal: Mortal) -> Iterator[Server]:
    """The sandbox's Model Registry, on loopback."""
    with Service(mortal) as service:
        yield Server(service.url, "run")


@pytest.fixture
def real() -> Server:
    """A real server; it keeps all that it is ever told, so each run has names of its own."""
    url = os.environ.get("REAL_MODEL_REGISTRY_URL")
    if not url:
        pytest.skip("REAL_MODEL_REGISTRY_URL is not set")
    return Server(url, f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def server(request: pytest.FixtureRequest) -> Server:
    """The sandbox, and the real server where there is one."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture
def serve() -> Iterator[Callable[[WSGIApplication], str]]:
    """Serve an application and give its URL."""
    services: list[Service] = []

    def start(app: WSGIApplication) -> str:
        service = Service(app)
        services.append(service)
        service.start()
        return service.url

    yield start
    for service in services:
        service.stop()


@pytest.fixture
def unused_address() -> str:
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"
