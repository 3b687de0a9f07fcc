"""A pipeline server for tests, and a stand-in for the program that executes its runs."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from modelcar_sandbox.kfp import PipelineServer, SteppedClock
from modelcar_sandbox.service import Service

BASE = "/apis/v2beta1"
FIRST_DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = """\
components:
  comp-hello: {executorLabel: exec-hello}
deploymentSpec:
  executors:
    exec-hello:
      container: {command: [echo, hello], image: registry.example/never:1}
pipelineInfo:
  name: hello-pipe
root:
  dag:
    tasks:
      hello:
        cachingOptions: {}
        componentRef: {name: comp-hello}
        taskInfo: {name: hello}
  inputDefinitions:
    parameters:
      do: {defaultValue: succeed, isOptional: true, parameterType: STRING}
      count: {defaultValue: 1, isOptional: true, parameterType: NUMBER_INTEGER}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""

# What the parameter `do` says: succeed, fail, die, or hold:FIFO, which is to run until somebody has opened FIFO to
# write; `%` in FIFO is the number of the run among those of its schedule. The number of a process that it has started
# itself and that would outlive it is in the file `below`.
CHILD = """
import json, os, subprocess, sys
directory = sys.argv[1]
os.chdir(directory)
run = json.load(open("run.json"))
do, _, fifo = run["parameters"].get("do", "succeed").partition(":")
events = open("events.jsonl", "a")

def tell(event, **fields):
    print(json.dumps({"at": "2026-03-01T12:00:00.000000Z", "event": event, **fields}), file=events, flush=True)

def task(state, path="group/hello", attempt=1, exit_code=None, message=""):
    name = path.rpartition("/")[2]
    tell("task", task=name, path=path, display_name="Say hello", state=state, attempt=attempt, exit_code=exit_code,
         message=message)

os.makedirs("logs")
os.makedirs("artifacts/group/hello")
open("logs/group.hello.log", "w").write("hello " + do + os.environ.get("GREETING", ""))
open("artifacts/group/hello/page", "w").write("<p>hello</p>")
task("RUNNING")
if fifo:
    below = subprocess.Popen(["sleep", "1000"])
    open("below", "w").write(str(below.pid))
    open(fifo.replace("%", run["run_name"].split("-")[-2:][0])).read()
    below.kill()
if do == "die":
    os._exit(3)
if do == "fail":
    task("RUNNING", exit_code=2, message="Error: first")
    task("RUNNING", attempt=2)
    task("FAILED", attempt=2, exit_code=2, message="Error: there is no such model")
    tell("run", state="FAILED", message="group/hello failed: there is no such model")
else:
    task("SUCCEEDED", exit_code=0)
    task("SKIPPED", path="only-if", message="the condition is false")
    tell("run", state="SUCCEEDED", message="")
"""
COMMAND = (sys.executable, "-S", "-E", "-c", CHILD)


class Api:
    """The REST interface of a server, without a client."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def send(self, method: str, path: str, body: object = None, **query: str) -> requests.Response:
        address = self.url + (path if path.startswith("/apis") else BASE + path)
        return self._session.request(method, address, json=body, params=query, timeout=60)

    def get(self, path: str, **query: str) -> Any:
        answer = self.send("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object = None, **query: str) -> Any:
        answer = self.send("POST", path, body, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, name: str, spec: str = SPEC, **query: str) -> requests.Response:
        path = "/pipelines/upload_version" if "pipelineid" in query else "/pipelines/upload"
        query["name"] = name
        files = {"uploadfile": ("pipeline.yaml", spec)}
        return requests.post(self.url + BASE + path, params=query, files=files, timeout=60)

    def pipeline(self, name: str = "hello") -> str:
        """Id of a new pipeline."""
        answer = self.upload(name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["pipeline_id"])

    def run(self, pipeline: str, **parameters: object) -> str:
        """Id of a new run."""
        body = {
            "display_name": "a run",
            "pipeline_version_reference": {"pipeline_id": pipeline},
            "runtime_config": {"parameters": parameters},
        }
        return str(self.post("/runs", body)["run_id"])

    def recurring(self, pipeline: str, **members: object) -> str:
        """Id of a new recurring run, enabled, of the pipeline's latest version."""
        body = {
            "display_name": "nightly",
            "pipeline_version_reference": {"pipeline_id": pipeline},
            "max_concurrency": "1",
            "mode": "ENABLE",
            **members,
        }
        return str(self.post("/recurringruns", body)["recurring_run_id"])

    def close(self) -> None:
        self._session.close()


@contextmanager
def serve(directory: Path, clock: SteppedClock | None = None, **settings: Any) -> Iterator[tuple[PipelineServer, Api]]:
    """A server with the stand-in child, and its interface."""
    server = PipelineServer(directory, clock=clock, **{"command": COMMAND, **settings})
    with server, Service(server.app) as service:
        api = Api(service.url)
        try:
            yield server, api
        finally:
            api.close()


def filter_by(operation: str, key: str, value: str) -> str:
    """A list's filter with one condition on a text."""
    return json.dumps({"predicates": [{"operation": operation, "key": key, "string_value": value}]})


def new_fifo(directory: Path, runs: int = 0) -> str:
    """Path of a pipe that a run can be held with; with `%` in it for a pipe for each of so many runs of a schedule."""
    path = str(directory / f"fifo-{uuid.uuid4().hex}")
    if not runs:
        os.mkfifo(path)
        return path
    for number in range(1, runs + 1):
        os.mkfifo(f"{path}-{number}")
    return f"{path}-%"


@contextmanager
def held(fifo: str) -> Iterator[None]:
    """While the context is open, the run that is held by this pipe has told that its step runs, and goes no further."""
    with Path(fifo).open("w"):
        yield
