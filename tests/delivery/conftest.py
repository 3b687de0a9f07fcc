from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitops import PATH, Bare, manifest


@pytest.fixture(autouse=True)
def _only_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MODELCAR_GIT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare.create(tmp_path / "git" / "gitops.git", {PATH: manifest("chat").encode(), "README.md": b"# GitOps\n"})
