"""Options that several commands of `modelcar pipeline` share, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from modelcar_pipelines.connection import Server

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _options(*decorators: Decorator) -> Decorator:
    """Several options as one decorator, shown in the order given."""
    return lambda function: reduce(lambda wrapped, option: option(wrapped), reversed(decorators), function)


server_options = _options(
    click.option("--endpoint", metavar="URL", help="Pipeline server, else KF_PIPELINES_ENDPOINT, else found."),
    click.option("--namespace", help="Namespace in which the pipeline server is looked for."),
    click.option("--token-file", type=click.Path(path_type=Path), help="Holds the bearer token."),
    click.option("--ca-file", type=click.Path(path_type=Path), help="CA certificates to trust (PEM)."),
)
parameter_options = _options(
    click.option(
        "--spec",
        "specs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="PromotionSpec; several for promote-models.",
    ),
    click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter. Repeatable."),
)
image_option = click.option(
    "--image", metavar="REF", help="Step image instead of this release's; upload takes MODELCAR_STEP_IMAGE, too."
)
workspace_option = click.option(
    "--workspace-size", metavar="SIZE", help="Of the volume of runs that have one.  [default: 100Gi]"
)
_training_options = _options(
    click.option("--train-memory", metavar="SIZE", help="Of the step that trains, request and limit.  [default: 8Gi]"),
    click.option(
        "--train-cpu", metavar="CORES", help="Of the step that trains, request and limit.  [default: 1, at most 8]"
    ),
    click.option(
        "--train-gpus", type=click.IntRange(min=0), metavar="N", help="NVIDIA GPUs that it gets.  [default: 0]"
    ),
)


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a training's size; the function is given them as one `training`, a TrainingSize."""

    @wraps(function)
    def gather(
        *args: Any, train_memory: str | None, train_cpu: str | None, train_gpus: int | None, **others: Any
    ) -> Any:
        from modelcar_pipelines.sizes import TrainingSize

        return function(*args, training=TrainingSize(train_memory, train_cpu, train_gpus), **others)

    return _training_options(gather)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")


def open_server(**where: Any) -> Server:
    """The server that the options, the environment or the namespace name.

    Raises:
        PromotionError: See `modelcar_pipelines.connection.connect`.
    """
    from modelcar_pipelines.connection import connect

    return connect(**where)


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))
