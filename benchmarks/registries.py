"""Registries to push to: docker-registry or zot on an empty store for each run, or one that runs already."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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


@dataclass(frozen=True)
class Registry:
    """Which registry the runs push to.

    Attributes:
        address: Of one that runs already, in plain HTTP; None for one started here.
        zot: The program of that name, to be started; docker-registry (Debian's) without.
    """

    address: str | None = None
    zot: Path | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Registry:
        """The one that the options of `add_options` name; ends this process when it cannot be started."""
        own = cls(options.registry, options.zot)
        program = str(own.zot or "docker-registry")
        if own.address is None and shutil.which(program) is None:
            hint = "Debian: apt-get install docker-registry; --registry and --zot take another"
            sys.exit(f"{program} is not installed ({hint}).")
        return own

    def __str__(self) -> str:
        return self.address or f"{'zot' if self.zot else 'docker-registry'}, an empty store each"

    @contextmanager
    def empty_place(self, directory: Path) -> Iterator[Place]:
        """A repository without an image, in a registry of its own unless there is an address.

        A registry that runs already knows the blobs of earlier runs, though no repository that is new has them: all
        have to be sent, and what it does with them at the end is its own affair, and the same for every kind of run.
        """
        if self.address is not None:
            yield Place(self.address, f"bench/{uuid.uuid4().hex}")
            return
        store = directory / "store"
        shutil.rmtree(store, ignore_errors=True)
        with _zot(self.zot, store) if self.zot else _docker_registry(store) as own:
            yield Place(own, "bench/model")
        shutil.rmtree(store, ignore_errors=True)


def add_options(arguments: argparse.ArgumentParser) -> None:
    """Let the command line say which registry."""
    either = arguments.add_mutually_exclusive_group()
    either.add_argument("--registry", help="one that runs already, in plain HTTP; has to have room for the model")
    either.add_argument("--zot", type=Path, help="zot's program, to be started with an empty store for each run")


def _docker_registry(store: Path) -> AbstractContextManager[str]:
    """docker-registry (Debian's) on a directory; gives its address."""
    port = _free_port()
    environment = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(store),
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_LOG_LEVEL": "error",
        "OTEL_TRACES_EXPORTER": "none",
    }
    config = "version: 0.1\nstorage:\n  filesystem: {}\nhttp: {}\n"
    return _started(["docker-registry", "serve"], config, port, environment)


def _zot(program: Path, store: Path) -> AbstractContextManager[str]:
    port = _free_port()
    config = {
        "distSpecVersion": "1.1.1",
        # Without deduplication: what a push costs is not to depend on what an earlier one left.
        "storage": {"rootDirectory": str(store), "dedupe": False, "gc": False},
        "http": {"address": "127.0.0.1", "port": str(port)},
        "log": {"level": "error"},
    }
    return _started([str(program), "serve"], json.dumps(config), port, {})


@contextmanager
def _started(command: list[str], config: str, port: int, environment: dict[str, str]) -> Iterator[str]:
    """A server that takes the path of its configuration as its last argument."""
    with tempfile.NamedTemporaryFile("w", suffix=".json" if config.startswith("{") else ".yml") as file:
        file.write(config)
        file.flush()
        server = subprocess.Popen(
            [*command, file.name],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port, command[0], server)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int, name: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if server.poll() is not None:
            sys.exit(f"{name} ended at once")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"{name} did not begin to listen")
