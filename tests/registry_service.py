"""The sandbox's registry as a test wants it: recorded, and breakable; fixtures for the conftest.py of who needs one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Faults, Recorder


class Running:
    """The sandbox's registry, seen and broken from outside."""

    def __init__(self, address: str, faults: Faults, recorder: Recorder, directory: Path) -> None:
        self.address, self.faults, self.recorder, self.directory = address, faults, recorder, directory

    def registry(self, access: Access | None = None) -> Registry:
        return Registry(self.address, "team/model", access or Access())

    def repository(self, name: str = "team/model") -> Repository:
        return Repository(self.registry(), name)

    @property
    def sessions_left(self) -> int:
        return sum(1 for path in (self.directory / "uploads").rglob("*") if path.is_file())

    @property
    def blob_bytes_received(self) -> int:
        return sum(request.bytes_received for request in self.recorder.requests if "/uploads/" in request.path)


@contextmanager
def serve(directory: Path) -> Iterator[Running]:
    faults = Faults(create_app(directory))
    recorder = Recorder(faults)
    with Service(recorder) as service:
        yield Running(service.address, faults, recorder, directory)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A registry that is empty."""
    with serve(tmp_path / "registry") as it:
        yield it


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Running]:
    """A second one; another port is another host."""
    with serve(tmp_path / "elsewhere") as it:
        yield it
