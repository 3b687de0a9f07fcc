"""The compiled pipelines as files, kept in git: written by `compile`, held against the source by `compile --check`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelcar.errors import InvalidInput

if TYPE_CHECKING:
    from modelcar_pipelines.catalog import Compiled

DIRECTORY = Path("compiled")
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


def list_files(pipelines: Sequence[Compiled]) -> dict[Path, str]:
    """Texts by path below the directory.

    They are `kfp/NAME.yaml`, `kfp-kubernetes/…` with the same as objects of a cluster, and `tekton/…` of those that
    are compiled to Tekton.

    Raises:
        InvalidInput: One of them has something that is not compiled to Tekton.
    """
    # Here, because the command reads the name of the directory above whenever it lists its groups.
    from modelcar_pipelines.catalog import PIPELINES
    from modelcar_pipelines.kubernetes_store import make_store_files
    from modelcar_pipelines.tekton.files import make_files

    files = {Path("kfp", f"{compiled.name}.yaml"): compiled.text for compiled in pipelines}
    files |= {
        Path("kfp-kubernetes") / path: text for path, text in make_store_files(pipelines, list(PIPELINES)).items()
    }
    return files | {Path("tekton") / path: text for path, text in make_files(pipelines).items()}


def write_files(files: Mapping[Path, str], directory: Path) -> list[Path]:
    """Write each file; returns the paths of those that were not so already.

    Args:
        files: Texts by path below the directory.
        directory: Made when it is not there.

    Raises:
        InvalidInput: The directory cannot be written to.
    """
    written = []
    for name, text in files.items():
        path = directory / name
        if _read(path) != text:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
            except OSError as error:
                raise InvalidInput(f"cannot write {path}: {error.strerror}", hint=_DIRECTORY_HINT) from error
            written.append(path)
    return written


def find_drift(files: Mapping[Path, str], directory: Path) -> list[Drift]:
    """The files that differ from what the source compiles to, those that are missing included.

    Args:
        files: As for `write_files`.
        directory: Where they are.

    Raises:
        InvalidInput: One cannot be read.
    """
    drift = []
    for name, text in files.items():
        path = directory / name
        before = _read(path)
        if not before:
            drift.append(Drift(path, f"{path} is missing\n"))
        elif before != text:
            lines = difflib.unified_diff(
                before.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "compiled now"
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
