"""Registries to push to: docker-registry on an empty store for each run, or one that runs already."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a run pushes to: a repository that is not there yet.

    Attributes:
        address: The registry's host and port.
        repository: Its name.
    """

    address: str
    repository: str

    @property
    def name(self) -> str:
        """As an image reference without a tag."""
        return f"{self.address}/{self.repository}"


@contextmanager
def empty_place(address: str | None, directory: Path) -> Iterator[Place]:
    """A repository without an image: in the registry at `address`, else in a docker-registry of its own.

    A registry that runs already knows the blobs of earlier runs, though no repository that is new has them: all have
    to be sent, and what it does with them at the end is its own affair, and the same for every kind of run.
    """
    if address is not None:
        yield Place(address, f"bench/{uuid.uuid4().hex}")
        return
    store = directory / "store"
    shutil.rmtree(store, ignore_errors=True)
    with start_registry(store) as own:
        yield Place(own, "bench/model")
    shutil.rmtree(store, ignore_errors=True)


@contextmanager
def start_registry(store: Path) -> Iterator[str]:
    """docker-registry (Debian's) on a directory; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(store),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_LOG_LEVEL": "error",
        "OTEL_TRACES_EXPORTER": "none",
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
        config.write("version: 0.1\nstorage:\n  filesystem: {}\nhttp: {}\n")
        config.flush()
        server = subprocess.Popen(
            ["docker-registry", "serve", config.name],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port, server)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            sys.exit("docker-registry ended at once")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("docker-registry did not begin to listen")
