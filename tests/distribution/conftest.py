from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from registry_service import elsewhere, running

__all__ = ["elsewhere", "few_certificates", "home", "running"]

SECRET = "s3cret-Pa55"


@pytest.fixture
def log_in(home: Path) -> Callable[..., Path]:
    """Write an auth file for a registry and give its path."""

    def write(registry: str, user: str = "robot", password: str = SECRET) -> Path:
        path = home / "auth.json"
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        path.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
        return path

    return write
