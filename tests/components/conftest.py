"""The sandbox as promotions have it, and components that run on it by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.alone import Alone
from modelcar.steps.note import VARIABLE
from promotion.conftest import sandbox_place, services, template
from promotion.place import Place

__all__ = ["alone", "sandbox_place", "services", "template"]


@pytest.fixture
def alone(sandbox_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Alone:
    """Runs components on the sandbox."""
    for name, value in sandbox_place.process_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(VARIABLE, "")  # each run sets it; this puts it back
    return Alone(tmp_path)
