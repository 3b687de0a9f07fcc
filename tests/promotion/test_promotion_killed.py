"""Killed anywhere and run again, a promotion ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from promotion.place import Place, assert_promoted_once
from promotion.services import Services
from promotion.traps import Point

DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
PID_FILE = Path("command") / "pid"

POINTS = [
    Point("registry", "after", "POST", "/blobs/uploads/"),  # the question whether we may push
    Point("registry", "before", "POST", "/blobs/uploads/", nth=4),
    Point("registry", "amid", "PATCH", "/blobs/uploads/"),
    Point("registry", "before", "PUT", "/blobs/uploads/", nth=2),
    Point("registry", "after", "PUT", "/blobs/uploads/", nth=3),
    Point("registry", "before", "PUT", "/manifests/"),
    Point("registry", "after", "PUT", "/manifests/"),
    Point("model registry", "after", "POST", "/registered_models$"),
    Point("model registry", "after", "POST", "/(model_)?versions$"),
    Point("model registry", "after", "POST", "/artifacts$"),
    Point("model registry", "before", "PATCH", "/model_artifacts/"),
    Point("model registry", "after", "PATCH", "/model_artifacts/"),
]


def run_until_killed(place: Place) -> None:
    """Promote in a process that is to be killed by somebody else."""
    ended = place.start(place.spec_file()).wait()
    assert ended.code == -signal.SIGKILL, ended.stderr


def install_hook(services: Services, name: str, script: str) -> Path:
    """Let the repository that is pushed to run a script."""
    hook = services.git_directory / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)
    return hook


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_killed_at_a_request_and_run_again(
    sandbox_place: Place, services: Services, tmp_path: Path, point: Point
) -> None:
    trap = (services.registry if point.server == "registry" else services.model_registry).trap
    trap.set(point, lambda: os.kill(int((tmp_path / PID_FILE).read_text()), signal.SIGKILL))
    run_until_killed(sandbox_place)

    promotion = sandbox_place.promote()

    assert str(promotion.push.digest) == DIGEST
    assert_promoted_once(sandbox_place, DIGEST)
    again = sandbox_place.promote()
    assert (again.push.bytes_uploaded, again.register.created, again.patch.changed) == (0, (), False)


def test_killed_before_git_takes_the_push_and_run_again(
    sandbox_place: Place, services: Services, tmp_path: Path
) -> None:
    hook = install_hook(services, "pre-receive", f'kill -9 "$(cat {tmp_path}/{PID_FILE})"; exit 1')
    run_until_killed(sandbox_place)
    assert len(sandbox_place.commits()) == 1
    hook.unlink()

    promotion = sandbox_place.promote()

    assert (promotion.push.bytes_uploaded, promotion.register.created, promotion.patch.changed) == (0, (), True)
    assert_promoted_once(sandbox_place, DIGEST)


def test_killed_while_git_goes_on_to_push_alone_and_run_again(
    sandbox_place: Place, services: Services, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "arrived")
    install_hook(services, "pre-receive", f'kill -9 "$(cat {tmp_path}/{PID_FILE})"')
    install_hook(services, "post-receive", f"echo yes >{tmp_path}/arrived")
    run_until_killed(sandbox_place)
    assert (tmp_path / "arrived").read_text() == "yes\n"

    promotion = sandbox_place.promote()

    assert promotion.patch.changed is False
    assert_promoted_once(sandbox_place, DIGEST)


def test_killed_when_the_commit_is_there_and_run_again(
    sandbox_place: Place, services: Services, tmp_path: Path
) -> None:
    install_hook(services, "post-receive", f'kill -9 "$(cat {tmp_path}/{PID_FILE})"')
    run_until_killed(sandbox_place)

    promotion = sandbox_place.promote()

    assert (promotion.patch.commit, promotion.patch.changed) == (sandbox_place.commits()[0], False)
    assert_promoted_once(sandbox_place, DIGEST)
