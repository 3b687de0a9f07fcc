"""The `modelcar` command. Options are read here; everything else is done by the library."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from modelcar.errors import InvalidInput, PromotionError
from modelcar.options import (
    access_options,
    check_spec_alone,
    concurrency_option,
    forecast_options,
    image_options,
    json_option,
    make_access,
    make_request,
    parse_pairs,
    read_rates,
    read_serving,
    reuse_from_option,
    reuse_option,
    source_options,
)

_GROUPS = "modelcar.commands"


class _Cli(click.Group):
    """Our commands, and the groups that other packages add by entry point."""

    def list_commands(self, context: click.Context) -> list[str]:
        from importlib.metadata import entry_points

        return sorted({*super().list_commands(context), *(point.name for point in entry_points(group=_GROUPS))})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if (own := super().get_command(context, name)) is not None:
            return own
        from importlib.metadata import entry_points  # a tenth of what a push takes to begin

        for point in entry_points(group=_GROUPS, name=name):
            try:
                command: click.Command = point.load()
            except ModuleNotFoundError as error:
                _fail(
                    InvalidInput(
                        f"modelcar {name} needs the package {error.name}",
                        hint=f"pip install 'modelcar-pipelines[{name}]'.",
                    )
                )
            return command
        return None


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="modelcar-pipelines")
@click.option("--debug", is_flag=True, help="Show tracebacks and every step.")
def cli(*, debug: bool) -> None:
    """Promote a model: into a ModelCar image, the Model Registry, and the manifest in git."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", handlers=[_Echo()])
    # Only our own lines: HTTP libraries would print the signed addresses and headers that they send.
    logging.getLogger("modelcar").setLevel(logging.DEBUG if debug else logging.WARNING)


class _Echo(logging.Handler):
    """Log lines to whatever standard error is at the moment.

    While bars stand there it is rich's, which writes above them; click.echo would write past it, into them.
    """

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record).replace("WARNING", "warning", 1), file=sys.stderr)


@cli.command("push")
@click.argument("source")
@click.argument("destination")
@image_options
@reuse_from_option
@reuse_option
@concurrency_option
@access_options
@json_option
def push_command(source: str, destination: str, *, concurrency: int, as_json: bool, **options: Any) -> None:
    """Build a ModelCar image from SOURCE and push it to DESTINATION.

    SOURCE is hf://org/name[@revision], s3://bucket/prefix, file:///directory, or oci://registry/repository[:tag], which
    copies a ModelCar. DESTINATION is registry/repository[:tag], or oci-layout:DIRECTORY[:tag].
    """
    from modelcar.build import execute, prepare
    from modelcar.display import show_progress, stderr_console
    from modelcar.drawing import draw_push
    from modelcar.report import describe_push

    request, access = make_request(source, destination, **options), make_access(concurrency, **options)
    build = prepare(request, access, will_push=True)
    with show_progress(build.plan.size_bytes, stderr_console()) as progress:
        image = execute(build, concurrency=concurrency, progress=progress)
    _print(describe_push(image), as_json, lambda: draw_push(image))


