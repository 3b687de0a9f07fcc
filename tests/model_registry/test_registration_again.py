from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from model_registry_server import (
    ALL,
    Mortal,
    Server,
    assert_one_of_each,
    confirmed,
    image,
    make,
    never,
    unheld,
)
from modelcar.errors import ImageNotFound, ModelRegistryError
from modelcar.model_registry.registration import RegisteredVersion, register
from wsgi_faults import Fault, Faults


@pytest.mark.parametrize("requests", range(10))
def test_killed_after_any_request_and_run_again_ends_the_same(sandbox: Server, mortal: Mortal, requests: int) -> None:
    mortal.lives = requests
    with pytest.raises(ModelRegistryError):
        make(sandbox, sandbox.registration())
    mortal.lives = None
    assert_one_of_each(sandbox, make(sandbox, sandbox.registration()))


def test_ten_requests_are_all(sandbox: Server, mortal: Mortal) -> None:
    mortal.lives = 10
    assert make(sandbox, sandbox.registration()).created == ALL


@pytest.mark.parametrize("path", [r"/registered_models$", r"/model_versions$", r"/artifacts$", r"/model_artifacts/"])
def test_an_answer_that_is_lost_on_the_way_back_is_no_failure(sandbox: Server, faults: Faults, path: str) -> None:
    faults.add(Fault.cut_answer("PATCH" if path.endswith("artifacts/") else "POST", path, 0))
    registered = make(sandbox, sandbox.registration())
    assert faults.fired == 1
    assert_one_of_each(sandbox, registered)


def test_eight_threads_at_once_make_one_of_each(server: Server) -> None:
    start = threading.Barrier(8)
    connection = server.connect()

    def run(_: int) -> RegisteredVersion:
        start.wait()
        return register(connection, server.registration(), confirmed)

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(run, range(8)))
    assert len({replace(result, created=()) for result in results}) == 1
    assert sorted(name for result in results for name in result.created) == sorted(ALL)
    assert_one_of_each(server, results[0])


PROCESS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Registration, check, register
from modelcar.reference import ImageReference

url, model, image = sys.argv[1:]
connection = Connection(url)
check(connection, model, None)
registration = Registration(model, "v_1", ImageReference.parse(image))
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(2) as threads:
    for result in threads.map(lambda _: register(connection, registration, lambda: None), range(2)):
        print(result.model_artifact_id, *result.created, flush=True)
"""


def test_processes_at_once_make_one_of_each(server: Server) -> None:
    command = [sys.executable, "-c", PROCESS, server.url, f"{server.run}_model", str(image())]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert len(lines) == 8
    assert len({line[0] for line in lines}) == 1
    assert sorted(name for line in lines for name in line[1:]) == sorted(ALL)
    assert_one_of_each(server, make(server, server.registration(), never))


def test_an_image_that_its_registry_does_not_hold_stays_pending(server: Server) -> None:
    with pytest.raises(ImageNotFound, match="the image is not there"):
        make(server, server.registration(), unheld)
    model = server.get("/registered_model", name=f"{server.run}\\_model")
    (version,) = server.versions(model["id"])
    (artifact,) = server.artifacts(version["id"])
    assert artifact["state"] == "PENDING"


def test_a_pending_artifact_is_confirmed_by_the_next_run(server: Server) -> None:
    with pytest.raises(ImageNotFound):
        make(server, server.registration(), unheld)
    asked: list[bool] = []
    registered = make(server, server.registration(), lambda: asked.append(True))
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert (asked, registered.created, artifact["state"]) == ([True], (), "LIVE")
    assert artifact["modelFormatName"] == "vLLM"
    assert "modelcar_content_key" in artifact["customProperties"]


def test_an_artifact_whose_state_was_lost_is_confirmed_again(server: Server) -> None:
    registered = make(server, server.registration())
    # What a PATCH without the state does.
    server.patch(f"/model_artifacts/{registered.model_artifact_id}", artifactType="model-artifact", description="new")
    assert server.get(f"/model_artifacts/{registered.model_artifact_id}")["state"] == "UNKNOWN"
    make(server, server.registration())
    artifact = server.get(f"/model_artifacts/{registered.model_artifact_id}")
    assert (artifact["state"], artifact["description"]) == ("LIVE", "new")
