"""A component by itself, under kfp.local: no pipeline, no cluster, nothing of ours around it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelcar.steps.note import VARIABLE, Note, find_note


@dataclass(frozen=True)
class Ended:
    """How a component ended.

    Attributes:
        outputs: By name; parameters as values, artifacts as kfp's objects. Empty when it failed.
        note: Why it failed, in the place where Kubernetes looks for it.
    """

    outputs: Mapping[str, Any]
    note: Note | None


@dataclass(frozen=True)
class Alone:
    """Runs components, each in a process of its own, in this process's environment.

    Attributes:
        directory: Artifacts and notes are written below it.
    """

    directory: Path
    _counted: list[str] = field(default_factory=list)

    def run(self, name: str, **arguments: object) -> Ended:
        """Run a component of `modelcar_components`, whose function is called as its module, to its end."""
        return self.run_function(_function(name), **arguments)

    def run_function(self, function: Callable[..., Any], **arguments: object) -> Ended:
        """Run what kfp.local runs: a component, or a pipeline."""
        self._counted.append("")
        note = self.directory / f"note-{len(self._counted)}"
        os.environ[VARIABLE] = str(note)
        with _local(self.directory / f"artifacts-{len(self._counted)}"):
            outputs = function(**arguments).outputs
        return Ended(outputs, find_note(note.read_text(encoding="utf-8")) if note.exists() else None)


def kill_step() -> None:
    """Kill the running component's process at once, as a node that goes away does; it says nothing any more."""
    started = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if b"kfp.dsl.executor_main" in _read(process / "cmdline") and _has_ancestor(process, os.getpid())
    ]
    for pid in started:  # the shell that it is started by is one of them
        os.kill(pid, signal.SIGKILL)


def _function(name: str) -> Callable[..., Any]:
    from importlib import import_module

    found: Callable[..., Any] = getattr(import_module(f"modelcar_components.{name}"), name)
    return found


@contextmanager
def _local(root: Path) -> Iterator[None]:
    """kfp.local as its documentation has it, and as if it had not been afterwards."""
    from kfp import local
    from kfp.local.config import LocalExecutionConfig

    # Nothing is made anew and nothing installed: the interpreter of the tests stands for the step image.
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=False)
    try:
        yield
    finally:
        LocalExecutionConfig.instance = None


def _has_ancestor(process: Path, ancestor: int) -> bool:
    pid = int(process.name)
    while pid > 1:
        if pid == ancestor:
            return True
        # The name in the second field may hold blanks and parentheses; the parent is the second field after it.
        after_name = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
        pid = int(after_name[1]) if after_name else 0
    return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it has ended meanwhile
