"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def temporary_file(directory: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in `directory`, open for writing; whoever wants to keep it renames it before the block ends.

    Args:
        directory: On the file system where the file is to end up; exists.
    """
    descriptor, name = tempfile.mkstemp(dir=directory, prefix=".writing-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Give `path` the content `text`, in UTF-8; its directory exists."""
    with temporary_file(path.parent) as (file, temporary):
        file.write(text.encode())
        file.flush()
        temporary.replace(path)
