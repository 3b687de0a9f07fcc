"""The process of one local run: `python -m modelcar_pipelines.local_child DIR [--end-with-stdin]`.

`DIR/run.json` says what to run:

    {"run_id": "…", "run_name": "…", "pipeline": "pipeline.yaml", "parameters": {…}, "created_at": "2026-11-25T12:00Z"}

`pipeline` is a file in DIR. Written below DIR: `events.jsonl` (see `events.py`; the last line is the run's end),
`logs/<path with dots for slashes>.log`, `artifacts/<path>/<name>`, `outputs.json`, `steps/<path>/` (what a step was
given, and its work directory), and `workspace/`, which is removed at the end. Standard error has what is for whoever
looks after kfp.local itself. The exit code is 0 when the run succeeded, 1 when it failed, 2 when it could not begin
through a fault of the caller.

Whoever starts it makes it the leader of a process group, and stops it by SIGTERM to that group: the steps end as they
like, nothing new is started, and then this process ends, too. SIGKILL to the group ends everything at once. With
`--end-with-stdin` the end of standard input is as good as SIGTERM: a starter who is killed leaves no run behind.

`MODELCAR_LOCAL_BACKOFF_FACTOR` in the environment multiplies the pauses between attempts; 0 leaves them out.

Deviations from a server: a step is a process of this machine in the environment of whoever started the run, not a
container: its image, limits, and packages to install are not looked at. Secrets and config maps of the pipeline are
ignored, so what they would set has to be in the environment already; nothing is mounted. At most 32 rounds of a loop
run at once, and 4 of a loop without a limit; everything else runs one after the other. There is no cache. Placeholders
in values, as opposed to the pipeline's own text, are left alone, where a server fills some of them in; and a list in
the middle of a text is written as JSON, where the step fails on a server. A condition
that cannot be read is refused before the run begins, where a server fails in the middle. A step's exit code is its
own, where a server's launcher makes each 1; and one that ended with 2, its input being at fault, is not tried again,
where a server does that.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput, PromotionError
from modelcar_pipelines.events import EventWriter, RunEvent, State, now
from modelcar_pipelines.local_components import check_local
from modelcar_pipelines.local_graph import STOPPED, Graph
from modelcar_pipelines.local_process import Place, Steps, new_workspace
from modelcar_pipelines.local_seams import check_kfp, install, quiet
from modelcar_pipelines.local_values import RunNames
from modelcar_pipelines.parameters import check_parameters
from modelcar_pipelines.pipeline_file import read_pipeline

BACKOFF_FACTOR = "MODELCAR_LOCAL_BACKOFF_FACTOR"


def main(directory: Path, *, end_with_stdin: bool) -> int:
    """Run what `directory` says; the exit code."""
    place = Place(directory.absolute())
    steps = Steps(place)
    signal.signal(signal.SIGTERM, lambda *_: steps.stopping.set())
    if end_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    with contextlib.closing(EventWriter(place.events)) as events:
        try:
            message, code = _run(place, steps, events), 0
        except PromotionError as error:
            message, code = f"{error}\n{error.hint}" if error.hint else str(error), error.exit_code
        except Exception as error:
            traceback.print_exc()
            message, code = f"{type(error).__name__}: {error}", 1
        if steps.stopping.is_set():
            message = STOPPED
        code = code or int(bool(message))
        events.write(RunEvent(now(), State.FAILED if code else State.SUCCEEDED, message))
    return code


def _run(place: Place, steps: Steps, events: EventWriter) -> str:
    """Run the pipeline; why it failed, or an empty text."""
    check_kfp()
    from google.protobuf import json_format  # type: ignore[import-untyped]
    from kfp import local
    from kfp.local.pipeline_orchestrator import run_local_pipeline
    from kfp.pipeline_spec import pipeline_spec_pb2

    order = json.loads((place.directory / "run.json").read_text(encoding="utf-8"))
    pipeline = read_pipeline(place.directory / order["pipeline"])
    values = check_parameters(pipeline.spec, order["parameters"])
    check_local(pipeline.spec, values)
    graph = Graph(place, steps, _names(pipeline.name, order, place), events.write, backoff_factor=_backoff_factor())
    spec = json_format.ParseDict(pipeline.spec, pipeline_spec_pb2.PipelineSpec())
    quiet()
    install(graph)
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(place.artifacts),
        workspace_root=str(new_workspace(place)),
        raise_on_error=False,
    )
    try:
        run_local_pipeline(spec, values)
    finally:
        place.outputs.write_text(json.dumps(graph.outputs, ensure_ascii=False), encoding="utf-8")
    return "" if graph.succeeded else graph.failure or "a task failed"


def _names(pipeline: str, order: dict[str, Any], place: Place) -> RunNames:
    run_id = order["run_id"]
    return RunNames(run_id, order["run_name"], f"{pipeline}-{run_id[:5]}", order["created_at"], place.workspace)


def _backoff_factor() -> float:
    text = os.environ.get(BACKOFF_FACTOR, "1")
    try:
        return max(0.0, float(text))
    except ValueError:
        raise InvalidInput(f"{BACKOFF_FACTOR} is no number: {text!r}") from None


def _stop_at_end_of_stdin() -> None:
    # Not sys.stdin: a thread that holds its lock would stop the interpreter from ending.
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), end_with_stdin="--end-with-stdin" in sys.argv[2:]))
