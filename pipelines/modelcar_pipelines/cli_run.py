"""`modelcar pipeline run`, and how a run is followed: options are read here, all else is done by the other modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelcar.errors import PipelineServerError
from modelcar_pipelines.cli_tekton import run_on_tekton
from modelcar_pipelines.options import (
    image_option,
    json_option,
    open_server,
    parameter_options,
    print_json,
    server_options,
)

if TYPE_CHECKING:
    from modelcar_pipelines.connection import Server
    from modelcar_pipelines.events import TaskEvent
    from modelcar_pipelines.runs import Outcome


@click.command("run")
@click.argument("name")
@parameter_options
@click.option(
    "--wait/--no-wait",
    default=None,
    help="Follow the run's steps to its end; the exit code is the run's. Only Tekton's runs are followed anyway.",
)
@click.option("--local", is_flag=True, help="Run it in processes of this machine, without a server.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="With --local: where the run writes.")
@click.option("--run-name", help="What people call the run.")
@click.option("--tekton", is_flag=True, help="Run it on Tekton, in the namespace that the kubeconfig names.")
@click.option("--dry-run", is_flag=True, help="With --tekton: print the PipelineRun and start nothing.")
@image_option
@server_options
@json_option
def run_command(
    name: str,
    *,
    specs: tuple[Path, ...],
    pairs: tuple[str, ...],
    wait: bool | None,
    local: bool,
    directory: Path | None,
    run_name: str | None,
    tekton: bool,
    dry_run: bool,
    image: str | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Run the latest version of a pipeline.

    With --local, run the one of this package in processes of this machine; with --tekton, the Pipeline of its name that
    the namespace has.
    """
    if tekton:
        if local or as_json or not all(value is None for value in (directory, image, run_name)):
            raise click.UsageError("--tekton goes without --local, --json, --dir, --image and --run-name.")
        run_on_tekton(name, specs, pairs, wait=wait, dry_run=dry_run, **where)
        return
    if dry_run:
        raise click.UsageError("--dry-run goes with --tekton.")
    if local:
        if as_json:
            raise click.UsageError("--json goes without --local.")
        _run_locally(name, specs, pairs, directory, run_name, image, **where)
        return
    if directory is not None or image is not None:
        raise click.UsageError("--dir and --image go with --local; upload takes --image, too.")
    _run_on_server(name, specs, pairs, wait=bool(wait), run_name=run_name, as_json=as_json, **where)


def _run_on_server(
    name: str,
    specs: tuple[Path, ...],
    pairs: tuple[str, ...],
    *,
    wait: bool,
    run_name: str | None,
    as_json: bool,
    **where: Any,
) -> None:
    from modelcar_pipelines.arguments import gather
    from modelcar_pipelines.runs import default_run_name, start_run
    from modelcar_pipelines.showing import StepLines, describe_outcome, describe_run, show_outcome
    from modelcar_pipelines.versions import find_version, read_spec

    server = open_server(**where)
    version = find_version(server, name)
    values = gather(read_spec(server, version), specs=specs, pairs=pairs)
    run = start_run(server, version, values, run_name or default_run_name(name))
    click.echo(f"{run.name}: run {run.run_id} of {version.name}\n{server.run_url(run.run_id)}", err=True)
    if not wait:
        if as_json:
            print_json({**describe_run(run), "url": server.run_url(run.run_id)})
        else:
            click.echo(run.run_id)
        return
    outcome = follow(server, run.run_id, StepLines())
    if as_json:
        print_json(describe_outcome(outcome))
    else:
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


def follow(server: Server, run_id: str, tell: Callable[[TaskEvent], None]) -> Outcome:
    """Follow a run to its end; whoever stops waiting is told that the run goes on."""
    from modelcar_pipelines import runs
    from modelcar_pipelines.failures import NotFound

    try:
        return runs.follow(server, run_id, tell)
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
