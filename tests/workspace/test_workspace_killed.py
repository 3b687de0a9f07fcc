"""Killed at any of its steps and run again, a download ends as if nothing had happened.

The steps are what the interpreter tells its audit hooks (files opened, renamed, removed …) and each block written.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROGRAM = r"""
import json, os, shutil, signal, sys, traceback
from pathlib import Path

from model_files import Files, shard
from modelcar.errors import SourceError
from modelcar.progress import Silence
from modelcar.sources.open import open_source
from modelcar.workspace.download import download

STEPS = {"open", "os.listdir", "os.scandir", "os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.truncate"}
WEIGHTS = shard(600_000, seed=1)
OLD = {"config.json": b"[]", "gone/a.txt": b"a", "kept.txt": b"kept", "turned": b"into a directory"}
NEW = {"config.json": b"{}", "kept.txt": b"kept", "model.safetensors": WEIGHTS, "turned/b.txt": b"b"}
root = Path(sys.argv[1])


def contents(directory):
    files = open_source(directory.as_uri(), allow=["*"]).snapshot().files
    return {file.path: (directory / file.path).read_bytes() for file in files}


class Steps(Silence):
    # Counts down to its death.

    def __init__(self, left):
        self.left = left

    def bytes_moved(self, key, count):
        self.step()

    def hook(self, event, arguments):
        if event in STEPS:
            self.step()

    def step(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(model, directory, steps=0):
    # Download in a child; its exit code, and what it read from the source.
    pipe = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            source, countdown = Files(model), Steps(steps)
            sys.addaudithook(countdown.hook)
            downloaded = download(source.snapshot(), source, directory, concurrency=1, progress=countdown)
            os.write(pipe[1], b"%d" % downloaded.bytes_read)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(pipe[1])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(pipe[0], "rb") as told:
        return code, int(told.read() or -1)


def state(directory):
    # What a build of the directory would make of it.
    try:
        found = contents(directory)
    except SourceError as error:
        return "unfinished" if str(error).endswith("is not finished") else str(error)
    return "old" if found == OLD else "new" if found == NEW else "neither"


assert attempt(OLD, root / "old")[0] == 0
told = []
for steps in range(1, 1000):
    work = root / str(steps)
    shutil.copytree(root / "old", work)
    code, _ = attempt(NEW, work, steps)
    killed = state(work)
    again = attempt(NEW, work) if code else (0, 0)
    told.append([code, killed, again[0], state(work), attempt(NEW, work)[1]])
    if code != -signal.SIGKILL:
        break
print(json.dumps(told))
"""


def test_killed_at_any_step_and_run_again(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    *killed, whole = json.loads(ran.stdout)

    assert whole == [0, "new", 0, "new", 0]
    assert len(killed) > 30
    assert [entry for entry in killed if entry != [-9, entry[1], 0, "new", 0]] == []
    order = [entry[1] for entry in killed]
    assert order == ["old"] * order.count("old") + ["unfinished"] * order.count("unfinished")
    assert set(order) == {"old", "unfinished"}
