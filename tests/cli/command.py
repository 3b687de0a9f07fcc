"""What the tests of the command share: a run's outcome, and the services that it met."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from modelcar.cli import main
from modelcar_sandbox.sandbox import Sandbox

MODELCAR = [str(Path(sys.executable).with_name("modelcar"))]
"""The command as pip installs it."""

Fill = Callable[[str], str]
"""Puts addresses and paths into a text, by their names in braces."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit code and what it printed."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Services:
    """Where everything is.

    Attributes:
        sandbox: Hub, registry, Model Registry and git.
        names: Addresses and paths by the names that cases use.
    """

    sandbox: Sandbox
    names: Mapping[str, str]

    def state(self) -> tuple[object, ...]:
        """Everything that a failed command must leave as it was: tags and manifests, models, commits."""
        root = self.sandbox.directory
        stored = [
            path.relative_to(root)
            for directory in (root / "oci-registry", root / "guarded")
            for path in directory.glob("repositories/**/*")
            if path.is_file() and {"_tags", "_manifests"} & set(path.parts)
        ]
        url = f"{self.sandbox.model_registry_url}/api/model_registry/v1alpha3"
        counts = [
            requests.get(f"{url}/{kind}", timeout=10).json()["size"] for kind in ("registered_models", "model_versions")
        ]
        return sorted(stored), counts, self.git("rev-parse", "main")

    def git(self, *arguments: str) -> str:
        command = ["git", "--git-dir", self.names["git"].removeprefix("file://"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


Run = Callable[..., Ran]
"""Runs the command with these arguments."""


@pytest.fixture
def modelcar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["modelcar", *arguments])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Ran(code, *capsys.readouterr())

    return run


@dataclass(frozen=True, slots=True)
class Wrong:
    """A command that must fail, and all that it says then.

    Attributes:
        arguments: With names in braces.
        sentence: What is wrong; names in braces.
        hint: The way out, or None when the sentence is a usage error of the command line.
        code: 2 when the caller is at fault, else 1.
    """

    arguments: tuple[str, ...]
    sentence: str
    hint: str | None = None
    code: int = 2

    def check(self, run: Run, fill: Fill, services: Services, before: Sequence[str] = ()) -> None:
        """Run it: only these words, nothing on stdout, and everything as it was.

        Args:
            run: The command.
            fill: Puts names in.
            services: Must hold afterwards what they held before.
            before: Lines that may stand before the sentence: how far it came.
        """
        work = Path.cwd()
        state = services.state(), _contents(work)
        ran = run(*map(fill, self.arguments))
        said = [line for line in ran.stderr.splitlines() if not line.startswith(("Usage: ", "Try ", *before)) and line]
        expected = [f"Error: {fill(self.sentence)}", *([fill(self.hint)] if self.hint is not None else [])]
        assert (ran.code, said, ran.stdout) == (self.code, "\n".join(expected).splitlines(), ""), ran
        assert (services.state(), _contents(work)) == state


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
