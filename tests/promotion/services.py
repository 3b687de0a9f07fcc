"""The sandbox's services as tests see them: watched, and ready to be broken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.hub import Hub
from modelcar_sandbox.sandbox import DEMO_MODEL
from promotion.traps import Trap
from wsgi_faults import Faults
from wsgi_recorder import Recorder


@dataclass(frozen=True, slots=True)
class Watched:
    """One of the sandbox's services: what it was asked, how to break it, and what else to do when it is asked."""

    url: str
    recorder: Recorder
    faults: Faults
    trap: Trap

    @property
    def address(self) -> str:
        """`host:port`."""
        return self.url.removeprefix("http://")

    def writes(self) -> list[str]:
        """`METHOD path` of every request that was not GET or HEAD."""
        return [f"{r.method} {r.path}" for r in self.recorder.requests if r.method not in ("GET", "HEAD")]


@dataclass(frozen=True, slots=True)
class Services:
    """The sandbox's services in `directory`."""

    directory: Path
    hub: Watched
    registry: Watched
    model_registry: Watched

    @property
    def git_directory(self) -> Path:
        """The bare repository."""
        return self.directory / "git" / "gitops.git"

    def publish(self, variant: int) -> str:
        """Publish a variant of the demo model; returns the commit hash."""
        return publish(self.directory, variant)


def publish(directory: Path, variant: int) -> str:
    """Publish a variant of the demo model on the sandbox's Hub in `directory`; returns the commit hash."""
    model = directory / f"model-{variant}"
    write_demo_model(model, variant=variant)
    return Hub(directory / "hub").publish(DEMO_MODEL, model)
