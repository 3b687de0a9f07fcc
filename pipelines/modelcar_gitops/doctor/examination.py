"""All that a doctor looks at."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from modelcar.spec.values import read_namespace
from modelcar_gitops.doctor import rollouts, secrets
from modelcar_gitops.doctor.checks import Check, run_checks
from modelcar_gitops.doctor.findings import Finding
from modelcar_gitops.doctor.place import Place, find_place
from modelcar_gitops.doctor.reachability import list_checks
from modelcar_gitops.rollout import Object, storage_uri_of


def examine(namespace: str, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything, at once where one does not need the other.

    Args:
        namespace: Where models are served.
        env: Says where things are, as for promotions.

    Returns:
        Findings by their groups.

    Raises:
        InvalidInput: `namespace` cannot be one.
    """
    read_namespace(namespace)
    place = find_place(namespace, env)
    services, told = _read_services(place)
    checks = [*list_checks(place, [storage_uri_of(service) for service in services]), *_list_secrets(place)]
    if place.cluster is not None and services:
        look = partial(rollouts.look_at_rollouts, place.cluster, namespace, services)
        checks.append(Check(rollouts.GROUP, "InferenceServices", look))
    return [*place.findings, *run_checks(checks), *told]


def _read_services(place: Place) -> tuple[list[Object], list[Finding]]:
    """Nothing of a namespace that is not there, which is told once."""
    if place.cluster is None or not place.there:
        return [], []
    return rollouts.read_services(place.cluster, place.namespace)


def _list_secrets(place: Place) -> list[Check]:
    """Nothing without a cluster, which is told once; of the other namespaces even where this one is not there."""
    if place.cluster is None:
        return []
    return [
        Check(secrets.GROUP, namespace, partial(secrets.look_at_secrets, place.cluster, namespace, wanted))
        for namespace, wanted in secrets.list_secrets(place.namespace).items()
        if place.there or namespace != place.namespace
    ]
