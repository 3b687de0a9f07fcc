"""The command as a first user meets it: every service on loopback, and a machine on which nobody has logged in."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from bare_machine import few_certificates, home
from cli.command import Fill, Services, modelcar
from model_files import shard
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.oci_registry.tokens import Auth
from modelcar_sandbox.sandbox import Sandbox
from modelcar_sandbox.service import Service

__all__ = ["few_certificates", "home", "modelcar"]

PASSWORD = "s3cret-Pa55"


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("services")
    with ExitStack() as running:
        sandbox = running.enter_context(Sandbox(root / "sandbox"))
        auth = Auth(users={"robot": PASSWORD, "reader": PASSWORD}, readers=frozenset({"reader"}))
        guarded = running.enter_context(Service(create_app(sandbox.directory / "guarded", auth=auth)))
        closed = running.enter_context(socket.socket())  # bound and not listening: whoever connects is refused
        closed.bind(("127.0.0.1", 0))
        names = {
            "hub": sandbox.hub_url.removeprefix("http://"),
            "registry": sandbox.registry_address,
            "guarded": guarded.address,
            "closed": f"127.0.0.1:{closed.getsockname()[1]}",
            "model_registry": sandbox.model_registry_url,
            "git": sandbox.git_url,
            "base": sandbox.base_image,
            "root": str(root),
            "digest": "sha256:" + "1" * 64,
            "base_at": _by_digest(sandbox),
        }
        _write_models(root)
        _publish(sandbox, root)
        for user, password in (("robot", "wrong"), ("reader", PASSWORD)):
            entry = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
            (root / f"auth-{user}.json").write_text(json.dumps({"auths": {guarded.address: entry}}))
        (root / "broken.json").write_text("{")
        yield Services(sandbox, names)


def _by_digest(sandbox: Sandbox) -> str:
    """The base image as `register` takes it."""
    name, _, tag = sandbox.base_image.rpartition(":")
    registry, _, repository = name.partition("/")
    answer = requests.head(f"http://{registry}/v2/{repository}/manifests/{tag}", timeout=10)
    return f"{name}@{answer.headers['Docker-Content-Digest']}"


def _write_models(root: Path) -> None:
    write_demo_model(root / "model")
    (root / "empty").mkdir()
    (root / "pickles").mkdir()
    (root / "pickles" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for name in ("corrupt", "shardless"):
        shutil.copytree(root / "model", root / name)
    shards = sorted((root / "corrupt").glob("*.safetensors"))
    shards[0].write_bytes(b"<html>not found</html>")
    (root / "shardless" / shards[0].name).unlink()


def _publish(sandbox: Sandbox, root: Path) -> None:
    files: dict[str, bytes | Path] = {"config.json": b"{}", "model.safetensors": shard(1000)}
    sandbox.hub.publish("acme/private", files, private=True)
    sandbox.hub.publish("acme/gated", files, gated=True)
    sandbox.hub.publish("acme/pickles", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."})


@pytest.fixture
def place(services: Services, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """The user's shell stands in a directory with a manifest and a spec; gives a function that fills in names."""
    for name, value in services.sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MODEL_REGISTRY_URL")
    monkeypatch.setenv("COLUMNS", "100")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    first = services.git("rev-list", "--max-parents=0", "main").strip()  # whatever was promoted since
    (work / "promotion.yaml").write_text(services.sandbox.promotion_spec.read_text())
    (work / "chat.yaml").write_text(services.git("show", f"{first}:{MANIFEST}"))
    return lambda text: text.format_map({**services.names, "work": str(work), "home": str(home)})


@pytest.fixture
def environment(place: Fill) -> dict[str, str]:
    """For commands that run as processes."""
    return dict(os.environ)
