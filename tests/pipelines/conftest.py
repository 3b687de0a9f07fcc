from __future__ import annotations

from pathlib import Path

import pytest

from certificates import write_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs for itself, and its key, in one file."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")
