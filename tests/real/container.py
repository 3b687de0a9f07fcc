"""What a pod of OpenShift's restricted SCC is to a process, made of what Linux has: an image's files, seen read-only.

A process runs in the image's root file system as a user that no passwd file knows, in group 0, with no capability and
no way to one. It writes to /tmp alone, and to what a volume is mounted at. It sees its own processes only; the network
is this machine's, for the servers of the tests are on loopback. pip is hidden.

Deviations: no seccomp profile, no SELinux, no limits of memory and processes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

USER = 1000680000
NOTE = "/dev/termination-log"
_TMP, _SHM = "/tmp", "/dev/shm"  # noqa: S108 - in the container
_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Image:
    """An image whose files are on this machine.

    Attributes:
        files: Its root file system.
        config: Its config, as the OCI image specification has it.
    """

    files: Path
    config: Mapping[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """What it sets."""
        return dict(line.split("=", 1) for line in self.config["config"]["Env"])


@dataclass(frozen=True)
class Container:
    """Processes in an image.

    Attributes:
        image: Its root file system is seen read-only.
        directory: Of this machine; its `tmp` is the container's /tmp, and what a process says last is in `note`.
        environment: Set beside what the image sets.
        volumes: Directories of this machine by the path at which they are mounted; the image has to have that path.
    """

    image: Image
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)

    @property
    def tmp(self) -> Path:
        """What the container has at /tmp."""
        return self.directory / "tmp"

    @property
    def note(self) -> str:
        """What was written to the termination log; Kubernetes makes the file, and shows it."""
        return (self.directory / "note").read_text(encoding="utf-8")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in the image's work directory."""
        return subprocess.run(self._words(command), capture_output=True, text=True, check=False, env=_OUTSIDE)

    @contextmanager
    def start(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command as long as the context is open; its output and errors are one stream."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(self._words(command), env=_OUTSIDE, **streams) as process:  # type: ignore[call-overload]
            assert process.stdout is not None
            try:
                yield process
            finally:
                process.kill()  # and with it the first process of the container, hence all of them
                process.stdout.read()  # ends when the last of them has ended

    def _words(self, command: Sequence[str]) -> list[str]:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.tmp.mkdir(exist_ok=True)
        self.tmp.chmod(0o1777)
        (self.directory / "note").write_text("")
        (self.directory / "note").chmod(0o666)
        variables = [f"{name}={value}" for name, value in {**self.image.environment, **self.environment}.items()]
        inside = [
            "env",
            "-i",
            *variables,
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            self.image.config["config"]["WorkingDir"],
        ]
        rights = ["setpriv", "--no-new-privs", "chroot", f"--userspec=+{USER}:+0", f"--groups={self._groups()}"]
        root = str(self.image.files)
        # The shell stays as the first process: one that becomes another user is no longer killed with its parent.
        start = f'set +e\n{shlex.join([*rights, root])} "$@"\nexit $?'
        program = "\n".join([*self._mounts(), start])
        isolated = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc", "--uts"]
        return [*isolated, "sh", "-euc", program, "sh", *inside, *command]

    def _groups(self) -> str:
        """The group that owns volumes, as a pod's fsGroup does."""
        return f"+{USER}" if self.volumes else ""

    def _mounts(self) -> Iterator[str]:
        root = self.image.files
        yield f"mount --bind {root} {root}"
        yield f"mount -o remount,bind,ro,nosuid {root}"
        yield f"mount --bind {self.tmp} {root}{_TMP}"
        yield f"mount -t proc proc {root}/proc"
        yield f"mount -t tmpfs -o mode=755 tmpfs {root}/dev"
        for name in _DEVICES:
            yield f"touch {root}/dev/{name} && mount --bind /dev/{name} {root}/dev/{name}"
        yield f"mkdir {root}{_SHM} && mount -t tmpfs -o mode=1777 tmpfs {root}{_SHM}"
        yield f"touch {root}{NOTE} && mount --bind {self.directory}/note {root}{NOTE}"
        yield f"mount -o remount,ro {root}/dev"
        for path, volume in self.volumes.items():
            yield f"mount --bind {volume} {root}{path}"
        empty = self.directory / "empty"
        empty.mkdir(exist_ok=True)
        for pip in root.glob("**/site-packages/pip"):
            yield f"mount --bind {empty} {pip}"


_OUTSIDE = {"PATH": os.environ["PATH"]}


@contextmanager
def unpacked_image(variable: str, directory: Path) -> Iterator[Image]:
    """The files of the image that an environment variable names, as long as the context is open; else skip.

    Args:
        variable: Holds `registry/repository:tag`, in a registry of plain HTTP.
        directory: Empty; removed afterwards, for an image is large.
    """
    name = os.environ.get(variable)
    if not name:
        pytest.skip(f"{variable} is not set")
    if os.geteuid() != 0:
        pytest.skip("only root can make a container of an image")
    missing = [tool for tool in ("skopeo", "umoci", "unshare", "setpriv") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    layout = f"{directory}/layout:image"
    try:
        _outside("skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}")
        _outside("umoci", "unpack", "--image", layout, str(directory / "bundle"))
        config = json.loads(_outside("skopeo", "inspect", "--config", f"oci:{layout}"))
        yield Image(directory / "bundle" / "rootfs", config)
    finally:
        shutil.rmtree(directory)


def make_volume(directory: Path) -> Path:
    """An empty volume as Kubernetes mounts it: root's, and written to by the pod's group."""
    directory.mkdir()
    os.chown(directory, 0, USER)
    directory.chmod(0o2775)
    return directory


def _outside(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
