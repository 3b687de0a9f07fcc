"""What a notebook asks of a pipeline server; `modelcar pipeline` does the same with the same functions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput, PromotionError
from modelcar_pipelines import connection
from modelcar_pipelines.arguments import SPEC, SPECS, SpecLike, read_spec_text, take_spec
from modelcar_pipelines.catalog import PIPELINES, compile_pipeline, compile_pipelines
from modelcar_pipelines.connection import Server
from modelcar_pipelines.notebook.live import LiveRun
from modelcar_pipelines.notebook.plans import PromotionPlan, TrainingPlan, make_plan
from modelcar_pipelines.notebook.runs import PipelineRun, PipelineRuns, RunFailed, show_run
from modelcar_pipelines.notebook.schedules import PipelineSchedule, PipelineSchedules
from modelcar_pipelines.runs import Run, cancel_run, default_run_name, follow, list_runs, look, start_run
from modelcar_pipelines.schedule_plan import ScheduleRequest
from modelcar_pipelines.schedules import Surroundings, list_schedules, pause, resume, schedule, unschedule
from modelcar_pipelines.sizes import TrainingSize
from modelcar_pipelines.step_image import choose_image
from modelcar_pipelines.upload import upload
from modelcar_pipelines.versions import Version, find_pipeline, find_version, list_pipelines

_AROUND = Surroundings(tell=lambda line: print(line, file=sys.stderr, flush=True))
"""What is waited for is said; standard error is shown below a cell, too."""


class Pipelines:
    """The pipelines of one server; `connect` makes it.

    Specs are given as a file's path, as text, as a mapping of the same keys, or as a PromotionSpec. What is returned
    draws itself in a notebook. Errors are `modelcar.errors.PromotionError`: one sentence, and a hint.

    Attributes:
        server: Where everything is asked.
    """

    def __init__(self, server: Server) -> None:
        self.server = server

    def __repr__(self) -> str:
        where = f", namespace {self.server.namespace}" if self.server.namespace else ""
        return f"Pipelines at {self.server.url}{where}"

    def plan(self, spec: SpecLike) -> PromotionPlan | TrainingPlan:
        """Find out what a promotion would read, send and reuse, or whether a retraining would train.

        Everything is asked from here, with the credentials that are here; nothing is moved or changed.

        Raises:
            PromotionError: What would stop the run early.
        """
        return make_plan(take_spec(spec).spec)

    def promote(self, spec: SpecLike, *, wait: bool = True) -> PipelineRun:
        """Promote a model; run again, it does only what is missing.

        Raises:
            RunFailed: It was waited for, and failed.
            PromotionError: It could not be started.
        """
        return self.run("promote-model", spec=spec, wait=wait)

    def promote_models(self, specs: Iterable[SpecLike], *, wait: bool = True) -> PipelineRun:
        """Promote several models in one run; one that fails does not stop the others.

        Raises:
            RunFailed: It was waited for, and one failed.
            PromotionError: It could not be started.
        """
        return self.run("promote-models", specs=_listed(specs), wait=wait)

    def retrain(self, spec: SpecLike, *, wait: bool = True) -> PipelineRun:
        """Train when base model, data or recipe are new, and promote what comes of it.

        Raises:
            RunFailed: It was waited for, and failed.
            PromotionError: It could not be started.
        """
        return self.run("retrain-and-promote", spec=spec, wait=wait)

    def upload(
        self,
        *names: str,
        image: str | None = None,
        workspace_size: str | None = None,
        training: TrainingSize | None = None,
    ) -> dict[str, str]:
        """Make pipelines of this package the latest versions on the server; what is there is not sent.

        Args:
            names: All when none is named.
            image: Step image; else that of `MODELCAR_STEP_IMAGE`, else this release's.
            workspace_size: Of the volume, where a pipeline has one.
            training: Of the step that trains, where a pipeline has one.

        Returns:
            The name of the latest version, by pipeline.

        Raises:
            InvalidInput: There is no such pipeline or image, or a size that is none, or is for none of them.
            PromotionError: The server refuses.
        """
        compiled = compile_pipelines(names, choose_image(image), workspace_size, training)
        return {one.name: upload(self.server, one).version.name for one in compiled}

    def pipelines(self) -> dict[str, str | None]:
        """The pipelines of the server with the names of their latest versions, None for one that has no version."""
        return {name: one.name if one is not None else None for name, one in list_pipelines(self.server)}

    def run(self, pipeline: str, /, *, wait: bool = True, run_name: str = "", **parameters: Any) -> PipelineRun:
        """Run the latest version of a pipeline; one of this package's that the server lacks is uploaded first.

        Args:
            pipeline: Name of the pipeline.
            wait: Show its steps as they go, until it has ended.
            run_name: What people call the run; else the pipeline and the time.
            parameters: Of the pipeline; `spec` and the items of `specs` as everywhere here.

        Returns:
            The run as it is then.

        Raises:
            RunFailed: It was waited for, and failed or was cancelled.
            InvalidInput: The parameters do not fit; nothing was started.
            PromotionError: Waiting was interrupted; the run goes on.
        """
        values = _values(parameters)
        started = start_run(self.server, self._ready(pipeline), values, run_name or default_run_name(pipeline))
        if not wait:
            return self.status(started.run_id)
        try:
            live = LiveRun(started, self.server.run_url(started.run_id))
            ended = show_run(self.server, follow(self.server, started.run_id, live))
        except KeyboardInterrupt:
            raise _left(started) from None
        live.end(ended)
        if ended.outcome.exit_code:
            raise RunFailed(ended)
        return ended

    def status(self, run: PipelineRun | str) -> PipelineRun:
        """Look at a run, by its id or as it was seen before."""
        return show_run(self.server, look(self.server, _id_of(run)))

    def runs(self, limit: int = 20) -> PipelineRuns:
        """The newest runs, newest first; at most 200.

        Raises:
            InvalidInput: The limit is no number from 1 to 200.
        """
        if limit not in range(1, 201):
            raise InvalidInput(f"{limit!r} is no number of runs to show", hint="Write a whole number from 1 to 200.")
        return PipelineRuns(list_runs(self.server, limit))

    def cancel(self, run: PipelineRun | str) -> PipelineRun:
        """End a run; what it did stays, and the next run finds it."""
        cancel_run(self.server, _id_of(run))
        return self.status(run)

    def schedule(
        self,
        pipeline: str,
        /,
        *,
        cron: str,
        timezone: str = "UTC",
        schedule_name: str = "",
        pinned: str | None = None,
        service_account: str = "",
        server_zone: str = "UTC",
        **parameters: Any,
    ) -> PipelineSchedule:
        """Run a pipeline by a schedule, or change the schedule that it has; runs that are active go on.

        Args:
            pipeline: Name of the pipeline; uploaded as by `run`.
            cron: Minute, hour, day, month, weekday: `0 2 * * *`.
            timezone: Whose clock the fields are of.
            schedule_name: What the schedule is called, else as the pipeline, for the first model that it is for.
            pinned: Version that always runs; without it, the one that is the latest when the time comes.
            service_account: That its pods run as; empty for the server's choice.
            server_zone: The server's own time zone, which it does not tell.
            parameters: Of the pipeline; `spec` and the items of `specs` as everywhere here.

        Raises:
            InvalidInput: It can never fire, or the server cannot say it; the parameters do not fit; or it has no name,
                and the schedule of the pipeline's name promotes another model.
        """
        if not isinstance(cron, str):
            raise InvalidInput(f"{cron!r} is no schedule", hint='Write five fields as a text: "0 2 * * *".')
        values = _values(parameters)
        self._ready(pipeline)
        request = ScheduleRequest(pipeline, cron, timezone, values, pinned, schedule_name, service_account, server_zone)
        with _told_when_interrupted(schedule_name or pipeline):
            done = schedule(self.server, request, _AROUND)
        return PipelineSchedule(done.schedule, done.action)

    def schedules(self) -> PipelineSchedules:
        """All schedules that were made here or by `modelcar pipeline schedule`."""
        return PipelineSchedules(PipelineSchedule(one) for one in list_schedules(self.server))

    def pause(self, name: str) -> PipelineSchedule:
        """Let a schedule fire no more until it is resumed."""
        return PipelineSchedule(pause(self.server, name), "paused")

    def resume(self, name: str) -> PipelineSchedule:
        """Let a schedule fire again; what was missed is not made up for."""
        with _told_when_interrupted(name):
            return PipelineSchedule(resume(self.server, name, _AROUND), "resumed")

    def unschedule(self, name: str, *, wait: bool = False) -> PipelineSchedules:
        """Remove a schedule; returns those that are left.

        Args:
            name: Of the schedule.
            wait: Wait for its active run to end, which would be ended with it.

        Raises:
            PromotionError: A run of it is active, and not to be waited for.
        """
        with _told_when_interrupted(name):
            unschedule(self.server, name, _AROUND, wait_for_runs=wait)
        return self.schedules()

    def _ready(self, pipeline: str) -> Version:
        """The latest version; of this package when the server has none."""
        if pipeline in PIPELINES and find_pipeline(self.server, pipeline) is None:
            return upload(self.server, compile_pipeline(pipeline, choose_image(None))).version
        return find_version(self.server, pipeline)


@contextmanager
def _told_when_interrupted(name: str) -> Iterator[None]:
    """Who stops waiting for a schedule to be changed is told how it stands."""
    try:
        yield
    except KeyboardInterrupt:
        raise PromotionError(
            f"stopped while the schedule {name} was changed; nothing of it fires until that is finished",
            hint="Call it again when the active run has ended: what was begun is finished then.",
        ) from None


def connect(
    *,
    endpoint: str | None = None,
    namespace: str | None = None,
    token: str | None = None,
    token_file: Path | str | None = None,
    ca_file: Path | str | None = None,
    token_in_clear: bool = False,
) -> Pipelines:
    """Reach the pipeline server that the arguments, the environment or the namespace name.

    Args:
        endpoint: The server's address; else `KF_PIPELINES_ENDPOINT`, else it is found in the namespace.
        namespace: Where it is looked for; else the workbench's.
        token: Bearer token; else the environment's, else the workbench's own.
        token_file: Holds one; read again for every request.
        ca_file: Certificates to trust (PEM).
        token_in_clear: Send a token to an http:// address as well.

    Raises:
        InvalidInput: An address or a file that cannot be used.
        PipelineServerError: None is found, it does not answer, or it does not let us in.
    """
    server = connection.connect(
        endpoint=endpoint,
        namespace=namespace,
        token=token,
        token_file=Path(token_file) if token_file is not None else None,
        ca_file=Path(ca_file) if ca_file is not None else None,
        token_in_clear=token_in_clear,
    )
    server.check()
    return Pipelines(server)


def _values(parameters: Mapping[str, Any]) -> dict[str, object]:
    """Parameters with specs as the texts that the pipelines take."""
    values = dict(parameters)
    if SPEC in values:
        values[SPEC] = read_spec_text(values[SPEC])
    if SPECS in values:
        values[SPECS] = [read_spec_text(one) for one in _listed(values[SPECS])]
    return values


def _left(run: Run) -> PromotionError:
    """Waiting for a run was interrupted: the cell ends, and those below it are not run."""
    return PromotionError(
        f"waiting for the run {run.name} was stopped; the run goes on",
        hint=f"status({run.run_id!r}) looks at it, cancel({run.run_id!r}) ends it.",
    )


def _listed(specs: object) -> list[Any]:
    if isinstance(specs, str | bytes | Mapping) or not isinstance(specs, Iterable):
        raise InvalidInput("specs is not a list", hint="Write [first, second].")
    return list(specs)


def _id_of(run: PipelineRun | str) -> str:
    return run if isinstance(run, str) else run.run_id
