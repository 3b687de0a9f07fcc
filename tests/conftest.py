"""What every test needs, whatever is collected first."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine is, and what else it does, is no property of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# huggingface_hub reads these when it is imported. Without them it would ask huggingface.co which agents there are,
# whatever endpoint it is given, and keep the answer in the home directory.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
_home = tempfile.TemporaryDirectory(prefix="hf-home-")  # goes with the process
os.environ["HF_HOME"] = _home.name
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
    os.environ.pop(name, None)


# A shell has what it runs in the background ignore interrupts, and that is inherited: also by the commands that
# tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def own_loop() -> Iterator[None]:
    """An asyncio loop of this thread, closed at the end.

    Kubeflow's client makes one and leaves it to the collector, and has `asyncio.run` do so from then on.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of the garbage collector's way: it is there to the end."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped for want of what, a line each: a server's variable, a program, an extra."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped {count}: {reason}")
