"""The private key for ssh: where its copy is, and for how long.

`ssh` is a script here that stands between two gits of this machine; test_repository_gitea.py has the real one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitops import PATH, Bare, promote
from modelcar.delivery.repository import Target, open_repository

KEY = "planted private key\n"
PASSES_ON = 'test "$1" = -i && stat -c %a "$2" >> {log} && cat "$2" >> {log}; for last; do :; done; eval "$last"'
HANGS = 'test "$1" = -i && echo $$ > {log}; exec tail -f /dev/null'
OPENS = """
import signal, sys
from modelcar.delivery.repository import Target, open_repository
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with open_repository(Target(sys.argv[1], "main", "x", "x")):
    pass
"""


class Shell:
    """An ssh that does as `script` says, a key, and where temporary files go."""

    def __init__(self, root: Path) -> None:
        self.scratch, self.log = root / "scratch", root / "log"
        self.scratch.mkdir()
        self._bin, self._key = root / "bin", root / "key"
        self._bin.mkdir()
        self._key.write_text(KEY)
        self.environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "TMPDIR": str(self.scratch),
            "MODELCAR_GIT_SSH_KEY_FILE": str(self._key),
        }

    def install(self, script: str) -> None:
        program = self._bin / "ssh"
        program.write_text(f"#!/bin/sh\n{script.format(log=self.log)}\n")
        program.chmod(0o755)

    def copies(self) -> list[Path]:
        """Files that hold the key."""
        return [path for path in self.scratch.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    made = Shell(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(made.scratch))
    return made


def test_the_key_is_there_for_its_owner_while_git_runs_and_not_between(shell: Shell, bare: Bare) -> None:
    shell.install(PASSES_ON)
    url = f"git@host.example:{bare.directory}"
    with open_repository(Target(url, "main", PATH, "chat")) as repository:
        assert shell.copies() == []
        repository.check_write_access()
        assert shell.copies() == []
    assert set(shell.log.read_text().splitlines(keepends=True)) == {"600\n", KEY}
    assert promote(url).changed
    assert list(shell.scratch.iterdir()) == []


def test_the_key_is_gone_after_a_command_that_failed(shell: Shell, bare: Bare) -> None:
    shell.install(PASSES_ON)
    url = f"git@host.example:{bare.directory}"
    with open_repository(Target(url, "main", PATH, "chat")) as repository:
        shell.install("exit 255")
        with pytest.raises(Exception, match="no git repository at"):
            repository.check_write_access()
        assert shell.copies() == []


def test_sigterm_leaves_neither_the_key_nor_an_ssh(shell: Shell) -> None:
    os.mkfifo(shell.log)
    shell.install(HANGS)
    process = subprocess.Popen(
        [sys.executable, "-c", OPENS, "git@host.example:/gitops.git"], env=os.environ | shell.environment
    )
    try:
        ssh = int(shell.log.read_text())  # waits until it is written
        assert len(shell.copies()) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
    assert list(shell.scratch.iterdir()) == []
    state = Path(f"/proc/{ssh}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"  # nobody may have reaped it