@cli.command("plan")
@click.argument("what", nargs=-1, required=True, metavar="SPEC | SOURCE DESTINATION")
@image_options
@reuse_from_option
@access_options
@forecast_options
@json_option
def plan_command(
    what: tuple[str, ...],
    *,
    manifest: Path | None,
    gpu_memory: str | None,
    rate: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a promotion or a push would do; nothing is moved or changed.

    What is read, sent and reused, what the registry would refuse, how long it takes at least, and whether the model
    fits the GPUs that its InferenceService asks for.
    """
    from modelcar.build import prepare
    from modelcar.drawing import draw_plan
    from modelcar.forecast import make_forecast
    from modelcar.report import describe_plan

    access = make_access(1, **options)
    memory_bytes, rate_bytes_per_s = read_rates(gpu_memory, rate)
    if len(what) == 1:
        check_spec_alone(what[0])
        from modelcar.forecast import Serving
        from modelcar.promotion import plan_promotion
        from modelcar.spec import load_spec

        spec = load_spec(Path(what[0]))
        planned = plan_promotion(spec, access=access, tell=lambda line: click.echo(line, err=True))
        build, where = planned.build, spec.inference_service
        texts = (planned.manifest.text, *planned.beside)
        serving: Serving | None = Serving(texts, where.name, where.namespace, memory_bytes)
    elif len(what) == 2:
        serving = read_serving(manifest, memory_bytes)
        build = prepare(make_request(*what, **options), access)
    else:
        raise click.UsageError("plan takes one SPEC, or SOURCE and DESTINATION.")
    forecast = make_forecast(build, rate_bytes_per_s=rate_bytes_per_s, serving=serving)
    _print(describe_plan(build, forecast), as_json, lambda: draw_plan(build, forecast))


@cli.command("download")
@click.argument("source")
@click.argument("directory", type=click.Path(path_type=Path))
@source_options
@concurrency_option
@json_option
def download_command(
    source: str, directory: Path, *, allow_pickle: tuple[str, ...], concurrency: int, as_json: bool, **options: Any
) -> None:
    """Download the model of SOURCE into DIRECTORY, for steps that need files.

    Run it again when it was stopped: it goes on where it was. The directory holds the model's files and no others.
    """
    from modelcar.display import show_progress, stderr_console
    from modelcar.drawing import draw_download
    from modelcar.report import describe_download
    from modelcar.retry import CONTACT_ATTEMPTS, retry
    from modelcar.sources.open import open_source
    from modelcar.workspace.download import download

    opened = open_source(source, allow_pickle=allow_pickle, **options)
    snapshot = retry(opened.snapshot, attempts=CONTACT_ATTEMPTS)
    with show_progress(snapshot.size_bytes, stderr_console(), done="downloaded") as progress:
        downloaded = download(
            snapshot, opened, directory, allow_pickle=allow_pickle, concurrency=concurrency, progress=progress
        )
    _print(describe_download(downloaded), as_json, lambda: draw_download(downloaded))


@cli.command("promote")
@click.argument("spec", type=click.Path(path_type=Path))
@reuse_option
@concurrency_option
@access_options
@json_option
def promote_command(spec: Path, *, reuse: bool, concurrency: int, as_json: bool, **options: Any) -> None:
    """Promote the model of SPEC: push its image, register it, patch the manifest in git.

    Run it again whenever you like: what is there is not done again.
    """
    from modelcar.display import show_progress, stderr_console
    from modelcar.drawing import draw_promotion
    from modelcar.promotion import promote
    from modelcar.report import describe_promotion
    from modelcar.spec import load_spec

    promotion = promote(
        load_spec(spec),
        access=make_access(concurrency, **options),
        concurrency=concurrency,
        reuse=reuse,
        tell=lambda line: click.echo(line, err=True),
        show_progress=lambda total_bytes: show_progress(total_bytes, stderr_console()),
    )
    _print(describe_promotion(promotion), as_json, lambda: draw_promotion(promotion))


@cli.command("register")
@click.argument("image")
@click.option("--model", required=True, metavar="NAME", help="Registered model; made if it is not there.")
@click.option("--model-version", metavar="NAME", help="Version; by default the first 12 hex digits of the digest.")
@click.option("--url", envvar="MODEL_REGISTRY_URL", show_envvar=True, help="The Model Registry.")
@click.option("--source", "source_uri", metavar="URI", help="Where the model came from.")
@click.option("--commit-hash", help="The source's commit.")
@click.option("--author", help="Of the version.")
@click.option("--description", help="Of the version.")
@access_options
@json_option
def register_command(image: str, *, as_json: bool, **options: Any) -> None:
    """Register IMAGE in the Model Registry, as a version of a model.

    IMAGE is registry/repository@sha256:…, as push prints it. What is there is looked up and not made again.
    """
    from modelcar.drawing import draw_registration
    from modelcar.registering import register_image
    from modelcar.report import describe_registration

    access = make_access(1, **options)
    names = ("model", "model_version", "url", "source_uri", "commit_hash", "author", "description")
    registered = register_image(image, access=access, **{name: options[name] for name in names})
    _print(describe_registration(registered), as_json, lambda: draw_registration(registered))


@cli.command("patch")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="metadata.name of the InferenceService.")
@click.option("--namespace", help="metadata.namespace, where the name alone does not tell.")
@click.option("--storage-uri", required=True, metavar="URI", help="oci://registry/repository@sha256:…")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Label to set. Repeatable.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Annotation to set. Repeatable.")
@click.option("--expect", metavar="OLD", help="Stop unless the manifest still says this.")
@click.option("--write", is_flag=True, help="Change the file; without it only the diff is printed.")
def patch_command(
    file: Path, *, write: bool, labels: tuple[str, ...], annotations: tuple[str, ...], **edit: Any
) -> None:
    """Put a storageUri into the manifest FILE, and change no other byte.

    The diff is printed. FILE may hold several documents; the InferenceService is found by its name.
    """
    from modelcar.delivery.inference_service import Edit
    from modelcar.delivery.manifest_file import patch_file

    wanted = Edit(labels=parse_pairs(labels, "--label"), annotations=parse_pairs(annotations, "--annotation"), **edit)
    diff = patch_file(file, wanted, write=write)
    click.echo(diff, nl=False)
    if not diff:
        click.echo(f"{file} says so already: nothing to change.", err=True)
    elif not write:
        click.echo(f"{file} is as it was; --write changes it.", err=True)


def _print(value: dict[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        show()


def _fail(error: PromotionError) -> NoReturn:
    click.echo(f"Error: {error}", err=True)
    if error.hint:
        click.echo(error.hint, err=True)
    raise SystemExit(error.exit_code)


def main() -> None:
    """Run the command; every failure is one clear sentence and an exit code, tracebacks only with `--debug`."""
    debug = "--debug" in sys.argv[1:]
    _prepare_process()
    try:
        cli.main(prog_name="modelcar", standalone_mode=False)
    except PromotionError as error:
        if debug:
            traceback.print_exc()
        _fail(error)
    except click.exceptions.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Nothing names a half-done image; run it again, and it goes on.", err=True)
        # Everything is unwound, but a layer's thread may wait minutes for its registry; the interpreter would wait too.
        os._exit(130)
    except Exception as error:
        if debug:
            raise
        click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        click.echo("This is a fault in modelcar; --debug shows where.", err=True)
        raise SystemExit(1) from None


def _prepare_process() -> None:
    """Let a terminal without UTF-8 show what it can, and let SIGTERM unwind like Ctrl-C: it is how pods are ended."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, _stop)


def _stop(signum: int, frame: object) -> NoReturn:  # noqa: ARG001 - what signal handlers are given
    raise KeyboardInterrupt
