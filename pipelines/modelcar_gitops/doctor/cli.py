"""The command `modelcar doctor`: options are read here, all else is done by the other modules."""

from __future__ import annotations

import os

import click

from modelcar.options import json_option
from modelcar_gitops import NAMESPACE


@click.command("doctor")
@click.option("--namespace", default=NAMESPACE, show_default=True, help="Where models are served.")
@json_option
def doctor(*, namespace: str, as_json: bool) -> None:
    """Say what is reachable, which Secret is missing, and what serves.

    Nothing is changed, and no Secret's value is shown. The exit code is 1 when something is not well.
    """
    from modelcar_gitops.doctor.examination import examine
    from modelcar_gitops.doctor.showing import describe, show

    findings = examine(namespace, os.environ)
    if as_json:
        describe(namespace, findings)
    else:
        show(namespace, findings)
    if not all(finding.well for finding in findings):
        raise SystemExit(1)
