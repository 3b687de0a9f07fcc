"""A command where every file system is read-only but for one small one in memory: in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

# Runs inside. The kernel adds what a child wrote to its parent's numbers when the parent has waited for it.
# Source: mount_setattr(2) (the call's number is the same on all machines), proc(5).
_INSIDE = r"""
import ctypes, json, os, re, struct, subprocess, sys
report, room, size, *command = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def check(failed):
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
read_only = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
check(libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, len(read_only)))
check(libc.mount(b"tmpfs", room.encode(), b"tmpfs", 0, f"size={size}".encode()))
code = subprocess.call(command) if command else 0
left = {os.path.relpath(os.path.join(where, name), room): os.path.getsize(os.path.join(where, name))
        for where, _, names in os.walk(room) for name in names}
written = re.search(r"^write_bytes: (\d+)$", open("/proc/self/io").read(), re.MULTILINE)[1]
os.write(int(report), json.dumps({"code": code, "disk_bytes": int(written), "left": left}).encode())
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left.

    Attributes:
        code: Its exit code.
        stdout: What it printed.
        stderr: The same.
        disk_bytes: What it and its children caused to be written to disks, as the kernel counts it (`write_bytes`).
        left: The files in the small file system at its end, by path from there, with their sizes.
    """

    code: int
    stdout: str
    stderr: str
    disk_bytes: int
    left: Mapping[str, int]


def run_read_only(
    command: Sequence[str], room: Path, *, environment: Mapping[str, str], room_size: str = "1m"
) -> Ended:
    """Run a command where nothing can be written to but `room`; skips by name where that is not allowed.

    Args:
        command: What to run.
        room: A directory; an empty file system in memory covers it, which ends with the command.
        environment: All of it.
        room_size: As tmpfs takes it.
    """
    if reason := _obstacle():
        pytest.skip(reason)
    reading, writing = os.pipe()
    with open(reading, "rb") as report:
        try:
            inside = [sys.executable, "-ISc", _INSIDE, str(writing), str(room), room_size, *command]
            ran = subprocess.run(
                [*_unshare(), *inside],
                env=environment,
                pass_fds=[writing],
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(writing)
        told = report.read()
    assert told, ran.stderr
    return Ended(stdout=ran.stdout, stderr=ran.stderr, **json.loads(told))


@cache
def _obstacle() -> str | None:
    """Why there is no such place here, or None."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    inside = [*_unshare(), sys.executable, "-ISc", _INSIDE, "1", "/tmp", "1m"]  # noqa: S108 - covered, not used
    done = subprocess.run(inside, capture_output=True, check=False)
    return "mount namespaces are not allowed here" if done.returncode else None


def _unshare() -> list[str]:
    return ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
