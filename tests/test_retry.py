"""How long is waited for a server that fails."""

from __future__ import annotations

import random
import socket
import time

import pytest

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar.errors import DistributionError, ModelRegistryError, SourceError
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import check
from modelcar.retry import CONTACT_ATTEMPTS, retry


class Down:
    """A server that is down; `waits` are the seconds that were waited for it."""

    def __init__(self, retry_after_s: float | None = None) -> None:
        self.waits: list[float] = []
        self._error = SourceError("down", retryable=True, retry_after_s=retry_after_s)

    def __call__(self) -> None:
        raise self._error


@pytest.fixture
def closed() -> str:
    """An address on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(("share", "waits"), [(0.0, [0.5, 1, 2, 4, 8, 15, 15]), (1.0, [1, 2, 4, 8, 16, 30, 30])])
def test_a_server_that_restarts_is_outlasted_whatever_the_dice_say(
    monkeypatch: pytest.MonkeyPatch, share: float, waits: list[float]
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: low + share * (high - low))
    down = Down()
    with pytest.raises(SourceError):
        retry(down, wait=down.waits.append)
    assert down.waits == waits
    assert 45 <= sum(down.waits) <= 91


def test_a_host_that_never_answered_is_given_up_within_seconds() -> None:
    random.seed(1)
    down = Down()
    with pytest.raises(SourceError):
        retry(down, attempts=CONTACT_ATTEMPTS, wait=down.waits.append)
    assert len(down.waits) == 2
    assert 1.5 <= sum(down.waits) <= 3


def test_a_time_that_the_server_names_is_waited_to_the_second() -> None:
    down = Down(retry_after_s=7)
    with pytest.raises(SourceError):
        retry(down, attempts=2, wait=down.waits.append)
    assert down.waits == [7]


def test_a_registry_that_nobody_runs_is_told_within_ten_seconds(closed: str) -> None:
    started = time.monotonic()
    with pytest.raises(DistributionError, match="did not answer"):
        Repository(Registry(closed, "team/model", Access()), "team/model").find_manifest("v1")
    assert time.monotonic() - started < 10


def test_a_model_registry_that_nobody_runs_is_told_within_ten_seconds(closed: str) -> None:
    started = time.monotonic()
    with pytest.raises(ModelRegistryError, match="cannot be reached"):
        check(Connection(f"http://{closed}"), "model", "1")
    assert time.monotonic() - started < 10
