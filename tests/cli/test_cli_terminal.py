"""The command as a process on a terminal: bars on stderr, results on stdout, Ctrl-C."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.command import MODELCAR, Fill, Ran, Services
from cli.screen import Screen
from model_files import shard
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TIMEOUT_S = 60
COLUMNS = 200
# A shell that started the tests in the background has told them to ignore SIGINT, and children inherit that.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from modelcar.cli import main; main()"
)


def run_on_terminal(arguments: list[str], environment: dict[str, str]) -> tuple[Ran, list[str]]:
    """Run with a terminal as stderr; gives what was written, and the rows that stand there at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {**environment, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen([*MODELCAR, *arguments], env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        written = b"".join(iter(lambda: read_terminal(ours), b""))
        stdout = process.communicate(timeout=TIMEOUT_S)[0]
    os.close(ours)
    screen = Screen()
    screen.write(written.decode())
    return Ran(process.returncode, stdout.decode(), written.decode()), [row for row in screen.rows if row]


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux says EIO when nobody has the other end any more
        return b""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "weights"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    for number in range(3):
        (directory / f"model-{number}.safetensors").write_bytes(shard(8 << 20, number, f"layer-{number}"))
    return directory


@contextmanager
def serving(app: WSGIApplication) -> Iterator[str]:
    with Service(app) as service:
        yield service.address


def test_bars_stand_on_stderr_and_leave_nothing_there(
    services: Services, place: Fill, environment: dict[str, str], model: Path
) -> None:
    ran, left = run_on_terminal(
        ["push", model.as_uri(), place("{registry}/terminal/push:v1"), "--base-image", "scratch", "--json"], environment
    )

    assert (ran.code, left) == (0, [])
    assert "total" in ran.stderr
    assert "model-0.safetensors" in ran.stderr
    assert json.loads(ran.stdout)["bytes_uploaded"] > 24 << 20


def test_a_warning_stands_above_the_bars_whole(
    place: Fill, environment: dict[str, str], model: Path, tmp_path: Path
) -> None:
    faults = Faults(create_app(tmp_path / "registry"), Fault.answer("PATCH", "/blobs/uploads/", 503))

    with serving(faults) as address:
        ran, left = run_on_terminal(
            ["push", model.as_uri(), f"{address}/terminal/warned:v1", "--base-image", "scratch", "--json"], environment
        )

    assert ran.code == 0
    assert json.loads(ran.stdout)["tags"][-1] == "v1"
    assert faults.fired == 1
    assert len(left) == 1
    assert re.fullmatch(rf"warning: .*{re.escape(address)}.*503.*; attempt 2 of \d in \d+\.\d s", left[0].rstrip())


def test_the_steps_of_a_promotion_stand_whole_between_bars(
    services: Services, place: Fill, environment: dict[str, str]
) -> None:
    spec = Path("promotion.yaml")
    text = spec.read_text().replace("models/demo-llama", "terminal/demo")
    spec.write_text(text.replace("registeredModel: demo-llama", "registeredModel: terminal"))

    ran, left = run_on_terminal(["promote", "promotion.yaml", "--json"], environment)

    assert ran.code == 0
    assert list(json.loads(ran.stdout)) == ["push", "register", "patch", "promotion_key"]
    assert "total" in ran.stderr
    assert [row.rstrip() for row in left] == [
        place("checking {git}, {model_registry} and {registry}/terminal/demo"),
        "resolving hf://sandbox/demo-llama",
        place("pushing 10 files to {registry}/terminal/demo"),
        "registering terminal",
        "patching gitops/stage01-model-serving/application/vllm/demo-llama.yaml",
    ]


class Stalled:
    """A registry that stops in the middle of the first layer's upload, and answers no more until it is let go."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.reached, self.released = threading.Event(), threading.Event()
        self.manifests = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        self.manifests += method == "PUT" and "/manifests/" in environ["PATH_INFO"]
        if method in ("PATCH", "PUT") and "/blobs/uploads/" in environ["PATH_INFO"]:
            environ["wsgi.input"].read(1)
            self.reached.set()
            self.released.wait(TIMEOUT_S)
        return self._app(environ, start_response)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_push_at_once_although_the_registry_says_nothing(
    place: Fill, environment: dict[str, str], model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    registry = tmp_path / "registry"
    stalled = Stalled(create_app(registry))

    with serving(stalled) as address:
        push = ["push", model.as_uri(), f"{address}/terminal/stopped:v1", "--base-image", "scratch"]
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *push],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert stalled.reached.wait(TIMEOUT_S)
            process.send_signal(number)
            try:
                stdout, stderr = process.communicate(timeout=20)
            finally:
                process.kill()
                stalled.released.set()

    assert (process.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "Stopped. Nothing names a half-done image; run it again, and it goes on."
    assert "Traceback" not in stderr
    assert stalled.manifests == 0
    assert [path for path in registry.glob("repositories/**/*") if "_tags" in path.parts and path.is_file()] == []
