"""`modelcar pipeline run --tekton`: options are read here, all else is done by the other modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelcar.errors import PipelineServerError

if TYPE_CHECKING:
    from modelcar_pipelines.tekton.runs import TektonOutcome


def run_on_tekton(
    name: str, specs: tuple[Path, ...], pairs: tuple[str, ...], *, wait: bool | None, dry_run: bool, **where: Any
) -> None:
    """Start a PipelineRun, and follow it unless that is not wanted; or print it.

    Args:
        name: Of the pipeline.
        specs: Files.
        pairs: `NAME=VALUE`.
        wait: False starts the run only; else it is followed, and the exit code is the run's.
        dry_run: Whether to print it only.
        where: The options of a pipeline server; of these, Tekton takes the namespace.
    """
    namespace = where.pop("namespace")
    if any(value is not None for value in where.values()):
        raise click.UsageError("--tekton takes no pipeline server; --namespace and the kubeconfig say where.")
    if dry_run and wait is not None:
        raise click.UsageError("--dry-run starts nothing to wait for; it goes without --wait and --no-wait.")
    from modelcar_pipelines.arguments import check_promotion, gather
    from modelcar_pipelines.catalog import compile_pipeline
    from modelcar_pipelines.tekton.files import check_compiled
    from modelcar_pipelines.tekton.manifest import write_manifest
    from modelcar_pipelines.tekton.pipeline_run import make_run

    check_compiled(name)
    file = compile_pipeline(name).file
    values = gather(file.spec, specs=specs, pairs=pairs)
    check_promotion(file.spec, values)
    run = make_run(file, values)
    if dry_run:
        placed = {"metadata": {**run["metadata"], "namespace": namespace}} if namespace else {}
        click.echo(write_manifest(run | placed), nl=False)
        return
    from modelcar_pipelines.cluster import find_cluster
    from modelcar_pipelines.tekton.runs import start_run

    cluster = find_cluster(os.environ, instead="--dry-run prints the run without asking a cluster.")
    namespace = namespace or cluster.namespace
    started = start_run(cluster, namespace, run)
    click.echo(f"{started} in namespace {namespace}", err=True)
    if wait is False:
        click.echo(started)
        return
    outcome = _follow(cluster, namespace, started)
    _show(outcome)
    raise SystemExit(outcome.exit_code)


def _follow(cluster: Any, namespace: str, name: str) -> TektonOutcome:
    from modelcar_pipelines.showing import StepLines
    from modelcar_pipelines.tekton.runs import follow_run

    again = f"oc get pipelinerun {name} --namespace {namespace} says how it is"
    try:
        return follow_run(cluster, namespace, name, StepLines())
    except KeyboardInterrupt:
        click.echo(f"Stopped waiting; the run goes on. {again}.", err=True)
        raise SystemExit(130) from None
    except PipelineServerError as error:
        error.hint = " ".join(filter(None, [error.hint, f"This does not end the run; {again}."]))
        raise


def _show(outcome: TektonOutcome) -> None:
    from modelcar_pipelines.showing import note_text

    skipped = outcome.results.get("skipped")
    click.echo(f"SKIPPED: {skipped}" if skipped else outcome.state, err=True)
    for note in outcome.failures:
        click.echo(note_text(note), err=True)
    if outcome.state != "SUCCEEDED" and not outcome.failures:
        click.echo(outcome.message, err=True)
    for name, value in outcome.results.items():
        if name != "skipped":
            click.echo(f"{name}: {value}")
