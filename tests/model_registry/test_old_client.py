"""The unmodified `model-registry` client finds what was registered: each of its ages, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from model_registry_server import Server
from modelcar.model_registry.registration import register

ASK = """
import json, sys
from urllib.parse import urlsplit
from model_registry import ModelRegistry

url, name, version = sys.argv[1:]
parts = urlsplit(url)
client = ModelRegistry(f"http://{parts.hostname}", parts.port, author="me", is_secure=False)
model = client.get_registered_model(name)
found = client.get_model_version(name, version)
artifact = client.get_model_artifact(name, version)
print(json.dumps({
    "ids": [model.id, found.id, artifact.id],
    "owner": model.owner,
    "author": found.author,
    "description": found.description,
    "properties": found.custom_properties,
    "uri": artifact.uri,
    "state": artifact.state.value,
    "format": [artifact.model_format_name, artifact.model_format_version],
    "source": [artifact.model_source_kind, artifact.model_source_name],
    "versions": [one.name for one in client.get_model_versions(name)],
}))
"""


def ask(python: str, server: Server) -> Any:
    command = [python, "-c", ASK, server.url, f"{server.run}_model", "v_1"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def assert_found_by(python: str, server: Server) -> None:
    registration = server.registration()
    registered = register(server.connect(), registration, lambda: None)
    assert ask(python, server) == {
        "ids": [registered.registered_model_id, registered.model_version_id, registered.model_artifact_id],
        "owner": "team",
        "author": "me",
        "description": "first",
        "properties": registration.describe_version(),
        "uri": registration.uri,
        "state": "LIVE",
        "format": ["vLLM", "1"],
        "source": ["hf", "org/name:main"],
        "versions": ["v_1"],
    }


def test_todays_client_finds_it_in_the_sandbox(sandbox: Server) -> None:
    assert_found_by(sys.executable, sandbox)


@pytest.fixture
def old_python() -> str:
    """The Python of an environment with model-registry 0.3.14, which asks by v1alpha3."""
    python = os.environ.get("REAL_MODEL_REGISTRY_CLIENT_PYTHON")
    if not python:
        pytest.skip("REAL_MODEL_REGISTRY_CLIENT_PYTHON is not set")
    return python


@pytest.mark.real
def test_yesterdays_client_finds_it_on_the_real_server(real: Server, old_python: str) -> None:
    assert_found_by(old_python, real)
