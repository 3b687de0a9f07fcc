"""The command group `modelcar sandbox`."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelcar_sandbox.hosts import LOOPBACK, is_loopback

if TYPE_CHECKING:
    from modelcar_sandbox.sandbox import Sandbox

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.group("sandbox")
def sandbox() -> None:
    """Run every outside service on this machine, to try a promotion without a cluster."""


@sandbox.command("up")
@click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(path_type=Path),
    help="Holds everything; made when it is not there, taken up again when it is.",
)
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on.")
def up(directory: Path, host: str) -> None:
    """Start all services, and run until Ctrl-C.

    They are a Hub, an object store, an OCI registry, a Model Registry, a pipeline server, a Kubernetes API and a git
    repository.

    DIR/sandbox.env then holds the variables with which commands use them, DIR/promotion.yaml a promotion to try.
    """
    from modelcar_sandbox.sandbox import Sandbox

    # Blocked before the first thread starts, so that the signals wait for sigwait below and nothing else gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
    try:
        with Sandbox(directory, host) as running:
            if not is_loopback(host):
                click.echo(
                    f"warning: whoever reaches {host} can read and change everything here; no password, no TLS",
                    err=True,
                )
            click.echo(_describe(running))
            signal.sigwait(_END_SIGNALS)
            click.echo("Stopping; the same command brings everything back.")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)


def _describe(running: Sandbox) -> str:
    """What runs where, and what to type next."""
    from modelcar_sandbox.sandbox import BUCKET, BUCKET_DIRECTORY, DEMO_MODEL

    rows = [
        ("Hub", running.hub_url, f"holds {DEMO_MODEL}"),
        ("Object store", running.object_store_url, f"holds s3://{BUCKET}/{BUCKET_DIRECTORY}; forgets what is added"),
        ("OCI registry", running.registry_address, f"holds {running.base_image.partition('/')[2]}"),
        ("Model Registry", running.model_registry_url, "the Kubeflow REST API, v1 and v1alpha3"),
        ("Pipelines", running.pipelines_url, "the Kubeflow Pipelines API; runs are processes here"),
        ("Kubernetes", str(running.kubeconfig), "an API that keeps objects; nothing runs"),
        ("git", running.git_url, ""),
    ]
    width = max(len(address) for _, address, note in rows if note)
    table = "\n".join(f"  {name:<14}  {address:<{width}}  {note}".rstrip() for name, address, note in rows)
    plain_http = "" if is_loopback(running.host) else "--plain-http "
    return (
        f"The sandbox is up in {running.directory}; Ctrl-C stops it, and what it holds stays.\n\n{table}\n\n"
        "Next, in another shell:\n\n"
        f"  . {shlex.quote(str(running.environment_file))}\n"
        f"  modelcar promote {plain_http}{shlex.quote(str(running.promotion_spec))}\n"
    )
