"""Runs on a server: start one, follow its steps, and say why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelcar.steps.note import Note, find_result, find_skip
from modelcar_pipelines.arguments import check_promotion, refuse_expansions
from modelcar_pipelines.connection import Server
from modelcar_pipelines.events import TaskEvent
from modelcar_pipelines.failures import NotFound, Refused
from modelcar_pipelines.parameters import check_parameters
from modelcar_pipelines.run_ends import find_notes, find_told, was_cancelled
from modelcar_pipelines.run_steps import Follower, find_steps
from modelcar_pipelines.versions import Version, read_spec

ENDED = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED", "ERROR"})
"""States that a run stays in."""
LOOK_EVERY_S = 1.0
LOOKS_AFTER_END = 5
"""For steps that have not ended when their run has: the server tells a run's end up to a quarter of a second earlier
(measured on 2.17). One that was lost on the way is running for good."""
REPORT_TASK, SKIP_TASK = "report-promotion", "report-skipped"


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the server has it.

    Attributes:
        run_id: Of the server's making.
        name: Of ours.
        state: PENDING, RUNNING, CANCELING or one of `ENDED`.
        pipeline_id: Empty when its pipeline was sent along with it.
        version_id: Likewise.
        created_at: By the server's clock.
        finished_at: None while it runs.
    """

    run_id: str
    name: str
    state: str
    pipeline_id: str
    version_id: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        run: As it is now.
        tasks: The last event of each step, by path, in the order in which they began.
        failures: What failed steps left behind, else which pods of Kubeflow's own failed; a step that could not say
            why has no note.
        skipped: Why there was nothing to do, for one model at least; empty when there was, or when the server keeps no
            logs.
        url: Where people look at it.
        seconds: That each step took which has ended, by path; as exact as the server's clock tells, mostly to a second.
        results: What each promotion of it has come to, in a sentence; none when the server keeps no logs.
    """

    run: Run
    tasks: Mapping[str, TaskEvent]
    failures: tuple[Note, ...]
    skipped: str
    url: str
    seconds: Mapping[str, float]
    results: tuple[str, ...] = ()

    @property
    def had_nothing_to_do(self) -> bool:
        """Whether it ended without doing anything for any model."""
        return self.run.state == "SUCCEEDED" and bool(self.skipped) and not self.results

    @property
    def exit_code(self) -> int:
        """Of a run that has ended: 0 when it succeeded, 2 when the input of a failed step is at fault, else 1."""
        if self.run.state in ("SUCCEEDED", "SKIPPED"):
            return 0
        return 2 if any(note.exit_code == 2 for note in self.failures) else 1


def start_run(server: Server, version: Version, parameters: Mapping[str, object], name: str) -> Run:
    """Start a version of a pipeline.

    Args:
        server: Where.
        version: Of which pipeline.
        parameters: By name; what is left out keeps the pipeline's default.
        name: What people call the run; need not be unique.

    Raises:
        InvalidInput: The parameters do not fit the pipeline; nothing was started.
        PromotionError: The server refuses.
    """
    ir = read_spec(server, version)
    values = check_parameters(ir, parameters)
    check_promotion(ir, values)
    refuse_expansions(values)
    body = {
        "display_name": name,
        "pipeline_version_reference": {"pipeline_id": version.pipeline_id, "pipeline_version_id": version.version_id},
        "runtime_config": {"parameters": values},
    }
    return _run(server.call(server.runs.run_service_create_run, body))


def default_run_name(name: str) -> str:
    """What people call a run that nobody named: the pipeline and the time."""
    return f"{name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


def find_run(server: Server, run_id: str) -> Run:
    """A run by its id.

    Raises:
        PromotionError: There is none.
    """
    return _run(_get(server, run_id))


def _get(server: Server, run_id: str) -> Any:
    try:
        return server.call(server.runs.run_service_get_run, run_id)
    except NotFound as error:
        raise NotFound(str(error), hint="modelcar pipeline list shows the newest runs.") from error


def list_runs(server: Server, limit: int = 20) -> list[Run]:
    """The newest runs of the server, newest first.

    Args:
        server: Where.
        limit: How many at most, 1 to 200.
    """
    answer = server.call(server.runs.run_service_list_runs, page_size=limit, sort_by="created_at desc")
    return [_run(one) for one in answer.runs or ()]


def cancel_run(server: Server, run_id: str) -> Run:
    """End a run; one that has ended is left as it is.

    Returns:
        The run as it was before, or, where it ended or somebody was faster, as it is.

    Raises:
        PromotionError: There is no such run.
    """
    run = find_run(server, run_id)
    if run.state in ENDED:
        return run
    try:
        server.call(server.runs.run_service_terminate_run, run_id)
    except Refused:
        run = find_run(server, run_id)
        if run.state not in (*ENDED, "CANCELING"):
            raise
    return run


def follow(
    server: Server,
    run_id: str,
    tell: Callable[[TaskEvent], None],
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Tell what becomes of a run's steps until it has ended, however it ends.

    Args:
        server: Where it runs.
        run_id: Which run.
        tell: Called for each change of a step.
        wait: Given the seconds until the next look.

    Raises:
        PromotionError: The run is gone, or the server does not answer for long.
    """
    answer = _get(server, run_id)
    follower = Follower(find_steps(_find_spec(server, answer)), tell)
    follower.look(answer)
    late = 0
    while answer.state not in ENDED or (follower.running and late < LOOKS_AFTER_END):
        late += answer.state in ENDED
        wait(LOOK_EVERY_S)
        answer = _get(server, run_id)
        follower.look(answer)
    return _outcome(server, answer, follower)


def look(server: Server, run_id: str) -> Outcome:
    """A run as it is now; it need not have ended.

    Raises:
        PromotionError: There is no such run.
    """
    answer = _get(server, run_id)
    follower = Follower(find_steps(_find_spec(server, answer)), lambda _: None)
    follower.look(answer)
    return _outcome(server, answer, follower)


def _outcome(server: Server, answer: Any, follower: Follower) -> Outcome:
    failures = tuple(find_notes(server, answer)) if answer.state in ENDED - {"SUCCEEDED"} else ()
    skipped, results = "", tuple[str, ...]()
    if answer.state in ("SUCCEEDED", "FAILED"):  # of several models, some may have been promoted
        skipped = "; ".join(find_told(server, answer, SKIP_TASK, find_skip))
        results = find_told(server, answer, REPORT_TASK, find_result)
    url = server.run_url(answer.run_id)
    return Outcome(_run(answer), follower.tasks, failures, skipped, url, follower.seconds, results)


def _find_spec(server: Server, answer: Any) -> Mapping[str, Any]:
    """The PipelineSpec that a run runs."""
    spec = answer.pipeline_spec
    reference = answer.pipeline_version_reference
    if spec is None and reference is not None:
        version = Version(reference.pipeline_id, reference.pipeline_version_id, "", datetime.now(UTC))
        try:
            spec = read_spec(server, version)
        except NotFound:  # somebody deleted the version: its steps have no titles, and the run is told without them
            spec = None
    found: Mapping[str, Any] = (spec or {}).get("pipeline_spec", spec or {})
    return found


def _run(answer: Any) -> Run:
    reference = answer.pipeline_version_reference
    state = "CANCELED" if was_cancelled(answer) else str(answer.state or "PENDING")
    return Run(
        str(answer.run_id),
        str(answer.display_name),
        state,
        str(reference.pipeline_id) if reference is not None else "",
        str(reference.pipeline_version_id) if reference is not None else "",
        answer.created_at,
        answer.finished_at if answer.state in ENDED else None,
    )
