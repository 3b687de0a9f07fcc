"""The command group `modelcar pipeline`: options are read here, all else is done by the other modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelcar.errors import PipelineServerError
from modelcar_pipelines.cli_schedules import COMMANDS
from modelcar_pipelines.cli_tekton import run_on_tekton
from modelcar_pipelines.compiled_files import DIRECTORY
from modelcar_pipelines.options import (
    image_option,
    json_option,
    open_server,
    parameter_options,
    print_json,
    server_options,
    training_options,
    workspace_option,
)

if TYPE_CHECKING:
    from modelcar_pipelines.connection import Server
    from modelcar_pipelines.events import TaskEvent
    from modelcar_pipelines.runs import Outcome
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
        ones = "1 file" if len(files) == 1 else f"{len(files)} files"
        click.echo(f"{directory} is up to date with the source: {ones}.", err=True)
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
    from modelcar_pipelines.step_image import choose_image
    from modelcar_pipelines.upload import upload

    pipelines = compile_pipelines(names, choose_image(image), workspace_size, training)
    server = open_server(**where)
    done = {compiled.name: upload(server, compiled) for compiled in pipelines}
    if as_json:
        print_json(
            {
                name: {"pipeline_id": one.version.pipeline_id, "version_id": one.version.version_id}
                | {"version": one.version.name, "created": one.created}
                for name, one in done.items()
            }
        )
        return
    for name, one in done.items():
        click.echo(f"{name}  {one.version.name}  {'uploaded' if one.created else 'is the latest already'}")


@pipeline.command("run")
@click.argument("name")
@parameter_options
@click.option("--wait", is_flag=True, help="Follow the run's steps to its end; the exit code is the run's.")
@click.option("--local", is_flag=True, help="Run it in processes of this machine, without a server.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="With --local: where the run writes.")
@click.option("--run-name", help="What people call the run.")
@click.option("--tekton", is_flag=True, help="Run it on Tekton, in the namespace that the kubeconfig names.")
@click.option("--dry-run", is_flag=True, help="With --tekton: print the PipelineRun and start nothing.")
@image_option
@server_options
def run_command(
    name: str,
    *,
    specs: tuple[Path, ...],
    pairs: tuple[str, ...],
    wait: bool,
    local: bool,
    directory: Path | None,
    run_name: str | None,
    tekton: bool,
    dry_run: bool,
    image: str | None,
    **where: Any,
) -> None:
    """Run the latest version of a pipeline.

    With --local, run the one of this package in processes of this machine; with --tekton, the Pipeline of its name that
    the namespace has.
    """
    if tekton:
        if local or directory is not None or image is not None or run_name is not None:
            raise click.UsageError("--tekton goes without --local, --dir, --image and --run-name.")
        run_on_tekton(name, specs, pairs, wait=wait, dry_run=dry_run, **where)
        return
    if dry_run:
        raise click.UsageError("--dry-run goes with --tekton.")
    if local:
        _run_locally(name, specs, pairs, directory, run_name, image, **where)
        return
    if directory is not None or image is not None:
        raise click.UsageError("--dir and --image go with --local; upload takes --image, too.")
    from modelcar_pipelines.arguments import gather
    from modelcar_pipelines.runs import default_run_name, start_run
    from modelcar_pipelines.showing import StepLines, show_outcome
    from modelcar_pipelines.versions import find_version, read_spec

    server = open_server(**where)
    version = find_version(server, name)
    values = gather(read_spec(server, version), specs=specs, pairs=pairs)
    run = start_run(server, version, values, run_name or default_run_name(name))
    click.echo(f"{run.name}: run {run.run_id} of {version.name}\n{server.run_url(run.run_id)}", err=True)
    if not wait:
        click.echo(run.run_id)
        return
    outcome = _follow(server, run.run_id, StepLines())
    show_outcome(outcome)
    raise SystemExit(outcome.exit_code)


def _run_locally(
    name: str,
    specs: tuple[Path, ...],
    pairs: tuple[str, ...],
    directory: Path | None,
    run_name: str | None,
    image: str | None,
    **where: Any,
) -> None:
    if any(value is not None for value in where.values()):
        raise click.UsageError("--local takes no server.")
    import tempfile

    from modelcar_pipelines.arguments import gather
    from modelcar_pipelines.catalog import compile_pipeline
    from modelcar_pipelines.local_run import run_locally
    from modelcar_pipelines.showing import StepLines, show_local

    compiled = compile_pipeline(name, image)
    values = gather(compiled.file.spec, specs=specs, pairs=pairs)
    with tempfile.TemporaryDirectory(prefix="modelcar-compiled-") as scratch:
        path = Path(scratch) / f"{name}.yaml"
        path.write_text(compiled.text, encoding="utf-8")
        done = run_locally(path, values, directory=directory, tell=StepLines(), run_name=run_name)
    raise SystemExit(show_local(done))


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
    outcome = _follow(server, run_id, _quiet if as_json else StepLines()) if wait else look(server, run_id)
    if as_json:
        print_json(describe_outcome(outcome))
    else:
        if not wait:
            for event in outcome.tasks.values():
                StepLines()(event)
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


def _follow(server: Server, run_id: str, tell: Callable[[TaskEvent], None]) -> Outcome:
    """Follow a run to its end; whoever stops waiting is told that the run goes on."""
    from modelcar_pipelines.failures import NotFound
    from modelcar_pipelines.runs import follow

    try:
        return follow(server, run_id, tell)
    except KeyboardInterrupt:
        click.echo(
            f"Stopped waiting; the run goes on. modelcar pipeline status {run_id} --wait follows it again, "
            f"modelcar pipeline cancel {run_id} ends it.",
            err=True,
        )
        raise SystemExit(130) from None
    except PipelineServerError as error:
        if isinstance(error, NotFound):  # there is no run to go on
            raise
        again = f"This does not end the run; modelcar pipeline status {run_id} --wait follows it again."
        error.hint = f"{error.hint} {again}" if error.hint else again
        raise


def _quiet(event: Any) -> None:
    """Tell nobody."""


for command in COMMANDS:
    pipeline.add_command(command)
