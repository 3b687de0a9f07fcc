"""What killed pushes leave in a layout, and what running ones still need."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcar.distribution.layout import Layout
from modelcar.distribution.upload import Content
from modelcar.reference import Digest

DIGEST = Digest.of(b"blob")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "layout"


KILLED = """
import os, signal, sys
from pathlib import Path
from modelcar.distribution.layout import Layout

class Killed:
    digest = None
    def __len__(self):
        return 4
    def __iter__(self):
        yield b"bl"
        os.kill(os.getpid(), signal.SIGKILL)

Layout(Path(sys.argv[1])).write_stream(Killed())
"""


def test_what_a_killed_push_left_is_gone_with_the_next_one(directory: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(directory)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(directory.glob(".incoming-*"))) == 1
    Layout(directory).check_access()
    assert sorted(path.name for path in directory.iterdir()) == ["blobs", "oci-layout"]


class Interrupted:
    """Somebody else begins to push while this is written."""

    def __init__(self, directory: Path) -> None:
        self.digest: Digest | None = None
        self._directory = directory

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[bytes]:
        Layout(self._directory).check_access()
        yield b"blob"
        self.digest = DIGEST


def test_what_is_still_written_is_left_alone(directory: Path) -> None:
    (directory / "blobs").mkdir(parents=True)
    assert Layout(directory).write_stream(Interrupted(directory)) == DIGEST
    assert (directory / "blobs/sha256" / DIGEST.hex).read_bytes() == b"blob"


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(directory)
    layout.check_access()
    made: list[str] = []
    mkstemp = tempfile.mkstemp

    def swept(prefix: str, dir: Path) -> tuple[int, str]:
        file, path = mkstemp(prefix=prefix, dir=dir)
        made.append(path)
        if len(made) == 1:
            Layout(directory).check_access()
        return file, path

    monkeypatch.setattr("tempfile.mkstemp", swept)
    layout.write_blob(Content(b"blob"), DIGEST)
    assert len(made) == 2
    assert layout.has_blob(DIGEST)
