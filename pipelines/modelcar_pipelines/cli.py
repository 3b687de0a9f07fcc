"""The command group `modelcar pipeline`: options are read here, all else is done by the other modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelcar_pipelines.cli_run import follow, run_command
from modelcar_pipelines.cli_schedules import COMMANDS
from modelcar_pipelines.compiled_files import DIRECTORY
from modelcar_pipelines.options import (
    image_option,
    json_option,
    open_server,
    print_json,
    server_options,
    training_options,
    workspace_option,
)

if TYPE_CHECKING:
    from modelcar_pipelines.sizes import TrainingSize


@click.group("pipeline")
def pipeline() -> None:
    """Compile, upload, run and schedule promotions on Kubeflow Pipelines."""


@pipeline.command("compile")
@click.argument("names", nargs=-1, metavar="[NAMES]")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file is not what the source gives.")
@image_option
@workspace_option
@training_options
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    default=DIRECTORY,
    show_default=True,
    help="Where the files are.",
)
def compile_command(names: tuple[str, ...], *, check: bool, directory: Path, **what: Any) -> None:
    """Write pipelines as Kubeflow Pipelines and Tekton take them.

    Without NAMES, all pipelines of this package.
    """
    from modelcar_pipelines.catalog import compile_pipelines
    from modelcar_pipelines.compiled_files import find_drift, list_files, write_files

    files = list_files(compile_pipelines(names, **what))
    if check:
        drift = find_drift(files, directory)
        for one in drift:
            click.echo(one.diff, nl=False)
        if drift:
            paths = ", ".join(str(one.path) for one in drift)
            click.echo(f"Not what the source gives: {paths}. modelcar pipeline compile writes them anew.", err=True)
            raise SystemExit(1)
        click.echo(f"{directory} is up to date with the source: {len(files)} files.", err=True)
        return
    written = write_files(files, directory)
    for name in files:
        click.echo(f"{directory / name}  {'written' if directory / name in written else 'unchanged'}")


@pipeline.command("upload")
@click.argument("names", nargs=-1, metavar="[NAMES]")
@image_option
@workspace_option
@training_options
@server_options
@json_option
def upload_command(
    names: tuple[str, ...],
    *,
    image: str | None,
    workspace_size: str | None,
    training: TrainingSize,
    as_json: bool,
    **where: Any,
) -> None:
    """Make pipelines the latest on the server.

    What is there is not sent. Without NAMES, all pipelines of this package.
    """
    from modelcar_pipelines.catalog import compile_pipelines
    from modelcar_pipelines.showing import show_uploads
    from modelcar_pipelines.step_image import choose_image
    from modelcar_pipelines.upload import upload

    pipelines = compile_pipelines(names, choose_image(image), workspace_size, training)
    server = open_server(**where)
    done = ((compiled.name, upload(server, compiled)) for compiled in pipelines)
    if as_json:
        print_json(
            {
                name: {"pipeline_id": one.version.pipeline_id, "version_id": one.version.version_id}
                | {"version": one.version.name, "created": one.created}
                for name, one in done
            }
        )
    else:
        show_uploads(done)


@pipeline.command("list")
@click.option("--runs", "count", type=click.IntRange(0, 200), default=10, show_default=True, help="Newest runs shown.")
@server_options
@json_option
def list_command(*, count: int, as_json: bool, **where: Any) -> None:
    """List the pipelines of the server, and its newest runs."""
    from modelcar_pipelines.runs import list_runs
    from modelcar_pipelines.showing import describe_run, show_lists
    from modelcar_pipelines.versions import list_pipelines

    server = open_server(**where)
    pipelines = list_pipelines(server)
    runs = list_runs(server, count) if count else []
    if as_json:
        latest = {name: version.name if version is not None else None for name, version in pipelines}
        print_json({"pipelines": latest, "runs": [describe_run(run) for run in runs]})
    else:
        show_lists(pipelines, runs)


@pipeline.command("status")
@click.argument("run_id", metavar="RUN")
@click.option("--wait", is_flag=True, help="Follow the run's steps to its end; the exit code is the run's.")
@server_options
@json_option
def status_command(run_id: str, *, wait: bool, as_json: bool, **where: Any) -> None:
    """Show the steps of a run, and why it failed if it did."""
    from modelcar_pipelines.runs import look
    from modelcar_pipelines.showing import StepLines, describe_outcome, show_outcome

    server = open_server(**where)
    outcome = follow(server, run_id, _quiet if as_json else StepLines()) if wait else look(server, run_id)
    if as_json:
        print_json(describe_outcome(outcome))
    else:
        if not wait:
            for event in outcome.tasks.values():
                StepLines(seconds=outcome.seconds)(event)
        show_outcome(outcome)
    if wait:
        raise SystemExit(outcome.exit_code)


@pipeline.command("cancel")
@click.argument("run_id", metavar="RUN")
@server_options
def cancel_command(run_id: str, **where: Any) -> None:
    """End a run; what it did stays, and the next run finds it."""
    from modelcar_pipelines.runs import ENDED, cancel_run

    state = cancel_run(open_server(**where), run_id).state
    click.echo(f"{run_id} has ended already: {state}." if state in ENDED else f"{run_id} is being cancelled.")


def _quiet(event: Any) -> None:
    """Tell nobody."""


for command in (run_command, *COMMANDS):
    pipeline.add_command(command)
