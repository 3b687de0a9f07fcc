"""The commands of `modelcar pipeline` that are about schedules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelcar_pipelines.options import (
    image_option,
    json_option,
    open_server,
    parameter_options,
    print_json,
    server_options,
)

if TYPE_CHECKING:
    from modelcar_pipelines.schedule_status import Schedule
    from modelcar_pipelines.schedules import Surroundings

_wait_option = click.option("--wait", is_flag=True, help="Wait for its active run to end first.")


@click.command("schedule")
@click.argument("pipeline", metavar="PIPELINE")
@click.option("--cron", required=True, metavar="FIELDS", help='Minute, hour, day, month, weekday: "0 2 * * *".')
@click.option("--timezone", "zone", default="UTC", show_default=True, help="Whose clock the fields are of.")
@click.option("--name", default="", help="What it is called; each model needs one.  [default: PIPELINE]")
@parameter_options
@click.option("--version", help="Version that always runs, else the one that is the latest then.")
@click.option("--service-account", default="", help="That its pods run as.")
@click.option("--server-timezone", "server_zone", default="UTC", show_default=True, help="In which the server fires.")
@server_options
@json_option
def schedule_command(
    *,
    pipeline: str,
    cron: str,
    zone: str,
    name: str,
    specs: tuple[Path, ...],
    pairs: tuple[str, ...],
    version: str | None,
    service_account: str,
    server_zone: str,
    as_json: bool,
    **where: Any,
) -> None:
    """Run PIPELINE by a schedule, or change the one that it has.

    Runs that are active go on. At the wrong one of two hours, where clocks change, a run ends at once.
    """
    from modelcar_pipelines.arguments import gather
    from modelcar_pipelines.schedule_plan import ScheduleRequest
    from modelcar_pipelines.schedules import schedule
    from modelcar_pipelines.versions import find_version, read_spec

    server = open_server(**where)
    values = gather(read_spec(server, find_version(server, pipeline, version)), specs=specs, pairs=pairs)
    request = ScheduleRequest(pipeline, cron, zone, values, version, name, service_account, server_zone)
    done = schedule(server, request, _surroundings())
    if as_json:
        print_json({"action": done.action, **_describe(done.schedule)})
    else:
        click.echo(f"{done.schedule.name}: {done.action}")
        _show(done.schedule)


@click.command("apply")
@click.argument("directory", type=click.Path(path_type=Path))
@image_option
@click.option("--no-upload", is_flag=True, help="Make schedules only: something else brings the pipelines.")
@server_options
def apply_command(*, directory: Path, image: str | None, no_upload: bool, **where: Any) -> None:
    """Upload all pipelines, and make the schedules that files in DIRECTORY say.

    What is there as it should be is left alone; a schedule without a file is, too. A file that is at fault keeps no
    other from being applied.
    """
    from modelcar.errors import InvalidInput, PromotionError
    from modelcar_pipelines.catalog import compile_pipelines
    from modelcar_pipelines.declared_schedules import apply_declared, read_declared
    from modelcar_pipelines.showing import show_uploads
    from modelcar_pipelines.step_image import choose_image
    from modelcar_pipelines.upload import upload

    if no_upload and image is not None:
        raise InvalidInput("--image is for what is uploaded, and --no-upload uploads nothing", hint="Leave one out.")
    declared = read_declared(directory)
    pipelines = [] if no_upload else compile_pipelines((), choose_image(image))
    server = open_server(**where)
    show_uploads((compiled.name, upload(server, compiled)) for compiled in pipelines)
    failures: list[PromotionError] = []
    for one in declared:
        try:
            click.echo(f"{one.name}: {apply_declared(server, one, _surroundings())}")
        except PromotionError as error:
            click.echo(f"{one.name}: {error}\n  {error.hint or ''}".rstrip(), err=True)
            failures.append(error)
    if failures:
        raise SystemExit(max(error.exit_code for error in failures))


@click.command("schedules")
@server_options
@json_option
def schedules_command(*, as_json: bool, **where: Any) -> None:
    """List schedules, and when they fire next."""
    from modelcar_pipelines.schedules import list_schedules

    found = list_schedules(open_server(**where))
    if as_json:
        print_json([_describe(one) for one in found])
        return
    for one in found:
        click.echo(one.name)
        _show(one)
    if not found:
        click.echo("There are none. modelcar pipeline schedule makes one.", err=True)


@click.command("pause")
@click.argument("name")
@server_options
def pause_command(*, name: str, **where: Any) -> None:
    """Let schedule NAME fire no more until it is resumed.

    Runs that are active go on.
    """
    from modelcar_pipelines.schedules import pause

    schedule = pause(open_server(**where), name, _surroundings())
    click.echo(f"{schedule.name}: paused")
    _show(schedule)


@click.command("resume")
@click.argument("name")
@server_options
def resume_command(*, name: str, **where: Any) -> None:
    """Let schedule NAME fire again, from now on.

    What was missed is not made up for.
    """
    from modelcar_pipelines.schedules import resume

    schedule = resume(open_server(**where), name, _surroundings())
    click.echo(f"{schedule.name}: resumed")
    _show(schedule)


@click.command("unschedule")
@click.argument("name")
@_wait_option
@server_options
def unschedule_command(*, name: str, wait: bool, **where: Any) -> None:
    """Remove schedule NAME."""
    from modelcar_pipelines.schedules import unschedule

    unschedule(open_server(**where), name, _surroundings(), wait_for_runs=wait)
    click.echo(f"{name} is removed.")


COMMANDS = (schedule_command, apply_command, schedules_command, pause_command, resume_command, unschedule_command)


def _surroundings() -> Surroundings:
    from modelcar_pipelines.schedules import Surroundings

    return Surroundings(tell=lambda line: click.echo(line, err=True))


def _show(schedule: Schedule) -> None:
    from modelcar_pipelines.showing import schedule_lines

    for line in schedule_lines(schedule):
        click.echo(f"  {line}")


def _describe(schedule: Schedule) -> dict[str, Any]:
    from modelcar_pipelines.promoted import describe_promoted

    return {
        "name": schedule.name,
        "recurring_run_id": schedule.recurring_run_id,
        "scheduled": str(schedule.scheduled),
        "kfp_cron": schedule.kfp_cron,
        "pipeline": schedule.pipeline or None,
        "pipeline_id": schedule.pipeline_id,
        "version_id": schedule.version_id or None,
        "version": schedule.version or None,
        "parameters": dict(schedule.parameters),
        "promotes": describe_promoted(schedule.parameters) or None,
        "paused": schedule.paused,
        "changing": schedule.changing,
        "next_fires": [fire.isoformat() for fire in schedule.next_fires],
    }
