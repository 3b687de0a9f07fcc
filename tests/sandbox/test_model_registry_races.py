"""Uniqueness is the database's: it holds between threads, between processes, and after a kill."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
import requests

from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.service import Service

BASE = "/api/model_registry/v1"
SERVE = """
import sys, threading
from pathlib import Path
from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.service import Service

with Service(create_app(Path(sys.argv[1]))) as service:
    print(service.url, flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    with Service(create_app(tmp_path)) as service:
        yield service.url + BASE


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Starts a process that serves one directory; each is ended when the test is over."""
    processes: list[subprocess.Popen[str]] = []

    def run() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", SERVE, str(tmp_path / "shared")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout
        return process, process.stdout.readline().strip() + BASE

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def post(url: str, body: dict[str, Any]) -> requests.Response:
    return requests.post(url, json=body, timeout=60)


def simultaneously(calls: Sequence[Callable[[], requests.Response]]) -> Counter[int]:
    barrier = Barrier(len(calls))

    def call(each: Callable[[], requests.Response]) -> int:
        barrier.wait()
        return each().status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return Counter(pool.map(call, calls))


ONE_WINS = Counter({409: 11, 201: 1})


def test_of_twelve_simultaneous_posts_of_a_name_one_wins(base: str) -> None:
    calls = [partial(post, f"{base}/registered_models", {"name": "qwen"})] * 12
    assert simultaneously(calls) == ONE_WINS


def test_of_twelve_names_with_one_external_id_one_wins(base: str) -> None:
    calls = [partial(post, f"{base}/registered_models", {"name": f"m{n}", "externalId": "x"}) for n in range(12)]
    assert simultaneously(calls) == ONE_WINS


def test_of_twelve_artifacts_of_a_version_one_wins(base: str) -> None:
    model = post(f"{base}/registered_models", {"name": "m"}).json()["id"]
    version = post(f"{base}/model_versions", {"name": "v", "registeredModelId": model}).json()["id"]
    body = {"artifactType": "model-artifact", "name": "a"}
    assert simultaneously([partial(post, f"{base}/model_versions/{version}/artifacts", body)] * 12) == ONE_WINS


def test_a_read_during_writes_is_answered(base: str) -> None:
    writes = [partial(post, f"{base}/registered_models", {"name": f"m{n}"}) for n in range(6)]
    reads = [partial(requests.get, f"{base}/registered_models", timeout=60)] * 6
    assert simultaneously([*writes, *reads]) == Counter({201: 6, 200: 6})


def test_two_processes_on_one_directory_share_the_names(
    start: Callable[[], tuple[subprocess.Popen[str], str]],
) -> None:
    (_, one), (_, two) = start(), start()
    calls = [partial(post, f"{url}/registered_models", {"name": "qwen"}) for url in [one, two] * 6]
    assert simultaneously(calls) == ONE_WINS


def test_what_was_answered_survives_a_kill(start: Callable[[], tuple[subprocess.Popen[str], str]]) -> None:
    process, url = start()
    answered: list[str] = []
    under_way = Event()

    def write() -> None:
        with suppress(requests.RequestException):
            for number in range(10_000):
                answered.append(post(f"{url}/registered_models", {"name": f"m{number}"}).json()["id"])
                if number == 25:
                    under_way.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        assert under_way.wait(60)
        process.kill()
        writing.result()
    _, url = start()
    kept = [model["id"] for model in requests.get(f"{url}/registered_models", timeout=60).json()["items"]]
    assert 25 < len(answered) < 10_000
    # One more may have been written than was answered.
    assert kept[: len(answered)] == answered
    assert len(kept) - len(answered) in {0, 1}


def test_a_registry_opened_again_refuses_what_it_had(tmp_path: Path) -> None:
    for status in (201, 409):
        with Service(create_app(tmp_path)) as service:
            assert post(f"{service.url}{BASE}/registered_models", {"name": "qwen"}).status_code == status
