from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gitops import PATH, Bare, git, manifest, promote, storage_uri

WRITERS = 8


def test_eight_writers_of_one_file_all_land_in_one_line_of_history(bare: Bare) -> None:
    names = [f"chat-{number}" for number in range(WRITERS)]
    bare.write({PATH: manifest(*names).encode()})
    before = bare.commits()
    with ThreadPoolExecutor(WRITERS) as pool:
        delivered = list(pool.map(lambda name: promote(bare.url, key=f"key-{name}", name=name), names))
    assert [one.changed for one in delivered] == [True] * WRITERS
    assert bare.commits() == before + WRITERS
    assert git(bare.directory, "log", "--min-parents=2", "--format=%H", "main") == ""
    assert bare.read().decode().count(storage_uri("a")) == WRITERS
    assert {one.commit for one in delivered} <= set(git(bare.directory, "rev-list", "main").split())


def test_one_promotion_started_eight_times_at_once_is_one_commit(bare: Bare) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        delivered = list(pool.map(lambda _: promote(bare.url), range(WRITERS)))
    assert sorted(one.changed for one in delivered) == [False] * (WRITERS - 1) + [True]
    assert {one.commit for one in delivered} == {git(bare.directory, "rev-parse", "main").strip()}
    assert bare.commits() == 2


@pytest.mark.parametrize(
    ("when", "command"),
    [("after", "fetch"), ("before", "log"), ("after", "commit-tree"), ("before", "push"), ("after", "push")],
)
def test_a_promotion_killed_anywhere_and_run_again_is_one_commit(
    bare: Bare, tmp_path: Path, command: str, when: str
) -> None:
    killed = _run(bare, _git_that_kills(tmp_path, command, when))
    assert killed.returncode == -signal.SIGKILL
    again = _run(bare, None)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["commit"] == git(bare.directory, "rev-parse", "main").strip()
    assert bare.commits() == 2
    assert len(re.findall("Promotion-Key: key-1", git(bare.directory, "log", "main"))) == 1


def _git_that_kills(directory: Path, command: str, when: str) -> Path:
    """A git that kills who calls it before or after one command; before a push, the push goes on alone."""
    real = shutil.which("git")
    script = directory / "bin" / "git"
    script.parent.mkdir()
    order = ["kill -9 $PPID", f'{real} "$@"']
    both = "; ".join(order if when == "before" else reversed(order))
    script.write_text(f'#!/bin/sh\nif [ "$1" = {command} ]; then {both}; else exec {real} "$@"; fi\n')
    script.chmod(0o755)
    return script.parent


def _run(bare: Bare, first_on_path: Path | None) -> subprocess.CompletedProcess[str]:
    program = (
        "import dataclasses, json, os, sys; import gitops;"
        "os.environ['PATH'] = sys.argv[2] + os.environ['PATH'];"
        "print(json.dumps(dataclasses.asdict(gitops.promote(sys.argv[1]))))"
    )
    tests = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", program, bare.url, f"{first_on_path}:" if first_on_path else ""],
        cwd=tests,
        capture_output=True,
        text=True,
        check=False,
    )
