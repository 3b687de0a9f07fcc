"""The `modelcar` command. Options are read here; everything else is done by the library."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from functools import reduce
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

import click

from modelcar.errors import InvalidInput, PromotionError

DEFAULT_BASE_IMAGE = "registry.access.redhat.com/ubi9/ubi-micro:latest"
_GROUPS = "modelcar.commands"


class _Cli(click.Group):
    """Our commands, and the groups that other packages add by entry point."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *(point.name for point in entry_points(group=_GROUPS))})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if (own := super().get_command(context, name)) is not None:
            return own
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
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s: %(message)s", handlers=[_Echo()]
    )


class _Echo(logging.Handler):
    """Log lines to whatever standard error is at the moment: a bar may stand there."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record).replace("WARNING", "warning", 1), err=True)


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several click options as one decorator, shown in the order given."""
    return lambda function: reduce(lambda wrapped, option: option(wrapped), reversed(decorators), function)


_access_options = _options(
    click.option(
        "--authfile", type=click.Path(path_type=Path), help="Registry credentials, docker's or podman's format."
    ),
    click.option(
        "--ca-file", type=click.Path(path_type=Path), help="CA certificates to trust besides the system's (PEM)."
    ),
    click.option("--plain-http", is_flag=True, help="Speak plain HTTP to the registries; loopback needs no asking."),
)
_image_options = _options(
    click.option("--revision", help="Branch, tag or commit of the source."),
    click.option(
        "--base-image",
        envvar="MODELCAR_BASE_IMAGE",
        default=DEFAULT_BASE_IMAGE,
        show_default=True,
        show_envvar=True,
        help="Image below the model, or scratch.",
    ),
    click.option("--platform", default="linux/amd64", show_default=True, help="Platform of the image."),
    click.option("--allow", multiple=True, metavar="PATTERN", help="Files that go in (default: all but clutter)."),
    click.option("--ignore", multiple=True, metavar="PATTERN", help="Files that stay out."),
    click.option("--allow-pickle", multiple=True, metavar="PATTERN", help="Pickle files that are wanted all the same."),
)
_concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1, 32), default=4, show_default=True, help="Layers that move at once."
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else, on stdout."
)


@cli.command("push")
@click.argument("source")
@click.argument("destination")
@_image_options
@_concurrency_option
@_access_options
@_json_option
def push_command(source: str, destination: str, *, concurrency: int, as_json: bool, **options: Any) -> None:
    """Build a ModelCar image from SOURCE and push it to DESTINATION.

    SOURCE is hf://org/name[@revision] or file:///directory. DESTINATION is registry/repository[:tag], or
    oci-layout:DIRECTORY[:tag].
    """
    from modelcar.build import execute, prepare
    from modelcar.display import show_progress, stderr_console
    from modelcar.drawing import draw_push
    from modelcar.report import describe_push

    build = prepare(_build_request(source, destination, **options), _access(concurrency, **options))
    with show_progress(build.plan.size_bytes, stderr_console()) as progress:
        image = execute(build, concurrency=concurrency, progress=progress)
    _print(describe_push(image), as_json, lambda: draw_push(image))


@cli.command("plan")
@click.argument("what", nargs=-1, required=True, metavar="SPEC | SOURCE DESTINATION")
@_image_options
@_access_options
@_json_option
def plan_command(what: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Say what a promotion or a push would do; nothing is moved or changed."""
    from modelcar.build import prepare
    from modelcar.drawing import draw_plan
    from modelcar.report import describe_plan

    access = _access(1, **options)
    if len(what) == 1 and what[0].startswith(("hf:", "file:")):
        raise click.UsageError("plan of a SOURCE takes a DESTINATION, too.")
    if len(what) == 1:
        from modelcar.promotion import build_request
        from modelcar.spec import load_spec

        request = build_request(load_spec(Path(what[0])))
    elif len(what) == 2:
        request = _build_request(*what, **options)
    else:
        raise click.UsageError("plan takes one SPEC, or SOURCE and DESTINATION.")
    build = prepare(request, access)
    _print(describe_plan(build), as_json, lambda: draw_plan(build))


@cli.command("promote")
@click.argument("spec", type=click.Path(path_type=Path))
@_concurrency_option
@_access_options
@_json_option
def promote_command(spec: Path, *, concurrency: int, as_json: bool, **options: Any) -> None:
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
        access=_access(concurrency, **options),
        concurrency=concurrency,
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
@_access_options
@_json_option
def register_command(image: str, *, as_json: bool, **options: Any) -> None:
    """Register IMAGE (registry/repository@sha256:…) in the Model Registry, as a version of a model.

    What is there is looked up and not made again.
    """
    from modelcar.drawing import draw_registration
    from modelcar.registering import register_image
    from modelcar.report import describe_registration

    access = _access(1, **options)
    names = ("model", "model_version", "url", "source_uri", "commit_hash", "author", "description")
    registered = register_image(image, access=access, **{name: options[name] for name in names})
    _print(describe_registration(registered), as_json, lambda: draw_registration(registered))


@cli.command("patch")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="metadata.name of the InferenceService.")
@click.option("--namespace", help="metadata.namespace, where the name alone does not tell.")
@click.option("--storage-uri", required=True, metavar="URI", help="oci://registry/repository@sha256:…")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Label to set.")
@click.option("--annotation", "annotations", multiple=True, metavar="K=V", help="Annotation to set.")
@click.option("--expect", metavar="OLD", help="Stop unless the manifest still says this.")
@click.option("--write", is_flag=True, help="Change the file; without it only the diff is printed.")
def patch_command(
    file: Path, *, write: bool, labels: tuple[str, ...], annotations: tuple[str, ...], **edit: Any
) -> None:
    """Edit the storageUri of an InferenceService in FILE, and not a byte besides; print the diff."""
    from modelcar.delivery.inference_service import Edit
    from modelcar.delivery.manifest_file import patch_file

    wanted = Edit(labels=_pairs(labels, "--label"), annotations=_pairs(annotations, "--annotation"), **edit)
    diff = patch_file(file, wanted, write=write)
    click.echo(diff, nl=False)
    if not diff:
        click.echo(f"{file} says so already: nothing to change.", err=True)
    elif not write:
        click.echo(f"{file} is as it was; --write changes it.", err=True)


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if broken := [text for text in texts if not text.partition("=")[0] or "=" not in text]:
        raise InvalidInput(f"{option} {broken[0]!r} is not KEY=VALUE", hint=f"Write {option} team=chat, for instance.")
    return pairs


def _build_request(source: str, destination: str, **options: Any) -> Any:
    from modelcar.build import BuildRequest
    from modelcar.reference import ImageReference, Platform, parse_destination

    base = options["base_image"]
    return BuildRequest(
        source=source,
        destination=parse_destination(destination),
        base_image=None if base == "scratch" else ImageReference.parse(base),
        platform=Platform.parse(options["platform"]),
        revision=options["revision"],
        allow=options["allow"],
        ignore=options["ignore"],
        allow_pickle=options["allow_pickle"],
    )


def _access(concurrency: int, **options: Any) -> Any:
    from modelcar.distribution.client import Access

    return Access(options["authfile"], options["ca_file"], options["plain_http"], connections=concurrency + 4)


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
    try:
        cli.main(standalone_mode=False)
    except PromotionError as error:
        if debug:
            raise
        _fail(error)
    except click.exceptions.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Run it again to go on.", err=True)
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            raise
        click.echo(f"Error: {type(error).__name__}: {error}", err=True)
        click.echo("This is a fault in modelcar; --debug shows where.", err=True)
        raise SystemExit(1) from None
