"""Tokens and passwords show nowhere: not in output, logs, tracebacks, files, command lines or git."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from git_http import serve_git
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.hub import Hub, User
from modelcar_sandbox.hub import create_app as create_hub
from modelcar_sandbox.model_registry.app import create_app as create_model_registry
from modelcar_sandbox.oci_registry.app import create_app as create_oci_registry
from modelcar_sandbox.oci_registry.tokens import Auth
from modelcar_sandbox.sandbox import DEMO_MODEL
from modelcar_sandbox.service import Service
from promotion.place import MODELCAR, Place

HUB_TOKEN = "hf_planted_A7eKq2vN9xR4"
PASSWORD = "planted-B3mZt8wL5cP1"
MODEL_REGISTRY_TOKEN = "planted-C6yHd1sG0jF9"
GIT_TOKEN = "planted-D2uXb7oV4kS5"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A place whose servers ask for secrets.

    Attributes:
        place: The place.
        authfile: For the registry; None where nobody asks.
        needles: The secrets, and what is made of them on the way.
    """

    place: Place
    authfile: Path | None
    needles: list[bytes]


@pytest.fixture
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where secrets may lie in files; apart from the test's directory, which is searched."""
    return tmp_path_factory.mktemp("vault")


@pytest.fixture
def guarded(template: Path, sandbox_place: Place, tmp_path: Path, vault: Path) -> Iterator[Guarded]:
    """The sandbox's services, each with a secret."""
    directory = tmp_path / "guarded"
    shutil.copytree(template, directory)
    write_demo_model(tmp_path / "model")
    Hub(directory / "hub").publish(DEMO_MODEL, tmp_path / "model", private=True)
    applications = {
        "hub": create_hub(directory / "hub", tokens={HUB_TOKEN: User("robot", frozenset({DEMO_MODEL}))}),
        "registry": create_oci_registry(directory / "oci-registry", auth=Auth({"robot": PASSWORD})),
        "model_registry": create_model_registry(directory / "model-registry", MODEL_REGISTRY_TOKEN),
    }
    with ExitStack() as running:
        services = {name: running.enter_context(Service(application)) for name, application in applications.items()}
        registry = services["registry"].address
        git = running.enter_context(serve_git(directory / "git", username="x-access-token", token=GIT_TOKEN))
        place = replace(
            sandbox_place,
            hub_url=services["hub"].url,
            registry=registry,
            base_image=f"{registry}/sandbox/synthetic-base:1",
            model_registry=services["model_registry"].url,
            git=f"{git.url}/gitops.git",
            git_token=GIT_TOKEN,
            secrets={"HF_TOKEN": HUB_TOKEN, "MODEL_REGISTRY_TOKEN": MODEL_REGISTRY_TOKEN},
        )
        secrets = [HUB_TOKEN, PASSWORD, MODEL_REGISTRY_TOKEN, GIT_TOKEN]
        yield Guarded(place, _authfile(vault / "auth.json", registry, PASSWORD), _needles(secrets))


def _authfile(path: Path, registry: str, password: str) -> Path:
    path.write_text(json.dumps({"auths": {registry: {"auth": _base64(f"robot:{password}")}}}))
    return path


def _needles(secrets: list[str]) -> list[bytes]:
    users = ("x-access-token", "robot")
    forms = [*secrets, *(_base64(f"{user}:{secret}") for user in users for secret in secrets)]
    return [form.encode() for form in forms]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def run(guarded: Guarded, vault: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Promote with every log line on, and look for the secrets everywhere while it runs and afterwards."""
    place = guarded.place
    authfile = ["--authfile", str(guarded.authfile)] if guarded.authfile else []
    command = [*MODELCAR, "--debug", "promote", "--plain-http", "--json", *authfile, str(place.spec_file())]
    (vault / "needles").write_bytes(b"\n".join(guarded.needles) + b"\n")
    variables = {**place.process_environment, **environment}
    variables["PATH"] = f"{_git_that_looks_around(vault, place)}:{variables['PATH']}"
    with _watched_command_lines(guarded.needles) as seen:
        done = subprocess.run(command, env=variables, capture_output=True, check=False)
    assert seen == []
    assert (vault / "git.log").read_bytes().count(b"fetch ") >= 1  # the shim was in use
    assert [needle for needle in guarded.needles if needle in (vault / "git.log").read_bytes()] == []
    assert not (vault / "found").exists()
    assert [needle for needle in guarded.needles if needle in done.stdout + done.stderr] == []
    assert files_with(guarded.needles, place.root) == []
    return done


def _git_that_looks_around(vault: Path, place: Place) -> Path:
    """A `git` that writes its command line down, searches the temporary directory, and then is git."""
    script = vault / "bin" / "git"
    if not script.exists():
        script.parent.mkdir()
        searched = place.process_environment["TMPDIR"]
        script.write_text(
            f'#!/bin/sh\necho "$*" >>{vault}/git.log\n'
            f'grep -rqFf {vault}/needles {searched} && echo "$*" >>{vault}/found\n'
            f'exec {shutil.which("git")} "$@"\n'
        )
        script.chmod(0o755)
    return script.parent


@contextmanager
def _watched_command_lines(needles: list[bytes]) -> Iterator[list[bytes]]:
    """Read the command lines of all processes, over and over; gives those with a secret."""
    seen: list[bytes] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.005):  # leaves the processor to those who are watched
            for process in os.listdir("/proc"):
                if process.isdigit():
                    try:
                        line = Path(f"/proc/{process}/cmdline").read_bytes()
                    except OSError:
                        continue  # it has ended
                    seen.extend(line for needle in needles if needle in line)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def files_with(needles: list[bytes], root: Path) -> list[Path]:
    """Files below a directory that hold a secret."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if any(needle in path.read_bytes() for needle in needles)]


def test_a_promotion_uses_its_secrets_and_shows_none(guarded: Guarded, vault: Path) -> None:
    done = run(guarded, vault)

    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["patch"]["changed"]
    assert b"DEBUG: " in done.stderr


@pytest.mark.parametrize("wrong", ["HF_TOKEN", "MODEL_REGISTRY_TOKEN", "MODELCAR_GIT_TOKEN", "authfile"])
def test_a_secret_that_is_refused_does_not_show_either(guarded: Guarded, vault: Path, wrong: str) -> None:
    secret = f"planted-wrong-{wrong}"
    authfile = _authfile(vault / "wrong.json", guarded.place.registry, secret)
    other = replace(
        guarded,
        authfile=authfile if wrong == "authfile" else guarded.authfile,
        needles=[*guarded.needles, *_needles([secret])],
    )

    done = run(other, vault, **({wrong: secret} if wrong != "authfile" else {}))

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" in done.stderr
    assert len(guarded.place.commits()) == 1


@pytest.mark.real
@pytest.mark.parametrize("place", ["REAL_OCI_REGISTRY"], indirect=True)
def test_a_real_git_server_gets_the_token_and_nobody_else(place: Place, vault: Path) -> None:
    assert place.git_token is not None
    guarded = Guarded(place, None, _needles([place.git_token]))

    done = run(guarded, vault)

    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    assert place.commits()[0] == result["patch"]["commit"]
    assert not any(needle in place.message("main").encode() for needle in guarded.needles)

    wrong = replace(guarded, needles=[*guarded.needles, *_needles(["planted-wrong-git"])])
    refused = run(wrong, vault, MODELCAR_GIT_TOKEN="planted-wrong-git")
    assert (refused.returncode, refused.stdout) == (2, b"")
