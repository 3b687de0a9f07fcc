"""Findings for people, a line each, and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

import click

from modelcar_gitops.doctor.findings import Finding, Sign

_SIGN_WIDTH = max(map(len, Sign))


def show(namespace: str, findings: Sequence[Finding]) -> None:
    """Print findings by their groups, below each the way out, and how many are not well."""
    width = max((len(finding.subject) for finding in findings), default=0)
    for group, members in groupby(findings, key=lambda finding: finding.group):
        click.echo(group)
        for one in members:
            click.echo(f"  {one.sign:<{_SIGN_WIDTH}}  {one.subject:<{width}}  {one.text}")
            if one.way_out:
                click.echo(f"  {'':<{_SIGN_WIDTH}}  -> {one.way_out}")
    click.echo(_sum_up(namespace, findings))


def describe(namespace: str, findings: Sequence[Finding]) -> None:
    """Print one JSON object."""
    told = [asdict(finding) | {"well": finding.well} for finding in findings]
    value = {"namespace": namespace, "well": all(one.well for one in findings), "findings": told}
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _sum_up(namespace: str, findings: Sequence[Finding]) -> str:
    ill = sum(not one.well for one in findings)
    unknown = sum(one.sign is Sign.CANNOT_TELL for one in findings)
    untold = f"; {unknown} cannot be told" if unknown else ""
    if ill:
        return f"{ill} of {len(findings)} are not well in {namespace}{untold}."
    return f"All is well in {namespace}{untold}."
