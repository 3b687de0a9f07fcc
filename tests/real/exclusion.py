"""The specification names the Applications and their namespaces, so one test module at a time has them."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def stage01_alone() -> Iterator[None]:
    """Keep other modules out, which run in other processes; ten minutes are waited for them."""
    with open(f"{os.environ['REAL_KUBECONFIG']}.stage01", "w", encoding="utf-8") as lock:
        deadline = time.monotonic() + 600
        while not _takes(lock):
            assert time.monotonic() < deadline, "other tests have stage 01: make test-argocd and test-real, in turn"
            time.sleep(0.5)  # between looks
        yield


def _takes(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
