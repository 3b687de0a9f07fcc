"""The command group `modelcar gitops`: options are read here, all else is done by the other modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


@click.group("gitops")
def gitops() -> None:
    """Change the tree that Argo CD applies."""


@gitops.command("new-model")
@click.argument("name")
@click.option("--source", required=True, help="The model: hf://org/name, or another source of promotions.")
@click.option("--title", help="What people read. By default, NAME.")
@click.option("--description", default="", help="What people read below that.")
@click.option("--cpu", type=int, default=4, show_default=True, help="Cores that are asked for.")
@click.option("--memory", default="32Gi", show_default=True, help="What is asked for and allowed.")
@click.option("--gpus", type=int, default=1, show_default=True, help="vLLM shards the model over them.")
@click.option("--arg", "arguments", multiple=True, metavar="--OPTION=VALUE", help="Of vLLM; as often as you like.")
@click.option(
    "--repository",
    metavar="HOST/NAME",
    help="Where its images are pushed. By default an ImageStream of the cluster's own registry, which is made too.",
)
@click.option(
    "--tree",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The repository's directory. By default, the one that you are in.",
)
def new_model_command(name: str, *, source: str, title: str | None, tree: Path, **more: Any) -> None:
    """Add model NAME to what is served.

    It is an InferenceService, stopped until it is promoted, an ImageStream and a PromotionSpec.
    """
    from modelcar_gitops.served_model import ServedModel
    from modelcar_gitops.tree import PROMOTIONS, GitOpsTree

    model = ServedModel(name, source, title or name, **more)
    for path in GitOpsTree(tree).add(model):
        click.echo(path)
    click.echo("`make gitops-check` says whether the namespace's quota has room for it.", err=True)
    click.echo(f"Commit these; then promote it: modelcar promote {PROMOTIONS / f'{name}.yaml'}", err=True)


@gitops.command("create-secret")
@click.argument("name")
@click.option(
    "--random", "keys", multiple=True, required=True, metavar="KEY", help="A key whose value is made up here."
)
@click.option("--namespace", help="By default, the pod's own, or the kubeconfig's.")
def create_secret_command(name: str, *, keys: tuple[str, ...], namespace: str | None) -> None:
    """Create Secret NAME with random values in the cluster.

    One that is there is left as it is; nothing is printed of the values.
    """
    from modelcar.retry import retry
    from modelcar_gitops.secrets import create_secret
    from modelcar_pipelines.cluster import find_cluster

    cluster = find_cluster(os.environ, instead="")
    where = namespace or cluster.namespace
    made = retry(lambda: create_secret(cluster, where, name, keys))
    click.echo(f"{name} in namespace {where} {'was made' if made else 'was there'}")
