"""The specification names the Applications and their namespaces, so one test module at a time has them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stage01_alone() -> Iterator[None]:
    """Keep other modules out, which run in other processes."""
    with open(f"{os.environ['REAL_KUBECONFIG']}.stage01", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
