"""The compiled pipelines as files, kept in git: written by `compile`, held against the source by `compile --check`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelcar.errors import InvalidInput
from modelcar_pipelines.catalog import Compiled

DIRECTORY = Path("compiled/kfp")
_DIRECTORY_HINT = "Name a directory for the compiled pipelines with --dir."


@dataclass(frozen=True, slots=True)
class Drift:
    """A file that is not what the source compiles to.

    Attributes:
        path: Of the file.
        diff: Unified, from the file to what it should be; a sentence when there is no file.
    """

    path: Path
    diff: str


def write_files(pipelines: Iterable[Compiled], directory: Path) -> list[Path]:
    """Write each pipeline to a file of its name; returns those that were not so already.

    Raises:
        InvalidInput: The directory cannot be written to.
    """
    written = []
    for compiled in pipelines:
        path = directory / f"{compiled.name}.yaml"
        if _read(path) != compiled.text:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                path.write_text(compiled.text, encoding="utf-8", newline="\n")
            except OSError as error:
                raise InvalidInput(f"cannot write {path}: {error.strerror}", hint=_DIRECTORY_HINT) from error
            written.append(path)
    return written


def find_drift(pipelines: Iterable[Compiled], directory: Path) -> list[Drift]:
    """The files that differ from what the source compiles to, those that are missing included."""
    drift = []
    for compiled in pipelines:
        path = directory / f"{compiled.name}.yaml"
        before = _read(path)
        if not before:
            drift.append(Drift(path, f"{path} is missing\n"))
        elif before != compiled.text:
            lines = difflib.unified_diff(
                before.splitlines(keepends=True), compiled.text.splitlines(keepends=True), str(path), "compiled now"
            )
            drift.append(Drift(path, "".join(lines)))
    return drift


def _read(path: Path) -> str:
    """What the file holds; nothing when it is not there.

    Raises:
        InvalidInput: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", hint=_DIRECTORY_HINT) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"cannot read {path}: it is no text", hint=_DIRECTORY_HINT) from error
