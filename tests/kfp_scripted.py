"""A pipeline server whose runs do what a parameter says, step by step: as its tests need them, and in no time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_server import SPEC as BARE
from kfp_server import Api
from modelcar_sandbox.kfp import PipelineServer
from modelcar_sandbox.kfp.clock import Clock
from modelcar_sandbox.service import Service
from wsgi_faults import Faults

# Does what the parameter `do` says, a list of lists: what to tell of a task or of the run, what to write into a step's
# log, or to wait until somebody has opened a pipe. Each thing told is a second later than the one before.
_PROGRAM = """
import json, os, sys
os.chdir(sys.argv[1])
os.makedirs("logs")
events, second = open("events.jsonl", "a"), 0

def tell(at, **told):
    global second
    at = f"2026-03-01T12:00:{at:02}.250000Z"
    print(json.dumps({"at": at, "event": kind, **told}), file=events, flush=True)
    second += 1

for kind, *words in json.load(open("run.json"))["parameters"].get("do", [["run", "SUCCEEDED"]]):
    if kind == "hold":
        open(words[0]).read()
    elif kind == "log":
        open("logs/" + words[0].replace("/", ".") + ".log", "a").write(words[1])
    elif kind == "task":
        path, state, attempt, message, at = words + ["", "", 1, "", second][len(words):]
        tell(at, task=path.rpartition("/")[2], path=path, display_name="", state=state, attempt=attempt,
             exit_code=None, message=message)
    else:
        tell(second, state=words[0], message="")
"""
SPEC = """\
components:
  comp-step: {executorLabel: exec-step}
  comp-loop:
    dag:
      tasks:
        push: {componentRef: {name: comp-step}, taskInfo: {name: Build and push}, dependentTasks: [resolve]}
        resolve: {componentRef: {name: comp-step}, taskInfo: {name: Resolve}}
deploymentSpec:
  executors:
    exec-step: {container: {command: [echo], image: "registry.example/never:1"}}
pipelineInfo: {name: hello}
root:
  dag:
    tasks:
      report: {componentRef: {name: comp-step}, taskInfo: {name: Report}, dependentTasks: [for-loop-1]}
      report-promotion: {componentRef: {name: comp-step}, taskInfo: {name: Report promotion}}
      report-skipped: {componentRef: {name: comp-step}, taskInfo: {name: Report skipped}}
      for-loop-1: {componentRef: {name: comp-loop}, taskInfo: {name: for-loop-1}}
  inputDefinitions:
    parameters:
      do: {isOptional: true, defaultValue: [["run", "SUCCEEDED"]], parameterType: LIST}
      text: {isOptional: true, defaultValue: "", parameterType: STRING}
      spec: {isOptional: true, defaultValue: "", parameterType: STRING}
      scheduled: {isOptional: true, defaultValue: "", parameterType: STRING}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""
"""The pipeline `hello`."""
FIRST, SECOND = "for-loop-1/iteration-0", "for-loop-1/iteration-1"
DONE: list[object] = ["run", "SUCCEEDED"]
BROKEN: list[object] = ["run", "FAILED"]


@dataclass(frozen=True)
class Scripted:
    """The server.

    Attributes:
        server: It, without its interface.
        api: Its interface.
        faults: What is to go wrong on the way to it.
    """

    server: PipelineServer
    api: Api
    faults: Faults


@contextmanager
def serve_scripted(directory: Path, clock: Clock | None = None) -> Iterator[Scripted]:
    """Serve the pipelines `hello`, whose runs are told what to do, and `bare`, which takes no spec."""
    with PipelineServer(directory, clock=clock, command=(sys.executable, "-S", "-E", "-c", _PROGRAM)) as server:
        faults = Faults(server.app)
        with Service(faults) as service:
            api = Api(service.url)
            for name, spec in (("hello", SPEC), ("bare", BARE)):
                assert api.upload(name, spec).status_code == 200
            yield Scripted(server, api, faults)
            api.close()


def begin(path: str) -> list[list[object]]:
    return [["task", path, "RUNNING"]]


def end(path: str) -> list[list[object]]:
    return [["task", path, "SUCCEEDED"]]


def step(path: str) -> list[list[object]]:
    return begin(path) + end(path)


def fail(path: str) -> list[object]:
    return ["task", path, "FAILED", 1, "it failed"]
