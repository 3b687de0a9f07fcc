"""Options that several commands share, and what the library is given for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from modelcar.errors import InvalidInput

DEFAULT_BASE_IMAGE = "registry.access.redhat.com/ubi9/ubi-micro:latest"


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several click options as one decorator, shown in the order given."""
    return lambda function: reduce(lambda wrapped, option: option(wrapped), reversed(decorators), function)


access_options = _options(
    click.option(
        "--authfile", type=click.Path(path_type=Path), help="Registry credentials, docker's or podman's format."
    ),
    click.option(
        "--ca-file", type=click.Path(path_type=Path), help="CA certificates to trust besides the system's (PEM)."
    ),
    click.option("--plain-http", is_flag=True, help="Speak plain HTTP to the registries; loopback needs no asking."),
)
_revision_option = click.option("--revision", help="Branch, tag or commit of a Hub's model.  [default: main]")
_file_options = _options(
    click.option(
        "--allow", multiple=True, metavar="PATTERN", help="Files that go in; by default all but clutter. Repeatable."
    ),
    click.option("--ignore", multiple=True, metavar="PATTERN", help="Files that stay out. Repeatable."),
    click.option(
        "--allow-pickle",
        multiple=True,
        metavar="PATTERN",
        help="Pickle files that are wanted all the same. Repeatable.",
    ),
)
source_options = _options(_revision_option, _file_options)
image_options = _options(
    _revision_option,
    click.option(
        "--base-image",
        envvar="MODELCAR_BASE_IMAGE",
        default=DEFAULT_BASE_IMAGE,
        show_default=True,
        show_envvar=True,
        help="Image below the model, scratch, or same: that of the image that is copied.",
    ),
    click.option(
        "--max-layer-size",
        metavar="SIZE",
        help="What the registry takes as one layer, for instance 10GiB; layers of several files are closed before.",
    ),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        default=("linux/amd64",),
        show_default=True,
        metavar="OS/ARCHITECTURE",
        help="Platform of the image. Repeatable: several share the model's layers, under an index.",
    ),
    _file_options,
)
reuse_option = click.option(
    "--no-reuse",
    "reuse",
    flag_value=False,
    default=True,
    help="Read and send every layer, whatever earlier images say.",
)
reuse_from_option = click.option(
    "--reuse-from",
    multiple=True,
    metavar="IMAGE",
    help="Image in another repository of the same registry to take layers from. Repeatable.",
)
concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1, 32), default=4, show_default=True, help="Layers that move at once."
)
forecast_options = _options(
    click.option(
        "--manifest",
        type=click.Path(path_type=Path),
        help="The InferenceService that will serve SOURCE; a SPEC names it in git.",
    ),
    click.option(
        "--gpu-memory", metavar="SIZE", help="Of one GPU, for instance 24Gi, where the manifest does not tell."
    ),
    click.option(
        "--rate", metavar="SIZE/s", help="What source and registry give, for instance 200MiB/s; it is not measured."
    ),
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else, on stdout."
)


def make_request(source: str, destination: str, **options: Any) -> Any:
    """The `modelcar.build.BuildRequest` of SOURCE, DESTINATION and the image options.

    Raises:
        InvalidReference: The destination, the base image or the platform is none.
        InvalidInput: The size is none.
    """
    from modelcar.build import BuildRequest
    from modelcar.quantities import parse_bytes
    from modelcar.reference import ImageReference, Platform, parse_base_image, parse_destination

    return BuildRequest(
        source=source,
        destination=parse_destination(destination),
        base_image=parse_base_image(options["base_image"]),
        platforms=tuple(map(Platform.parse, options["platforms"])),
        revision=options["revision"],
        allow=options["allow"],
        ignore=options["ignore"],
        allow_pickle=options["allow_pickle"],
        reuse=options.get("reuse", True),
        max_layer_bytes=parse_bytes(options["max_layer_size"]) if options["max_layer_size"] is not None else None,
        siblings=tuple(map(ImageReference.parse, options.get("reuse_from", ()))),
    )


def read_rates(gpu_memory: str | None, rate: str | None) -> tuple[int | None, int | None]:
    """The memory of a GPU in bytes, and bytes a second.

    Raises:
        InvalidInput: One is no size.
    """
    from modelcar.quantities import parse_bytes

    rate_bytes_per_s = parse_bytes(rate.removesuffix("/s")) if rate is not None else None
    return parse_bytes(gpu_memory) if gpu_memory is not None else None, rate_bytes_per_s


def read_serving(manifest: Path | None, gpu_memory_bytes: int | None) -> Any:
    """The `modelcar.forecast.Serving` of a file, with the YAML files beside it; None without one.

    Raises:
        InvalidInput: It cannot be read.
    """
    if manifest is None:
        return None
    from modelcar.forecast import Serving

    try:
        beside = sorted({*manifest.parent.glob("*.yaml"), *manifest.parent.glob("*.yml")} - {manifest})
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (manifest, *beside) if path.is_file()]
    except OSError as error:
        raise InvalidInput(f"{error.filename} cannot be read: {error.strerror}", hint="Check its rights.") from error
    if not manifest.is_file():
        raise InvalidInput(f"{manifest} is not a file", hint="Name the file with the InferenceService.")
    return Serving(texts, gpu_memory_bytes=gpu_memory_bytes)


def make_access(concurrency: int, **options: Any) -> Any:
    """The `modelcar.distribution.client.Access` of the access options.

    Args:
        concurrency: Layers that move at once; a few connections more are kept.
        options: All options of the command.
    """
    from modelcar.distribution.client import Access

    return Access(options["authfile"], options["ca_file"], options["plain_http"], connections=concurrency + 4)


def parse_pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """The values of an option that takes KEY=VALUE.

    Raises:
        InvalidInput: One has no key, or no `=`; `option` is how it names the option.
    """
    pairs = dict(text.partition("=")[::2] for text in texts)
    if broken := [text for text in texts if not text.partition("=")[0] or "=" not in text]:
        raise InvalidInput(f"{option} {broken[0]!r} is not KEY=VALUE", hint=f"Write {option} team=chat, for instance.")
    return pairs


def check_spec_alone(spec: str) -> None:
    """See that `plan` of one argument is that of a spec, with no option that it would pass over in silence.

    Raises:
        UsageError: It is a source, or there is an option that the spec has a key for.
    """
    if spec.startswith(("hf:", "file:", "oci:")):
        raise click.UsageError("plan of a SOURCE takes a DESTINATION, too.")
    context = click.get_current_context()
    names = ("revision", "base_image", "platforms", "max_layer_size", "manifest", "allow", "ignore", "allow_pickle")
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--{name.replace('_', '-').removesuffix('s')} goes with SOURCE and DESTINATION; a SPEC says it itself."
            )
