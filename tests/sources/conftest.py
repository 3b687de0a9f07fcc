from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from object_store_service import RunningStore, serve_store


@pytest.fixture(scope="module")
def running_store() -> Iterator[RunningStore]:
    with serve_store() as running:
        yield running


@pytest.fixture
def store(running_store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStore]:
    """An object store that the environment names, as a data connection does."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in running_store.environment.items():
        monkeypatch.setenv(name, value)
    running_store.recorder.clear()
    yield running_store
    running_store.faults.clear()
