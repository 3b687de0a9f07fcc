"""The same edit on a file of the working tree, for people who commit themselves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from modelcar.delivery.inference_service import Edit, apply, diff
from modelcar.errors import InvalidInput


def patch_file(path: Path, edit: Edit, *, write: bool) -> str:
    """Apply an edit to a manifest file.

    Args:
        path: One or several YAML documents in UTF-8; a link is followed.
        edit: What to change.
        write: Replace the file, whole or not at all, its mode kept; else only tell.

    Returns:
        The unified diff; empty when nothing changes.

    Raises:
        InvalidInput: The file cannot be read or written.
        ManifestShapeError: The manifest is not what the edit expects.
        Superseded: The manifest's value is not the one that `edit.expect` names.
    """
    try:
        old = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(f"{path} cannot be read: {reason}", hint="Name the manifest's file.") from error
    new = apply(old, edit)
    if write and new != old:
        try:
            _replace(path.resolve(), new.encode())
        except OSError as error:
            raise InvalidInput(
                f"{path} cannot be written: {error.strerror}",
                hint="The file is as it was; its directory must be writable.",
            ) from error
    return diff(old, new, str(path))


def _replace(path: Path, content: bytes) -> None:
    file, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
            os.fchmod(file, path.stat().st_mode & 0o7777)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
