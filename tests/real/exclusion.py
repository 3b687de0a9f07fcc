"""The specification names the Applications and their namespaces, so one test module at a time has them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from real.argocd_tree import kubectl


@contextmanager
def stage01_alone() -> Iterator[None]:
    """Keep other modules out, which run in other processes, until nothing is left of this one's namespaces."""
    with open(f"{os.environ['REAL_KUBECONFIG']}.stage01", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            gone = ["namespace/private-ai-demo", "namespace/rhoai-model-registries"]
            kubectl("wait", "--for=delete", "--timeout=240s", *gone)
